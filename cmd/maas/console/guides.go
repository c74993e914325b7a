package console

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/gomaas/maas/cmd/maas/guide"
)

// guideIndex is the list of guides, or what a search found in them.
type guideIndex struct {
	Query  string
	Guides []guide.Page
	Hits   []guide.Hit
}

// maxQuery bounds what is searched for, in bytes.
const maxQuery = 200

// guideList lists the guides, and searches them. Their command has the same texts; the API has
// none.
func (c *Console) guideList(w http.ResponseWriter, r *http.Request) error {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	q = strings.ToValidUTF8(q[:min(len(q), maxQuery)], "")
	out := guideIndex{Query: q, Guides: guide.Pages(), Hits: guide.Search(q)}
	return c.show(w, r, "guides", frame{Title: "Docs", Here: "Docs", Command: "maas docs", Data: out})
}

// guideText is one guide.
type guideText struct {
	guide.Page
	Body     template.HTML
	Sections []guide.Section
}

func (c *Console) guidePage(w http.ResponseWriter, r *http.Request) error {
	p, found := guide.Find(r.PathValue("name"))
	if !found {
		return &refusal{Status: http.StatusNotFound, Text: "No guide has this name. The list of guides has a search."}
	}
	body, sections, err := p.HTML(c.base + "/docs")
	if err != nil {
		return err
	}
	return c.show(w, r, "guide", frame{Title: p.Title, Here: "Docs", Command: "maas docs " + p.Name, Data: guideText{p, body, sections}})
}
