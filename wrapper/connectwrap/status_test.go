package connectwrap

import (
	"net/http"
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
