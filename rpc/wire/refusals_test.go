package wire

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// A flood of strangers leaves few lines, and hides no trouble of the server's own.
func TestComplaintsAreBounded(t *testing.T) {
	var text strings.Builder
	c := newRefusals(slog.New(slog.NewTextHandler(&text, nil)))
	own := []string{
		"http: panic serving 192.0.2.7:99: oh\ngoroutine 1\n", "http2: panic serving 192.0.2.7:99: oh\ngoroutine 1\n",
		"http: Accept error: accept tcp [::]:5250: too many open files; retrying in 1s\n",
	}
	for port := range 1000 {
		fmt.Fprintf(c, "http: TLS handshake error from 192.0.2.7:%d: EOF\n", port)
		fmt.Fprintf(c, "http2: server: error reading preface from client 192.0.2.7:%d: bogus greeting\n", port)
		c.warn("rack refused", "client", port)
	}
	if n := strings.Count(text.String(), "\n"); n < refusalsAtOnce || n > refusalsAtOnce+20 { // a few more in minutes
		t.Errorf("%d lines, want %d", n, refusalsAtOnce)
	}
	text.Reset()
	for _, line := range own {
		fmt.Fprint(c, line)
	}
	if n := strings.Count(text.String(), "level=ERROR"); n != len(own) {
		t.Errorf("%d of %d lines about the server itself:\n%s", n, len(own), text.String())
	}
}
