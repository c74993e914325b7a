package cli

import (
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/spelling"
)

// nearest are up to three of the names that are most like a word, the best first. Names that have little in common with it
// are left out.
func nearest(word string, names []string) []string {
	type match struct {
		name string
		far  int
	}
	var found []match
	word = strings.ToLower(word)
	for _, name := range names {
		far := spelling.Distance(word, strings.ToLower(name))
		if strings.HasPrefix(strings.ToLower(name), word) {
			far = min(far, 1)
		}
		if far <= min((len(word)+1)/2, 2) {
			found = append(found, match{name, far})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.far - b.far })
	var out []string
	for _, m := range found[:min(len(found), 3)] {
		if !slices.Contains(out, m.name) {
			out = append(out, m.name)
		}
	}
	return out
}

// didYouMean is the end of a sentence about a name that is not known; empty when nothing is like it.
func didYouMean(word string, names []string) string {
	if near := nearest(word, names); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}
