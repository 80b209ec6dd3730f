package connectwrap

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
)

func TestGRPCDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0n", 99_999_999: "99999999n", 100_000_000: "100000u", 5 * time.Minute: "300000m", 100 * time.Hour: "360000S", 20_000 * time.Hour: "72000000S",
		30_000 * time.Hour: "1800000M", 1<<63 - 1: "2562047H",
	} {
		if got := grpcDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestStatus: a code in the headers stands for its status, and for nothing
// where the status is another already.
func TestStatus(t *testing.T) {
	tests := []struct {
		status int
		code   string
		want   int
	}{
		{200, "", 200},
		{200, "0", 200},
		{200, "14", 503},
		{200, "8", 429},
		{200, "99", 500},
		{200, "-1", 500},
		{503, "5", 503},
		{499, "", 500},
	}
	for _, tt := range tests {
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{}}
		if tt.code != "" {
			resp.Header.Set("Grpc-Status", tt.code)
		}
		if got := statusOf(resp); got != tt.want {
			t.Errorf("%d with code %q: %d, want %d", tt.status, tt.code, got, tt.want)
		}
	}
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		if s := byCode(code); s < 400 {
			t.Errorf("%v is %d", code, s)
		}
	}
}

// TestWebTrailers: a unary response of gRPC-Web has its code in the body's last
// frame; without one it has broken off.
func TestWebTrailers(t *testing.T) {
	const message = "\x00\x00\x00\x00\x02\n\x00"
	var packed strings.Builder
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write([]byte("grpc-status: 14\r\n"))
	_ = zip.Close()
	gzipped := packed.String()
	tests := []struct {
		name, body string
		want       int
	}{
		{"ok", message + "\x80\x00\x00\x00\x10grpc-status: 0\r\n", 200},
		{"unavailable", message + "\x80\x00\x00\x00\x11grpc-status: 14\r\n", 503},
		{"other case, other trailers", "\x80\x00\x00\x00\x1aX-Some: a\r\nGrpc-Status:8\r\n", 429},
		{"no trailers", message, 500},
		{"compressed", message + "\x81\x00\x00\x00" + string(rune(len(gzipped))) + gzipped, 503},
		{"compressed, badly", message + "\x81\x00\x00\x00\x10grpc-status: 0\r\n", 500},
		{"none at all", "\x80", 500},
		{"cut in the trailers", message + "\x80\x00\x00\x00\x10grpc-sta", 500},
		{"twice", "\x80\x00\x00\x00\x1egrpc-status:0\r\ngrpc-status:0\r\n", 500},
		{"more after the trailers", "\x80\x00\x00\x00\x10grpc-status: 0\r\n" + message, 500},
		{"longer than all memory", "\x00\xff\xff\xff\xff", 500},
		{"more than is read ahead", "\x00\x00\x01\x00\x00" + strings.Repeat("x", 1<<16), 200},
	}
	for _, tt := range tests {
		ctx := context.WithValue(t.Context(), callKey{}, &call{unary: true})
		resp := &http.Response{
			StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"application/grpc-web+proto"}, "Grpc-Encoding": {"gzip"}},
			Body: io.NopCloser(strings.NewReader(tt.body)), Request: new(http.Request).WithContext(ctx),
		}
		if got := statusOf(resp); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != tt.body {
			t.Errorf("%s: the body afterwards is %q, %v", tt.name, rest, err)
		}
	}
}

// TestWebTrailersUnpackLittle: of a body that is nothing but small frames that
// unpack to large ones, none is unpacked.
func TestWebTrailersUnpackLittle(t *testing.T) {
	var packed strings.Builder
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(bytes.Repeat([]byte("\n"), maxAhead))
	_ = zip.Close()
	frame := "\x81\x00\x00\x00" + string(rune(packed.Len())) + packed.String()
	body := []byte(strings.Repeat(frame, maxAhead/len(frame)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if values, ok := webStatus(body, "gzip"); values != nil || !ok {
		t.Errorf("%q, %t", values, ok)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated for a body of %d", got, len(body))
	}
}
