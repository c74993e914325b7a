package siteimport

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

var update = flag.Bool("update", false, "write the golden files")

// Each configuration has a golden document and report, and an empty site takes the document.
func TestDhcpd(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".conf"), func(t *testing.T) {
			got, err := Read(os.DirFS("testdata"), Options{Kind: "dhcpd"}, filepath.Base(file))
			if err != nil {
				t.Fatal(err)
			}
			doc, err := yaml.Marshal(got.Document)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".conf")+".golden", string(doc)+"\n"+got.Report.String())
			applies(t, got.Document)
			countTokens(t, os.DirFS("testdata"), Options{Kind: "dhcpd", AllowUnknown: true}, filepath.Base(file))
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, string(want), got)
}

func compare(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// applies applies a document to an empty site, and again: the second time nothing changes.
func applies(t *testing.T, doc sitedoc.Document) {
	t.Helper()
	db, err := store.Open(t.Context(), "memory:", schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	inv, err := inventory.Open(t.Context(), db, inventory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		changes, err := sitedoc.Apply(t.Context(), inv, doc, sitedoc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if round == 1 && len(changes) > 0 {
			t.Errorf("applied again, it changes %v", changes)
		}
	}
}

// countTokens compares the tokens of the files with those of the items.
func countTokens(t *testing.T, fsys fs.FS, o Options, names ...string) {
	t.Helper()
	src := source{fsys: fsys}
	got, err := read(&src, o, names)
	if err != nil {
		t.Fatal(err)
	}
	out := 0
	for _, i := range got.Report {
		out += i.tokens
		if i.Outcome == "" || i.Line == 0 || i.Outcome != Taken && i.Why == "" {
			t.Errorf("%+v has no outcome, place or reason", i)
		}
	}
	if out != src.tokens {
		t.Errorf("%d tokens in, %d out", src.tokens, out)
	}
}

// Secrets are in no report.
func TestReportHasNoSecrets(t *testing.T) {
	got, err := Read(os.DirFS("testdata"), Options{Kind: "dhcpd"}, "ddns.conf")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "bm90") {
		t.Errorf("the report has the secret of a key: %s", raw)
	}
}

func TestDhcpdRefused(t *testing.T) {
	deep := strings.Repeat("group {\n", maxDepth+1) + strings.Repeat("}", maxDepth+1)
	for _, c := range []struct{ name, conf, want string }{
		{"unknown", "authoritative;\nfrobnicate 3;", `d.conf:2: "frobnicate 3" is not a known statement; correct it, or leave it out with --allow-unknown`},
		{"no end", "authoritative", "d.conf:1: the statement has no end; add ;"},
		{"no end before brace", "group {\n authoritative }", "d.conf:2: the statement has no end; add ;"},
		{"no brace", "\ngroup { authoritative;", "d.conf:2: the block has no end; add }"},
		{"extra brace", "authoritative;\n}", "d.conf:2: } closes no block; remove it"},
		{"no name", "{ }", "d.conf:1: the block has no name; write for example: group {"},
		{"no quote", "\n\noption domain-name \"x;\n", "d.conf:3: the string has no end; add a quote"},
		{"truncated escape", `option domain-name "x\`, "d.conf:1: the string has no end; add a quote"},
		{"deep", deep, "d.conf:33: blocks are nested more than 32 deep"},
		{"utf-16", "o\x00p\x00t\x00;\x00", "d.conf:1: the file is not text; convert it to UTF-8"},
		{"latin1", "host caf\xe9 { }", "d.conf:1: the text is not UTF-8; convert the file"},
		{"long word", strings.Repeat("a", maxWord+1) + ";", "d.conf:1: a word has more than 16384 bytes; is a quote missing?"},
		{"many words", strings.Repeat("a ", maxWords+1) + ";", "d.conf:1: the statement has more than 4096 words; is a ; missing?"},
		{"loop", "\ninclude \"d.conf\";", "d.conf:2: d.conf includes itself; remove the include"},
		{"longer loop", "include \"e.conf\";", "e.conf:3: d.conf includes itself; remove the include"},
		{"absent", "include \"/x/y.conf\";", "d.conf:1: open x/y.conf: file does not exist"},
		{"outside", "include \"../../y.conf\";", "d.conf:1: open ../../y.conf: file does not exist"},
		{"no file", "include;", "d.conf:1: include needs the name of a file in quotes"},
		{"lone semicolon", ";", "d.conf:1: ; ends no statement; remove it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := fstest.MapFS{"d.conf": {Data: []byte(c.conf)}, "e.conf": {Data: []byte("\n\ninclude \"d.conf\";")}}
			_, err := Read(fsys, Options{Kind: "dhcpd"}, "d.conf")
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAllowUnknown(t *testing.T) {
	fsys := fstest.MapFS{"d.conf": {Data: []byte("frobnicate { x 1; }\nauthoritative;")}}
	got, err := Read(fsys, Options{Kind: "dhcpd", AllowUnknown: true}, "d.conf")
	if err != nil || got.Report.Count(LeftOut) != 2 || got.Report.Count(Taken) != 1 {
		t.Errorf("got %v, %v", got.Report, err)
	}
	countTokens(t, fsys, Options{Kind: "dhcpd", AllowUnknown: true}, "d.conf")
}

// The example of Debian's package has every usual statement.
func TestExampleOfDebian(t *testing.T) {
	const name = "usr/share/doc/isc-dhcp-server/examples/dhcpd.conf.example"
	fsys := os.DirFS(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"))
	got, err := Read(fsys, Options{Kind: "dhcpd"}, name)
	if err != nil {
		t.Fatal(err)
	}
	applies(t, got.Document)
	countTokens(t, fsys, Options{Kind: "dhcpd", AllowUnknown: true}, name)
}

// What is read is bounded, and no statement is lost.
func FuzzDhcpd(f *testing.F) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := fstest.MapFS{"d.conf": {Data: data}}
		_, err := Read(fsys, Options{Kind: "dhcpd", AllowUnknown: true}, "d.conf")
		if err == nil {
			countTokens(t, fsys, Options{Kind: "dhcpd", AllowUnknown: true}, "d.conf")
		}
	})
}

// manyHosts is a configuration with n hosts.
func manyHosts(n int) fs.FS {
	var b strings.Builder
	b.WriteString("subnet 10.0.0.0 netmask 255.0.0.0 { range 10.0.0.0 10.255.255.255; }\n")
	for i := range n {
		fmt.Fprintf(&b, "host h%d { hardware ethernet 02:00:00:%02x:%02x:%02x; fixed-address 10.%d.%d.%d; }\n", i, i>>16, i>>8&255, i&255, 1+i>>16, i>>8&255, i&255)
	}
	return fstest.MapFS{"d.conf": {Data: []byte(b.String())}}
}

func BenchmarkHosts(b *testing.B) {
	fsys := manyHosts(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(fsys, Options{Kind: "dhcpd"}, "d.conf"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkComments(b *testing.B) {
	fsys := fstest.MapFS{"d.conf": {Data: []byte(strings.Repeat("# a comment of some length\n", 100<<20/27))}}
	b.SetBytes(100 << 20)
	for b.Loop() {
		if _, err := Read(fsys, Options{Kind: "dhcpd"}, "d.conf"); err != nil {
			b.Fatal(err)
		}
	}
}
