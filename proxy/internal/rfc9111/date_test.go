package rfc9111

import "testing"

func TestDates(t *testing.T) {
	for text, want := range map[string]bool{
		"Sun, 06 Nov 1994 08:49:37 GMT":  true,
		"Sun, 06 Nov 1994 08:49:37 gmt":  true,
		"Sunday, 06-Nov-94 08:49:37 GMT": true,
		"Sun Nov  6 08:49:37 1994":       true,
		"Mon Nov  6 08:49:37 1994":       true, // it was a Sunday
		"Sun, 06 Nov 1994 08:49:37 CET":  false,
		"Sun, 06 Nov 1994 08:49:37":      false,
		"Sun, 06 Nov 1994  08:49:37 GMT": false,
		"Sun, 06 Nov 1994 8:49:37 GMT":   false,
		"Sun, 6 Nov 1994 08:49:37 GMT":   false,
		"06 Nov 1994 08:49:37 GMT":       false,
		"0":                              false, "": false, "GMT": false,
	} {
		if at, ok := parseDate(text); ok != want || ok && at.Unix() != 784111777 {
			t.Errorf("%q: %s, %t", text, at, ok)
		}
	}
}
