package guide_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/guide"
	"github.com/gomaas/maas/cmd/maas/internal/cli"
)

// Each guide has a title, says first what a reader can do afterwards, and has sections whose anchors differ.
func TestPages(t *testing.T) {
	for _, p := range guide.Pages() {
		html, sections, err := p.HTML("/docs")
		switch {
		case err != nil:
			t.Errorf("%s: %v", p.Name, err)
		case !strings.HasPrefix(p.Source, "# "+p.Title+"\n") || p.Summary == "" || len(sections) < 2 && !strings.HasPrefix(p.Name, "from-"):
			t.Errorf("%s: title %q, summary %q, %d sections", p.Name, p.Title, p.Summary, len(sections))
		case !strings.HasPrefix(p.Name, "from-") && !strings.HasPrefix(p.Summary, "After this page"):
			t.Errorf("%s begins with %q", p.Name, p.Summary)
		case strings.Count(string(html), "<h1") != 1 || strings.Contains(string(html), "raw HTML omitted"):
			t.Errorf("%s has %d titles, or HTML in its Markdown", p.Name, strings.Count(string(html), "<h1"))
		case strings.Count(p.Source, "\n") > 280:
			t.Errorf("%s has %d lines: divide it", p.Name, strings.Count(p.Source, "\n"))
		}
	}
}

var (
	linkTo  = regexp.MustCompile(`href="([^"]*)"`)
	anchors = regexp.MustCompile(`<h[1-6] id="([^"]*)"`)
)

// Each link leads to a guide, and to a heading of it.
func TestLinks(t *testing.T) {
	have := map[string]bool{}
	for _, p := range guide.Pages() {
		html, _, _ := p.HTML("/docs")
		have["/docs/"+p.Name] = true
		for _, m := range anchors.FindAllStringSubmatch(string(html), -1) {
			at := "/docs/" + p.Name + "#" + m[1]
			if have[at] {
				t.Errorf("%s: two headings have the anchor %s", p.Name, m[1])
			}
			have[at] = true
		}
	}
	links := 0
	for _, p := range guide.Pages() {
		html, _, _ := p.HTML("/docs")
		for _, m := range linkTo.FindAllStringSubmatch(string(html), -1) {
			if links++; !have[m[1]] && !strings.HasPrefix(m[1], "https://") {
				t.Errorf("%s: the link to %s leads nowhere", p.Name, m[1])
			}
		}
	}
	if links < 30 {
		t.Errorf("only %d links are found", links)
	}
}

// commands returns the command lines of maas in the shell blocks of a page. A line that ends with a
// backslash goes on in the next one.
func commands(source string) (list []string) {
	shell := false
	for line := range strings.Lines(strings.ReplaceAll(source, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			shell = line == "```sh"
		case shell:
			line = strings.TrimPrefix(strings.TrimPrefix(line, "sudo "), "./")
			if strings.HasPrefix(line, "maas ") {
				list = append(list, line)
			}
		}
	}
	return list
}

// word is a part of a command line: quoted, or without spaces.
var word = regexp.MustCompile(`(?:[^\s'"]+|'[^']*'|"[^"]*")+`)

// Each command of the guides is one that the program has.
func TestCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, file := range []string{"site.zip", "api.crt"} { // the parser looks whether they exist
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	var where []string
	var lines [][]string
	for _, p := range guide.Pages() {
		for _, line := range commands(p.Source) {
			for one := range strings.SplitSeq(line, " && ") {
				one, _, _ = strings.Cut(one, " | ")
				one, _, _ = strings.Cut(one, " > ")
				one, _, _ = strings.Cut(one, "  #")
				words := word.FindAllString(one, -1)
				for i, w := range words {
					words[i] = strings.NewReplacer("'", "", `"`, "").Replace(w)
				}
				if seen[one] {
					continue
				}
				seen[one] = true
				if words[0] == "maas" {
					where, lines = append(where, p.Name+": "+one), append(lines, words[1:])
				}
			}
		}
	}
	for i, err := range cli.Parse(lines...) {
		if err != nil {
			t.Errorf("%s: %v", where[i], err)
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d commands are found", len(seen))
	}
}

func TestSearch(t *testing.T) {
	for _, tt := range []struct{ query, page string }{
		{"restore", "backup"}, {"tagged VLAN", "networks"}, {"router advertisements", "ipv6"}, {"secure boot", "profiles"}, {"serial console", "power"},
		{"token rack", "racks"}, {"rogue", "discovery"}, {"shared-network", "from-dhcpd"},
	} {
		hits := guide.Search(tt.query)
		if !slices.ContainsFunc(hits[:min(len(hits), 5)], func(h guide.Hit) bool { return h.Page.Name == tt.page }) {
			var names []string
			for _, h := range hits {
				names = append(names, h.Page.Name+"#"+h.Section.Anchor)
			}
			t.Errorf("%q found %q, not %s among the first five", tt.query, names, tt.page)
		}
	}
	for _, query := range []string{"", "   ", "no-guide-has-this-word", strings.Repeat("a ", 10000)} {
		if hits := guide.Search(query); len(hits) > 20 || strings.TrimSpace(query) == "" && hits != nil || strings.HasPrefix(query, "no-") && hits != nil {
			t.Errorf("%.20q found %d sections", query, len(hits))
		}
	}
}
