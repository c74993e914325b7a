package siteimport

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
)

// block matches a fenced block of a page with its language and name.
var block = regexp.MustCompile("(?ms)^```(\\w+) (\\S+)\n(.*?)^```\n")

// The example of each page is imported and applied, and the page shows what comes of it.
func TestPages(t *testing.T) {
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			file := filepath.Join("doc", k.Name+".md")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			page := string(raw)
			fsys := fstest.MapFS{}
			var names []string
			for _, b := range block.FindAllStringSubmatch(page, -1) {
				if name := b[2]; name != "report" && name != "document" {
					fsys[name] = &fstest.MapFile{Data: []byte(b[3])}
					if !strings.HasPrefix(name, "db.") { // named.conf includes it
						names = append(names, name)
					}
				}
			}
			got, err := Read(fsys, Options{}, names...)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != k.Name || len(got.Report) < 3 || got.Report.Count(LeftOut) == 0 {
				t.Errorf("the example is of %s, with %d statements and %d left out", got.Kind, len(got.Report), got.Report.Count(LeftOut))
			}
			applies(t, got.Document)
			countTokens(t, fsys, Options{}, names...)
			doc, err := yaml.Marshal(got.Document)
			if err != nil {
				t.Fatal(err)
			}
			shown := map[string]string{"report": got.Report.String(), "document": string(doc)}
			want := block.ReplaceAllStringFunc(page, func(text string) string {
				b := block.FindStringSubmatch(text)
				if body, ok := shown[b[2]]; ok {
					delete(shown, b[2])
					return "```" + b[1] + " " + b[2] + "\n" + body + "```\n"
				}
				return text
			})
			if len(shown) > 0 {
				t.Errorf("the page does not show %v", shown)
			}
			if *update {
				if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, want, page)
		})
	}
}
