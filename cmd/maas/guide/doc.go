// Package guide holds the guides of maas: Markdown that the page serves under /docs and `maas docs`
// prints.
//
//	for _, p := range guide.Pages() {
//		fmt.Println(p.Name, p.Title)
//	}
//	hits := guide.Search("tagged vlan")        // pages and sections, the best first
//	html, sections, err := hits[0].Page.HTML("/docs")
//
// A guide is a file of this directory, or a page about an importer. Its first heading is the title,
// and the paragraph below it says what a reader can do afterwards. Guides link each other by file
// name. The tests check each link, each anchor, and each command.
package guide
