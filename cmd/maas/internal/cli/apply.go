package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// applyCmd is `maas apply`, which sends a document to the API; the region compares and applies it
// in one transaction.
type applyCmd struct {
	remote
	destructive
	File   string `short:"f" required:"" help:"Site document, YAML or JSON, as maas export writes it; - reads standard input." placeholder:"FILE"`
	DryRun bool   `help:"Print the changes without making them."`
	Prune  bool   `help:"Delete objects that the document's lists do not contain, after confirmation."`
}

// Run runs the command.
func (c applyCmd) Run(ctx context.Context, io stdio) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	doc, err := readFile(c.File)
	if err != nil {
		return err
	}
	if c.Prune && !c.DryRun && !c.Yes {
		would, err := c.send(ctx, cl, doc, true)
		if err != nil {
			return err
		}
		deleted := slices.DeleteFunc(would.Changes, func(ch sitedoc.Change) bool { return ch.Op != "delete" })
		if len(deleted) > 0 {
			writeChanges(io.err, deleted)
			if err := c.confirm(io, fmt.Sprintf("Delete %s?", counted(len(deleted), "object"))); err != nil {
				return err
			}
		}
	}
	did, err := c.send(ctx, cl, doc, c.DryRun)
	if err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, did, "", nil)
	}
	writeChanges(io.out, did.Changes)
	for _, w := range did.Warnings {
		fmt.Fprintln(io.err, "warning: "+printable(w))
	}
	_, err = fmt.Fprintln(io.out, outcome(did))
	return err
}

// send sends the document and returns the changes, made or planned.
func (c applyCmd) send(ctx context.Context, cl client.Client, doc []byte, dry bool) (did maasapi.Applied, err error) {
	kind := "application/yaml"
	if filepath.Ext(c.File) == ".json" {
		kind = "application/json"
	}
	query := url.Values{"dry_run": {fmt.Sprint(dry)}, "prune": {fmt.Sprint(c.Prune)}}
	err = cl.Do(ctx, http.MethodPost, "/api/v1/apply?"+query.Encode(), bytes.NewReader(doc), kind, &did)
	if err != nil {
		err = atLine(c.File, err)
	}
	return did, err
}

// documentLine begins the text of the region's errors about a document.
var documentLine = regexp.MustCompile(`^document: line (\d+): `)

// atLine names the file of a document before an error, and the line as FILE:LINE if it is known.
func atLine(file string, err error) error {
	refused := (*client.Error)(nil)
	if errors.As(err, &refused) {
		if m := documentLine.FindStringSubmatch(refused.Text); m != nil {
			return &client.Error{Status: refused.Status, Text: file + ":" + m[1] + ": " + refused.Text[len(m[0]):]}
		}
	}
	return fmt.Errorf("%s: %w", file, err)
}

// readFile reads a file, or standard input for "-".
func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

// outcome returns the last line of the output.
func outcome(did maasapi.Applied) string {
	count := map[string]int{}
	for _, ch := range did.Changes {
		count[ch.Op]++
	}
	if len(did.Changes) == 0 {
		return "Nothing to change: the site is as the document says."
	}
	form := "%d created, %d changed, %d deleted."
	if did.DryRun {
		form = "%d would be created, %d changed, %d deleted; nothing was done."
	}
	return fmt.Sprintf(form, count["create"], count["update"], count["delete"])
}

// counted returns a number with its noun, in the plural by an s.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// changeMarks holds the sign and the terminal color of each kind of change.
var changeMarks = map[string][2]string{"create": {"+", "32"}, "update": {"~", "33"}, "delete": {"-", "31"}}

// writeChanges writes a line for each object and, below a created or changed object, a line for
// each field that differs.
func writeChanges(w io.Writer, changes []sitedoc.Change) {
	for _, ch := range changes {
		mark := changeMarks[ch.Op]
		fmt.Fprintln(w, painted(w, mark[1], fmt.Sprintf("%s %s %s", mark[0], ch.Kind, printable(ch.Name))))
		if ch.Op != "delete" {
			for _, d := range differences(ch.Before, ch.After) {
				if ch.Op == "create" && strings.HasSuffix(d, ": "+ch.Name) { // the line above says so
					continue
				}
				fmt.Fprintln(w, "    "+printable(d))
			}
		}
	}
}

// differences returns the fields that differ between two JSON objects, in the order of the second.
func differences(before, after json.RawMessage) (out []string) {
	var old, now map[string]json.RawMessage
	if json.Unmarshal(after, &now) != nil {
		return nil
	}
	_ = json.Unmarshal(before, &old) // before is empty for a new object
	names := fieldOrder(after)
	for _, name := range fieldOrder(before) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		was, is := compact(old[name]), compact(now[name])
		switch {
		case was == is:
		case was == "":
			out = append(out, name+": "+is)
		case is == "":
			out = append(out, name+": "+was+" -> nothing")
		default:
			out = append(out, name+": "+was+" -> "+is)
		}
	}
	return out
}

// compact returns a JSON value on one line, and text without quotes.
func compact(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var out bytes.Buffer
	if len(raw) == 0 || json.Compact(&out, raw) != nil {
		return ""
	}
	return strings.NewReplacer(`"`, "", ",", ", ", ":", ": ").Replace(out.String())
}
