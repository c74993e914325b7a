package siteimport

import (
	"embed"
	"io/fs"
)

//go:embed doc/*.md
var guides embed.FS

// Guides returns a page for each kind, as Markdown in a file of its name, such as "dhcpd.md".
func Guides() fs.FS {
	dir, err := fs.Sub(guides, "doc")
	if err != nil {
		panic(err) // the name of the directory is wrong
	}
	return dir
}
