package discovery

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds each text that comes from the network, in octets.
const maxText = 255

// clean makes a text from the network fit for logs and tables: valid UTF-8, printable, bounded.
func clean(b []byte) string {
	if len(b) > maxText {
		b = b[:maxText]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, string(b)))
}

// hostname is a name from the network without a final dot, empty when it is none: letters, digits,
// hyphens and dots, as RFC 1123 allows, and underscores, which some devices use.
func hostname(b []byte) string {
	name := strings.TrimRight(string(b), ".\x00")
	if name == "" || len(name) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return ""
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return ""
			}
		}
	}
	return name
}
