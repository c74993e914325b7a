// Package metricstest checks what is written in the text format of Prometheus against the rules for names.
package metricstest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	name   = regexp.MustCompile(`^maas(_[a-z0-9]+)+$`)
	sample = regexp.MustCompile(`^([a-z0-9_]+)(\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? (\S+)$`)
)

// units that are not the base ones, and words that say what the type says.
var (
	wrongUnits = []string{"ms", "milliseconds", "nanoseconds", "minutes", "hours", "kilobytes", "megabytes", "kb", "mb", "percent"}
	types      = []string{"counter", "gauge", "histogram", "summary"}
)

// Lint returns what is wrong with a text, nil when nothing is.
func Lint(text string) (wrong []string) {
	family, kind := "", ""
	seen, samples := map[string]bool{}, map[string]bool{}
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			var text string
			if family, text, _ = strings.Cut(help, " "); seen[family] || text == "" || !name.MatchString(family) {
				say("%s: begins twice, has no help, or has no good name", family)
			}
			seen[family] = true
			continue
		}
		if told, ok := strings.CutPrefix(line, "# TYPE "+family+" "); ok {
			kind = told
			lintName(family, kind, say)
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			say("%q is no sample", line)
			continue
		}
		base := m[1]
		if kind == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
		}
		_, err := strconv.ParseFloat(m[3], 64)
		if base != family || err != nil || samples[m[1]+m[2]] {
			say("%q is not in its family, no number, or there twice", line)
		}
		samples[m[1]+m[2]] = true
	}
	return wrong
}

func lintName(family, kind string, say func(string, ...any)) {
	words := strings.Split(family, "_")
	total := words[len(words)-1] == "total"
	if total != (kind == "counter") {
		say("%s: counters, and nothing else, end with _total", family)
	}
	for _, w := range words {
		if slices.Contains(wrongUnits, w) || slices.Contains(types, w) {
			say("%s: %s is no base unit, or a type", family, w)
		}
	}
}
