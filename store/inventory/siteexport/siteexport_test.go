package siteexport

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/store/inventory/setting"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

var update = flag.Bool("update", false, "write the golden files")

// rich is a document in which every field of every object is set somewhere.
func rich(t *testing.T) (doc sitedoc.Document) {
	t.Helper()
	raw, err := os.ReadFile("testdata/rich.yaml")
	if err == nil {
		err = yaml.UnmarshalWithOptions(raw, &doc, yaml.Strict())
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// all are the options that a configuration can be written with.
var all = Options{BootServer: "192.0.2.5", NameServer: "www.lab.example", Serial: 7}

// A field that is added to the document has to be decided on by every kind: the rich document has
// it, or this test fails, and then no kind may leave it undecided.
func TestEveryFieldIsDecided(t *testing.T) {
	doc := rich(t)
	set := map[string]bool{}
	p := newPage(doc, Options{})
	for _, f := range p.fields {
		set[f.kind+"."+f.name] = true
	}
	for _, name := range setting.Exported() {
		if doc.Settings[name] == "" {
			t.Errorf("the rich document does not set %s", name)
		}
	}
	lists := reflect.TypeFor[sitedoc.Document]()
	for i := range lists.NumField() {
		if f := lists.Field(i); f.Type.Kind() == reflect.Slice {
			wantFields(t, set, objectKind(jsonName(f)), f.Type.Elem())
		}
	}
	for _, k := range Kinds() {
		for name, doc := range map[string]sitedoc.Document{"rich": doc, "empty": {}} {
			p := newPage(doc, all)
			k.write(p)
			fields := 0
			for _, i := range p.report(k) {
				fields += len(i.Fields)
				if i.Why == undecided || i.Why == "" || i.Outcome == "" {
					t.Errorf("%s: %s: %v is not decided", k.Name, i.Object, i.Fields)
				}
			}
			if fields != len(p.fields) || name == "rich" && fields < 150 {
				t.Errorf("%s: %d fields in, %d out", k.Name, len(p.fields), fields)
			}
		}
	}
}

func wantFields(t *testing.T, set map[string]bool, kind string, of reflect.Type) {
	t.Helper()
	for i := range of.NumField() {
		f := of.Field(i)
		switch f.Type {
		case reflect.TypeFor[[]sitedoc.Interface]():
			wantFields(t, set, "interface", f.Type.Elem())
		case reflect.TypeFor[[]sitedoc.Link]():
			wantFields(t, set, "link", f.Type.Elem())
		case reflect.TypeFor[*sitedoc.Power]():
			wantFields(t, set, "power", f.Type.Elem())
		default:
			if !set[kind+"."+jsonName(f)] {
				t.Errorf("the rich document sets no %s of a %s", jsonName(f), kind)
			}
		}
	}
}

func render(doc sitedoc.Document, k Kind) string {
	p := newPage(doc, all)
	k.write(p)
	var out strings.Builder
	for _, f := range p.files {
		fmt.Fprintf(&out, "-- %s --\n%s", f.Name, f.Data)
	}
	return out.String()
}

// The report says what is so: without a field that is taken the files are others, and without one
// that is left out they are the same.
func TestReportIsTrue(t *testing.T) {
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			doc := rich(t)
			whole := render(doc, k)
			p := newPage(doc, all)
			k.write(p)
			p.report(k)
			tried := map[siteimport.Outcome]int{}
			for ref, f := range p.byField {
				if f.kind == "setting" {
					continue
				}
				v := reflect.ValueOf(ref).Elem()
				before := reflect.New(v.Type()).Elem()
				before.Set(v)
				v.SetZero()
				same := render(doc, k) == whole
				if v.Kind() == reflect.String && f.outcome == siteimport.Taken && same { // "" is the default
					v.SetString("test.example")
					same = render(doc, k) == whole
				}
				v.Set(before)
				tried[f.outcome]++
				if f.outcome == siteimport.Taken && same || f.outcome == siteimport.LeftOut && !same {
					t.Errorf("%s %s is %s (%s), and without it the files are the same: %v", f.object, f.name, f.outcome, f.why, same)
				}
			}
			for i := range p.settings {
				s := &p.settings[i]
				value := doc.Settings[s.name]
				delete(doc.Settings, s.name)
				same := render(doc, k) == whole
				doc.Settings[s.name] = value
				o := p.byField[&s.Value].outcome
				if o == siteimport.Taken && same || o == siteimport.LeftOut && !same {
					t.Errorf("setting %s is %s, and without it the files are the same: %v", s.name, o, same)
				}
			}
			if len(tried) < 2 || tried[siteimport.Taken] < 10 {
				t.Errorf("tried %v", tried)
			}
		})
	}
}

// The files and the report of the rich document are golden, and are the same each time.
func TestGolden(t *testing.T) {
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			got, err := Write(rich(t), k.Name, all)
			if err != nil {
				t.Fatal(err)
			}
			text := render(rich(t), k) + "-- report --\n" + got.Report.String()
			file := filepath.Join("testdata", k.Name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			sum := 0
			for _, o := range []siteimport.Outcome{siteimport.Taken, siteimport.Changed, siteimport.LeftOut} {
				sum += got.Report.Count(o)
			}
			if sum != len(newPage(rich(t), all).fields) {
				t.Errorf("%d fields are counted", sum)
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		kind string
		o    Options
		want string
	}{
		"kind":        {"unbound", Options{}, "none of dhcpd, kea"},
		"boot server": {"dhcpd", Options{BootServer: `x"; }`}, "boot server"},
		"no address":  {"bind", Options{NameServer: "ns.lab.example"}, "no address in zone lab.example"},
		"name server": {"bind", Options{NameServer: "a b"}, "name server"},
	} {
		if _, err := Write(rich(t), c.kind, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, k := range Kinds() {
		if _, err := Write(sitedoc.Document{}, k.Name, Options{}); err == nil || !strings.Contains(err.Error(), "nothing") {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

// Texts of users stay in their line and in their quotes.
func TestTextsStayInside(t *testing.T) {
	const evil = "x\n}\"; include \"/etc/passwd\"; #\\"
	doc := rich(t)
	for i := range doc.Subnets {
		doc.Subnets[i].Description, doc.Subnets[i].Name = evil, evil
	}
	for i := range doc.Machines {
		doc.Machines[i].Description = evil
	}
	for i := range doc.Ranges {
		doc.Ranges[i].Comment = evil
	}
	for i := range doc.Reserved {
		doc.Reserved[i].Comment = evil
	}
	for i := range doc.Classes {
		doc.Classes[i].Description, doc.Classes[i].VendorClass = evil, evil
	}
	for _, k := range Kinds() {
		text := render(doc, k)
		for line := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimLeft(line, " }\";"), "include") {
				t.Errorf("%s: %s", k.Name, line)
			}
		}
		for part := range strings.SplitSeq(text, "-- ") {
			if name, body, ok := strings.Cut(part, " --\n"); ok && strings.HasSuffix(name, ".json") && !json.Valid([]byte(body)) {
				t.Errorf("%s: %s is no JSON", k.Name, name)
			}
		}
	}
	if slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.Writes == "" }) {
		t.Error("a kind does not say what it writes")
	}
}
