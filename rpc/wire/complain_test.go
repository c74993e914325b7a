package wire

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of strangers leaves few lines, and the next one says how many there are not.
func TestComplaintsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		c := newComplaints(slog.New(slog.NewTextHandler(&text, nil)))
		for range 1000 {
			c.warn("refused")
		}
		if n := strings.Count(text.String(), "\n"); n != complaintsAtOnce {
			t.Errorf("%d lines, want %d", n, complaintsAtOnce)
		}
		text.Reset()
		time.Sleep(complaintEvery)
		c.Write([]byte("TLS handshake error\n"))
		if got := text.String(); !strings.Contains(got, `err="TLS handshake error" "and more"=980`) {
			t.Errorf("after a while: %s", got)
		}
		time.Sleep(24 * time.Hour)
		text.Reset()
		for range 1000 {
			c.warn("refused")
		}
		if n := strings.Count(text.String(), "\n"); n != complaintsAtOnce {
			t.Errorf("after a day: %d lines, want %d", n, complaintsAtOnce)
		}
	})
}
