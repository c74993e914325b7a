package siteimport

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
)

// archive holds the files of a sample: each begins with a line "-- name --".
type archive struct {
	names []string
	files map[string]string
}

func parseArchive(text string) archive {
	a := archive{files: map[string]string{}}
	name := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(line, " --\n") {
			name = strings.TrimSuffix(rest, " --\n")
			a.names = append(a.names, name)
			a.files[name] = ""
			continue
		}
		a.files[name] += line
	}
	return a
}

// fsys returns the files without those that the test compares.
func (a archive) fsys() (fs.FS, []string) {
	fsys := fstest.MapFS{}
	var read []string
	for _, name := range a.names {
		if name == golden1 {
			continue
		}
		fsys[name] = &fstest.MapFile{Data: []byte(a.files[name])}
		if !strings.Contains(name, "/") { // files in directories are included
			read = append(read, name)
		}
	}
	return fsys, read
}

const golden1 = "golden"

// Each sample is recognized, has a golden document, leases and report, and an empty site takes it.
func TestSamples(t *testing.T) {
	kinds := map[string]int{}
	samples, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range samples {
		kind := filepath.Base(filepath.Dir(file))
		kinds[kind]++
		t.Run(kind+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := parseArchive(string(raw))
			fsys, names := a.fsys()
			got, err := Read(fsys, Options{}, names...)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != kind {
				t.Errorf("recognized as %s", got.Kind)
			}
			text := asText(t, got)
			if *update {
				head, _, _ := strings.Cut(string(raw), "-- "+golden1+" --\n")
				if err := os.WriteFile(file, []byte(head+"-- "+golden1+" --\n"+text), 0o644); err != nil {
					t.Fatal(err)
				}
				a.files[golden1] = text
			}
			compare(t, a.files[golden1], text)
			applies(t, got.Document)
			countTokens(t, fsys, Options{}, names...)
		})
	}
	for _, k := range Kinds() {
		if kinds[k.Name] == 0 && k.read != nil {
			t.Errorf("%s has no sample", k.Name)
		}
	}
}

// asText writes a result for people who review golden files: the document, leases, the report.
func asText(t *testing.T, r Result) string {
	t.Helper()
	doc, err := yaml.Marshal(r.Document)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	out.Write(doc)
	for _, l := range r.Leases {
		line, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	out.WriteString("\n" + r.Report.String())
	return out.String()
}
