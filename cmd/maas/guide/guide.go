package guide

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory/siteimport"
)

//go:embed *.md
var files embed.FS

// order lists the guides of this directory as a new operator reads them.
var order = []string{"getting-started", "networks", "addresses", "ipv6", "profiles", "power", "racks", "dns", "proxy", "discovery",
	"backup", "security", "api", "embedding", "troubleshooting"}

// importers begins the names of pages about other servers.
const importers = "from-"

// Page is one guide.
type Page struct {
	Name    string // in addresses, such as "networks"
	Title   string // such as "Networks and VLANs"
	Summary string // first paragraph: what a reader can do after the page
	Source  string // the Markdown
}

// pages are read once; files of the program do not change.
var pages = read()

// Pages returns all guides in the order of reading, those about other servers last.
func Pages() []Page { return slices.Clone(pages) }

// Find returns the guide of a name.
func Find(name string) (Page, bool) {
	i := slices.IndexFunc(pages, func(p Page) bool { return p.Name == name })
	if i < 0 {
		return Page{}, false
	}
	return pages[i], true
}

func read() (list []Page) {
	for _, name := range order {
		list = append(list, page(files, name, name+".md"))
	}
	others, err := fs.Glob(siteimport.Guides(), "*.md")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, file := range others {
		list = append(list, page(siteimport.Guides(), importers+strings.TrimSuffix(file, ".md"), file))
	}
	return list
}

// page reads one file. Files are part of the program, so that a missing one is a mistake of this
// package.
func page(from fs.FS, name, file string) Page {
	data, err := fs.ReadFile(from, path.Clean(file))
	if err != nil {
		panic(err)
	}
	p := Page{Name: name, Source: string(data)}
	blocks := strings.Split(p.Source, "\n\n")
	p.Title = strings.TrimPrefix(blocks[0], "# ")
	for _, b := range blocks[1:] {
		if !strings.HasPrefix(b, "    ") { // a page about another server begins with its commands
			p.Summary = strings.NewReplacer("\n", " ", "`", "").Replace(b)
			break
		}
	}
	return p
}
