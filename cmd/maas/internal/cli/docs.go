package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/gomaas/maas/cmd/maas/guide"
)

// docsCmd is `maas docs`. The page of a region has the same guides below /docs.
type docsCmd struct {
	Name   string `arg:"" optional:"" help:"Name of the guide, or NAME#SECTION; without one all guides are listed."`
	Search string `help:"Words that a section has." placeholder:"WORDS"`
}

// Run prints a guide, the list, or what was found.
func (c docsCmd) Run(io stdio) error {
	if c.Search != "" {
		return c.search(io)
	}
	if c.Name != "" {
		name, anchor, _ := strings.Cut(c.Name, "#")
		p, found := guide.Find(strings.TrimSuffix(name, ".md"))
		if !found {
			return fmt.Errorf("no guide is named %q; `maas docs` lists them, and `maas docs --search WORDS` searches them", name)
		}
		text, found := p.Section(anchor)
		if !found {
			return fmt.Errorf("the guide %s has no section %q; `maas docs %s` prints all of it", name, anchor, name)
		}
		_, err := fmt.Fprint(io.out, text)
		return err
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	for _, p := range guide.Pages() {
		fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Title)
	}
	return w.Flush()
}

func (c docsCmd) search(io stdio) error {
	hits := guide.Search(c.Search)
	if len(hits) == 0 {
		return fmt.Errorf("no section of a guide has all of the words %q; use fewer words", c.Search)
	}
	for _, h := range hits {
		name, title := h.Page.Name, h.Page.Title
		if h.Section.Anchor != "" {
			name, title = name+"#"+h.Section.Anchor, title+": "+h.Section.Title
		}
		fmt.Fprintf(io.out, "%s\n    %s\n    %s\n", name, title, h.Excerpt)
	}
	return nil
}
