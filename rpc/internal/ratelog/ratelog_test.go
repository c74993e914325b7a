package ratelog_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/rpc/internal/ratelog"
)

// A flood leaves few lines, and the next one has the number of suppressed lines.
func TestLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		l := ratelog.New(slog.New(slog.NewTextHandler(&text, nil)), 20, 5*time.Second)
		flood := func(when string) {
			t.Helper()
			text.Reset()
			for n := range 1000 {
				l.Warn("refused", "port", n)
			}
			if n := strings.Count(text.String(), "\n"); n != 20 {
				t.Errorf("%s: %d lines", when, n)
			}
		}
		flood("at first")
		text.Reset()
		time.Sleep(5 * time.Second)
		l.Warn("refused")
		l.Warn("refused")
		if got := text.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `suppressed=980`) {
			t.Errorf("after a while: %s", got)
		}
		time.Sleep(24 * time.Hour)
		flood("after a day")
	})
}
