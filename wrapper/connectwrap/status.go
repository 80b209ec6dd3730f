package connectwrap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"
)

// statusOf is the status that a response stands for: of gRPC and gRPC-Web, whose
// responses have 200 whatever comes of them, that which Connect's protocol has
// for the code; otherwise its own. A unary response that breaks off within
// what is read ahead stands for an internal error.
func statusOf(resp *http.Response) int {
	if resp.StatusCode == statusCancelled {
		return http.StatusInternalServerError // see byCode
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode
	}
	values := resp.Header[grpcStatus]
	if len(values) == 0 {
		var c *call
		if resp.Request != nil {
			c = callOf(resp.Request.Context())
		}
		contentType := resp.Header.Get("Content-Type")
		unary, grpc := c != nil && c.unary, isGRPC(contentType)
		if resp.Body == http.NoBody || !unary && !grpc {
			return resp.StatusCode
		}
		most := 1 // of a stream, its beginning
		if unary {
			most = maxAhead
		}
		read, err := readAhead(resp, most)
		switch {
		case err != nil && err != io.EOF: //nolint:errorlint // as the body has it
			return http.StatusInternalServerError
		case err == nil:
			return resp.StatusCode
		case grpc:
			values = resp.Trailer[grpcStatus]
		case strings.HasPrefix(contentType, "application/grpc-web"):
			var ok bool
			if values, ok = webStatus(read, resp.Header.Get("Grpc-Encoding")); !ok {
				return resp.StatusCode
			}
		default:
			return resp.StatusCode
		}
	}
	if len(values) != 1 {
		return http.StatusInternalServerError
	}
	code, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil {
		return http.StatusInternalServerError
	}
	return byCode(connect.Code(code))
}

const grpcStatus = "Grpc-Status"

// webStatus finds the code in the trailers of gRPC-Web, which are the last frame
// of the body: a byte of flags, four of length, lines as in HTTP/1. It is ok
// unless they cannot be read here.
func webStatus(body []byte, encoding string) (values []string, ok bool) {
	const header, trailers, compressed = 5, 0x80, 1
	for len(body) >= header {
		flags, size, rest := body[0], uint64(binary.BigEndian.Uint32(body[1:])), body[header:]
		if size > uint64(len(rest)) {
			break
		}
		if body = rest[size:]; flags&trailers == 0 {
			continue
		}
		if len(body) > 0 { // as Connect has it; and it may hold any number of frames to unpack
			break
		}
		frame := io.Reader(bytes.NewReader(rest[:size]))
		if flags&compressed != 0 {
			var err error
			if encoding != "gzip" {
				return nil, false
			}
			if frame, err = gzip.NewReader(frame); err != nil {
				break
			}
		}
		text, err := io.ReadAll(io.LimitReader(frame, maxAhead))
		if err != nil {
			break
		}
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, grpcStatus) {
				values = append(values, strings.TrimSpace(value))
			}
		}
	}
	return values, true
}

// isGRPC reports whether a content type is that of the gRPC protocol. gRPC-Web
// has its trailers in the body.
func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// maxAhead is how much of a unary response is read before it is taken for one
// that will be read to its end.
const maxAhead = 64 << 10

// readAhead reads up to most bytes of a body, fewer if it ends, which it says,
// and puts back what it has read.
func readAhead(resp *http.Response, most int) (read []byte, end error) {
	size := min(most, 512)
	if n := resp.ContentLength; n >= 0 && n < int64(most) {
		size = int(n) + 1 // one more, to see the end
	}
	a := &ahead{ReadCloser: resp.Body, rest: make([]byte, 0, size)}
	for len(a.rest) < most && a.err == nil {
		if len(a.rest) == cap(a.rest) {
			a.rest = slices.Grow(a.rest, min(cap(a.rest), most-len(a.rest)))
		}
		var n int
		n, a.err = resp.Body.Read(a.rest[len(a.rest):min(cap(a.rest), most)])
		a.rest = a.rest[:len(a.rest)+n]
	}
	resp.Body = a
	return a.rest, a.err
}

// ahead is a body of which something was read already.
type ahead struct {
	io.ReadCloser
	rest []byte // of what was read
	err  error  // what comes after that; nil: the body itself
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	switch {
	case len(a.rest) > 0:
		n := copy(p, a.rest)
		a.rest = a.rest[n:]
		return n, nil
	case a.err != nil:
		return 0, a.err
	}
	return a.ReadCloser.Read(p)
}

// statusCancelled is Connect's for a code of cancelled.
const statusCancelled = 499

// byCode is https://connectrpc.com/docs/protocol/#error-codes. A code of
// cancelled is the server's own word, for nobody has cancelled here, and says
// nothing of what was done before.
func byCode(code connect.Code) int {
	switch code {
	case 0:
		return http.StatusOK
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeOutOfRange:
		return http.StatusBadRequest
	case connect.CodeDeadlineExceeded:
		return http.StatusGatewayTimeout
	case connect.CodeNotFound:
		return http.StatusNotFound
	case connect.CodeAlreadyExists, connect.CodeAborted:
		return http.StatusConflict
	case connect.CodePermissionDenied:
		return http.StatusForbidden
	case connect.CodeResourceExhausted:
		return http.StatusTooManyRequests
	case connect.CodeUnimplemented:
		return http.StatusNotImplemented
	case connect.CodeUnavailable:
		return http.StatusServiceUnavailable
	case connect.CodeUnauthenticated:
		return http.StatusUnauthorized
	}
	return http.StatusInternalServerError
}
