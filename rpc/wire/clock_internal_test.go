package wire

import (
	"testing"
	"time"
)

func TestClockBehind(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for shown, want := range map[string]time.Duration{
		"": 0, "yesterday": 0, // of an older rack, or of no rack
		"2026-01-02T03:04:03.5Z": 0, // the way of the request
		"2026-01-02T02:04:05Z":   time.Hour,
		"2026-01-02T04:04:05Z":   -time.Hour,
		"1970-01-01T00:00:00Z":   now.Sub(time.Unix(0, 0)),
	} {
		if got := clockBehind(shown, now); got != want {
			t.Errorf("%q: %v, want %v", shown, got, want)
		}
	}
}
