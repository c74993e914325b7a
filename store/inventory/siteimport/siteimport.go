package siteimport

import (
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// Options say how a configuration is read.
type Options struct {
	// Kind is the name of one of Kinds; "" = it is recognized by the name and the text of the first
	// file.
	Kind string
	// AllowUnknown leaves statements out that the kind does not know, instead of refusing them.
	AllowUnknown bool
	// Progress is called with the number of statements now and then. If nil, it is not.
	Progress func(statements int)
}

// Result holds what a configuration says.
type Result struct {
	Kind     string
	Document sitedoc.Document
	Leases   []Lease // of the old server, one for each address or prefix, in order of these
	Report   Report
}

// Report has one item for each statement, in the order of reading.
type Report []Item

// Item describes what became of a statement.
type Item struct {
	File      string  `json:"file"`
	Line      int     `json:"line"`
	Statement string  `json:"statement"` // shortened; without secrets
	Outcome   Outcome `json:"outcome"`
	Why       string  `json:"why"` // what it became, or why it is left out and what to do

	tokens int // of the statement itself, by which a test counts that nothing is lost
}

// Outcome says whether the document has what a statement means.
type Outcome string

// Outcomes of statements.
const (
	Taken   Outcome = "taken"
	Changed Outcome = "changed"
	LeftOut Outcome = "left out"
)

// Count returns the number of items with an outcome.
func (r Report) Count(o Outcome) (n int) {
	for _, i := range r {
		if i.Outcome == o {
			n++
		}
	}
	return n
}

// String is the report as a table.
func (r Report) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLACE\tSTATEMENT\tOUTCOME\tWHY")
	for _, i := range r {
		fmt.Fprintf(w, "%s:%d\t%s\t%s\t%s\n", i.File, i.Line, i.Statement, i.Outcome, i.Why)
	}
	w.Flush()
	return out.String()
}

// Read reads the configuration in the named files, and those that they include. A directory stands
// for the files in it that belong to the kind. Absolute names of included files are relative to the
// root of fsys. Errors begin with file and line.
func Read(fsys fs.FS, o Options, names ...string) (Result, error) {
	return read(&source{fsys: fsys}, o, names)
}

func read(src *source, o Options, names []string) (Result, error) {
	files, err := expand(src.fsys, o.Kind, names)
	if err != nil {
		return Result{}, err
	}
	kind, err := kindOf(src.fsys, o.Kind, files)
	if err != nil {
		return Result{}, err
	}
	b := newBuilder(kind.Name, o)
	if err := kind.read(b, src, files); err != nil {
		return Result{}, err
	}
	out := b.finish()
	out.Kind = kind.Name
	return out, nil
}
