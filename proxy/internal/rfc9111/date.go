package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// parseDate reads an HTTP-date (RFC 9110, 5.6.7). Unlike [http.ParseTime] it refuses what only
// resembles one, such as an hour of one digit, since a date that is read wrongly makes a response
// fresh that is not. The case of its zone is free, and the day of the week is not checked.
func parseDate(text string) (time.Time, bool) {
	if head, zone := cutZone(text); strings.EqualFold(zone, "GMT") {
		text = head + "GMT"
	}
	for _, layout := range []string{http.TimeFormat, time.RFC850, time.ANSIC} {
		if t, err := time.Parse(layout, text); err == nil && strings.EqualFold(afterDay(t.Format(layout)), afterDay(text)) {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func cutZone(text string) (head, zone string) {
	n := max(0, len(text)-3)
	return text[:n], text[n:]
}

func afterDay(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	return rest
}
