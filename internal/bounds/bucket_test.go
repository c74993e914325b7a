package bounds_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// A flood leaves few lines, and the next one has the number of suppressed lines.
func TestLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		l := bounds.NewLog(slog.New(slog.NewTextHandler(&text, nil)), bounds.Rate{Burst: 20, Every: 5 * time.Second})
		flood := func(when string) {
			t.Helper()
			text.Reset()
			for n := range 1000 {
				if n%2 == 0 {
					l.Warn("refused", "port", n)
				} else {
					l.Error("failed", "port", n)
				}
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

// Each key has a bucket of its own, and as many keys as strangers can invent take bounded memory.
func TestEachKeyHasABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bounds.NewBuckets[int](bounds.Rate{Burst: 3, Every: time.Second}, 100)
		granted := make(map[int]int)
		for range 10 {
			for key := range 40 {
				if b.Take(key) {
					granted[key]++
				}
			}
		}
		for key := range 40 {
			if granted[key] != 3 {
				t.Errorf("key %d was granted %d", key, granted[key])
			}
		}
		time.Sleep(time.Second)
		if !b.Take(7) || b.Take(7) {
			t.Error("after a second there is not one more")
		}
		for key := range 100_000 { // a key in use keeps its bucket while strangers come
			b.Take(1000 + key)
			if b.Take(7) {
				t.Fatalf("the bucket of a key in use was dropped after %d strangers", key)
			}
		}
	})
}

func TestAtLeastOneToken(t *testing.T) {
	b := bounds.NewBucket(bounds.Rate{Every: time.Hour})
	if !b.Take() || b.Take() {
		t.Error("a burst of 0 does not grant once")
	}
}

func TestSource(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "::1": "::/64",
	} {
		if got := bounds.Source(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("Source(%s) = %v, want %s", addr, got, want)
		}
	}
	if got := bounds.Source(netip.Addr{}); got.IsValid() {
		t.Errorf("Source of no address = %v", got)
	}
}
