package siteexport

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// page is a configuration that is being written, and the ledger of the document's fields: a writer
// decides on each field by a pointer to it, and what no writer decided is found at the end.
type page struct {
	doc      sitedoc.Document
	o        Options
	files    []File
	err      error // why there are no files
	settings []namedSetting
	fields   []*field
	byField  map[any]*field
}

// namedSetting is a setting of the document as an object with one field.
type namedSetting struct {
	name  string
	Value string `json:"value"`
}

// field is a field that is set, with what became of it.
type field struct {
	object, kind, name string
	outcome            siteimport.Outcome
	why                string
}

func newPage(doc sitedoc.Document, o Options) *page {
	p := &page{doc: doc, o: o, byField: map[any]*field{}}
	for _, name := range slices.Sorted(maps.Keys(doc.Settings)) {
		p.settings = append(p.settings, namedSetting{name, doc.Settings[name]})
	}
	for i := range p.settings {
		p.object("setting "+p.settings[i].name, "setting", reflect.ValueOf(&p.settings[i]).Elem())
	}
	lists := reflect.ValueOf(&p.doc).Elem()
	for i := range lists.NumField() {
		if lists.Field(i).Kind() != reflect.Slice {
			continue
		}
		kind := objectKind(jsonName(lists.Type().Field(i)))
		for n := range lists.Field(i).Len() {
			v := lists.Field(i).Index(n)
			p.object(kind+" "+objectName(v, n), kind, v)
		}
	}
	return p
}

// objectKind is the kind of the objects of a list.
func objectKind(list string) string {
	switch list {
	case "addresses":
		return "address"
	case "dhcp_classes", "user_data":
		return strings.TrimSuffix(list, "es")
	}
	return strings.TrimSuffix(list, "s")
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// objectName says which object it is: by the fields that identify objects of any kind.
func objectName(v reflect.Value, n int) string {
	var parts []string
	for _, name := range []string{"Hostname", "Name", "Domain", "CIDR", "Fabric", "VID", "Source", "Destination", "IP", "Start", "End", "Type", "Data", "Machine", "Tag", "Subnet", "Mode"} {
		f := v.FieldByName(name)
		switch {
		case !f.IsValid(), name == "Type" && v.FieldByName("Data").Kind() != reflect.String:
		case name == "Name" && v.FieldByName("CIDR").IsValid(), name == "Name" && v.FieldByName("Fabric").IsValid(), name == "Subnet" && v.FieldByName("Value").IsValid():
		case name == "Data" && v.Type() == reflect.TypeFor[sitedoc.UserData](): // it may be a secret
		case name == "VID":
			parts = append(parts, fmt.Sprint(f.Int()))
		case f.Kind() == reflect.String && f.String() != "":
			parts = append(parts, f.String())
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("#%d", n+1)
	}
	text := strings.Join(parts, " ")
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "..."
	}
	return text
}

// object enters the fields of an object that are set. Interfaces, links and power control are
// objects of their own.
func (p *page) object(name, kind string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		t := v.Type().Field(i)
		if !t.IsExported() || f.IsZero() {
			continue
		}
		switch inner := f.Addr().Interface().(type) {
		case *[]sitedoc.Interface:
			for n := range *inner {
				p.object(name+" "+(*inner)[n].Name, "interface", f.Index(n))
			}
		case *[]sitedoc.Link:
			for n := range *inner {
				p.object(name+" "+objectName(f.Index(n), n), "link", f.Index(n))
			}
		case **sitedoc.Power:
			p.object(name+" power", "power", f.Elem())
		default:
			x := &field{object: name, kind: kind, name: jsonName(t)}
			p.fields = append(p.fields, x)
			p.byField[inner] = x
		}
	}
}

// settle decides on fields, which are given by pointers to them; those that are not set have
// nothing to decide.
func (p *page) settle(o siteimport.Outcome, why string, fields []any) {
	for _, f := range fields {
		if x := p.byField[f]; x != nil {
			x.outcome, x.why = o, why
		}
	}
}

func (p *page) taken(why string, fields ...any)   { p.settle(siteimport.Taken, why, fields) }
func (p *page) changed(why string, fields ...any) { p.settle(siteimport.Changed, why, fields) }
func (p *page) left(why string, fields ...any)    { p.settle(siteimport.LeftOut, why, fields) }

// rest leaves out those of the fields that are not decided on yet.
func (p *page) rest(why string, fields ...any) {
	for _, f := range fields {
		if x := p.byField[f]; x != nil && x.outcome == "" {
			p.left(why, f)
		}
	}
}

// setting returns a setting, and says what becomes of it if it is set.
func (p *page) setting(name string, o siteimport.Outcome, why string) string {
	for i := range p.settings {
		if p.settings[i].name == name {
			p.settle(o, why, []any{&p.settings[i].Value})
			return p.settings[i].Value
		}
	}
	return ""
}

// add adds a file.
func (p *page) add(name, text string) { p.files = append(p.files, File{name, []byte(text)}) }

// undecided is the reason of a field that no writer knows, which a test forbids.
const undecided = "is not known to this kind"

// report joins the fields of an object that share an outcome.
func (p *page) report(k Kind) (out Report) {
	for _, f := range p.fields {
		if f.outcome == "" {
			f.outcome, f.why = siteimport.LeftOut, undecided
			for _, key := range []string{f.kind, f.kind + "." + f.name, f.object} { // a setting by its name
				if why, ok := k.left[key]; ok {
					f.why = why
				}
			}
		}
		// Of large sites the report has as few items as possible.
		at := -1
		for i := len(out) - 1; i >= 0 && out[i].Object == f.object; i-- {
			if out[i].Outcome == f.outcome && out[i].Why == f.why {
				at = i
			}
		}
		if at < 0 {
			out = append(out, Item{f.object, nil, f.outcome, f.why})
			at = len(out) - 1
		}
		out[at].Fields = append(out[at].Fields, f.name)
	}
	return out
}

// interfaces returns the interfaces of all machines and devices.
func (p *page) interfaces() (out [][]sitedoc.Interface) {
	for _, m := range p.doc.Machines {
		out = append(out, m.Interfaces)
	}
	for _, d := range p.doc.Devices {
		out = append(out, d.Interfaces)
	}
	return out
}
