package guide

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	gmtext "github.com/yuin/goldmark/text"
)

// markdown reads GitHub's tables, gives each heading an anchor, which {#anchor} behind it replaces,
// and leaves raw HTML out.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithHeadingAttribute()))

// Section is a part of a page below a heading of the second or third level.
type Section struct {
	Anchor string // of the page's address, after #
	Title  string
	Level  int // 2 or 3
	text   string
}

// HTML renders a page for a site whose guides are below base, such as "/docs", with its sections
// for a table of contents.
func (p Page) HTML(base string) (template.HTML, []Section, error) {
	source := []byte(p.Source)
	doc := markdown.Parser().Parse(gmtext.NewReader(source))
	var sections []Section
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			if entering {
				n.Destination = []byte(address(base, p.Name, string(n.Destination)))
			}
		case *ast.Heading:
			if entering && n.Level > 1 {
				sections = append(sections, Section{Anchor: anchorOf(n), Title: plain(n, source), Level: n.Level})
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return "", nil, err
	}
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, source, doc); err != nil {
		return "", nil, fmt.Errorf("guide: %s: %w", p.Name, err)
	}
	return template.HTML(b.String()), sections, nil //nolint:gosec // files of this program, and goldmark leaves raw HTML out
}

// Section returns the Markdown of the section with an anchor, up to the next heading of its level
// or above. The anchor "" is the whole page.
func (p Page) Section(anchor string) (source string, found bool) {
	if anchor == "" {
		return p.Source, true
	}
	text, level := []byte(p.Source), 0
	from := -1
	doc := markdown.Parser().Parse(gmtext.NewReader(text))
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		switch {
		case !ok || h.Lines().Len() == 0:
		case from < 0 && anchorOf(h) == anchor:
			from, level = lineStart(text, h.Lines().At(0).Start), h.Level
		case from >= 0 && h.Level <= level:
			return string(text[from:lineStart(text, h.Lines().At(0).Start)]), true
		}
	}
	if from < 0 {
		return "", false
	}
	return string(text[from:]), true
}

// lineStart returns where the line of a position begins: the text of a heading begins behind its
// marks.
func lineStart(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

// sections returns the parts of a page with their text; the first has no heading.
func (p Page) sections() []Section {
	source := []byte(p.Source)
	list := []Section{{}}
	doc := markdown.Parser().Parse(gmtext.NewReader(source))
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level > 1 {
			list = append(list, Section{Anchor: anchorOf(h), Title: plain(h, source), Level: h.Level})
			continue
		}
		last := &list[len(list)-1]
		last.text += plain(n, source) + "\n"
	}
	return list
}

// address returns where a link of a page leads to: other guides are named by their files.
func address(base, page, to string) string {
	if strings.Contains(to, "://") {
		return to
	}
	file, fragment, _ := strings.Cut(to, "#")
	if fragment != "" {
		fragment = "#" + fragment
	}
	name := strings.TrimSuffix(file, ".md")
	if name == "" {
		name = page
	}
	return base + "/" + name + fragment
}

func anchorOf(h *ast.Heading) string {
	id, _ := h.AttributeString("id")
	b, _ := id.([]byte)
	return string(b)
}

// plain returns the text of a node without markup.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(source))
			if n.SoftLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				b.Write(line.Value(source))
			}
		case *ast.Paragraph, *ast.ListItem:
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}
