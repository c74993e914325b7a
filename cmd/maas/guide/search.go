package guide

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Hit is a section that a search found.
type Hit struct {
	Page    Page
	Section Section // Anchor "" is the beginning of the page
	Excerpt string  // text around the first word found
}

// maxHits bounds the answer to a search, and maxWords its work.
const (
	maxHits  = 20
	maxWords = 8
)

// indexed is a section in lower case, as it is searched.
type indexed struct {
	page             Page
	section          Section
	title, name, all string
}

var index = sync.OnceValue(func() (list []indexed) {
	for _, p := range pages {
		for _, s := range p.sections() {
			i := indexed{page: p, section: s, name: strings.ToLower(p.Title), title: strings.ToLower(s.Title), all: strings.ToLower(s.text)}
			list = append(list, i)
		}
	}
	return list
})

// Search returns the sections that hold all words, the best first: words in a heading count more
// than words in a title of a page, and these more than words in the text. Case does not matter. It
// is safe for concurrent use.
func Search(query string) []Hit {
	words := strings.Fields(strings.ToLower(query))
	words = words[:min(len(words), maxWords)]
	if len(words) == 0 {
		return nil
	}
	type ranked struct {
		Hit
		score int
	}
	var found []ranked
	for _, i := range index() {
		score := 0
		for _, w := range words {
			one := 8*times(i.title, w, 1) + 4*times(i.name, w, 1) + times(i.all, w, 3)
			if one == 0 {
				score = 0
				break
			}
			score += one
		}
		if score > 0 {
			found = append(found, ranked{Hit{i.page, i.section, excerpt(i.section.text, i.all, words)}, score})
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int { return cmp.Compare(b.score, a.score) })
	var hits []Hit
	for _, f := range found[:min(len(found), maxHits)] {
		hits = append(hits, f.Hit)
	}
	return hits
}

// times counts a word in a text, at most up to a bound.
func times(text, word string, most int) int { return min(strings.Count(text, word), most) }

// excerptBytes is about the length of an excerpt.
const excerptBytes = 160

// excerpt returns the text around the first of the words that it holds.
func excerpt(text, lower string, words []string) string {
	at := 0
	for _, w := range words {
		if i := strings.Index(lower, w); i >= 0 && len(lower) == len(text) {
			at = i
			break
		}
	}
	from := max(0, at-excerptBytes/2)
	to := min(len(text), from+excerptBytes)
	if from > 0 {
		if i := strings.IndexByte(text[from:to], ' '); i >= 0 {
			from += i + 1
		}
	}
	if to < len(text) {
		if i := strings.LastIndexByte(text[from:to], ' '); i > 0 {
			to = from + i
		}
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(text[from:to], "")), " ")
}
