package cli

import (
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/spelling"
)

// nearest returns up to three names that are similar to a word, the most similar first. It leaves
// out names that have little in common with the word.
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

// didYouMean returns the end of a sentence about an unknown name, or "" if no name is similar.
func didYouMean(word string, names []string) string {
	if near := nearest(word, names); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}
