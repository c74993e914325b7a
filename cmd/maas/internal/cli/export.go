package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gomaas/maas/internal/atomicfile"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteexport"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// exportCmd is `maas export`.
type exportCmd struct {
	remote
	File       string `short:"f" help:"File to write (default: standard output)." placeholder:"FILE"`
	To         string `enum:",${export_kinds}" default:"" help:"Write the configuration of another server instead: ${enum}." placeholder:"KIND"`
	Dir        string `help:"Directory for the files of --to; one file alone may go to standard output." placeholder:"DIR"`
	From       string `help:"Site document to read instead of the site's own, for --to; - reads standard input." placeholder:"FILE"`
	BootServer string `help:"Address of the rack or other server that has the boot files, for --to; without it none is named." placeholder:"HOST"`
	NameServer string `help:"Name of the DNS server, for --to bind (default: localhost)." placeholder:"HOST"`
	Report     string `enum:"table,json" default:"table" help:"Format of the report of --to on standard error: table or json."`
}

// exportKinds are the names of kinds for the flag's values.
func exportKinds() string {
	var names []string
	for _, k := range siteexport.Kinds() {
		names = append(names, k.Name)
	}
	return strings.Join(names, ",")
}

// Help returns the text below the flags.
func (exportCmd) Help() string {
	var out strings.Builder
	out.WriteString("With --to, the report has what became of each object: taken, changed, or left out with the reason.\n\nKinds:\n")
	for _, k := range siteexport.Kinds() {
		fmt.Fprintf(&out, "  %-8s %s\n", k.Name, k.Writes)
	}
	out.WriteString(`
Example:
  maas export -f site.yaml
  maas export --to dhcpd --dir /etc/dhcp --boot-server 192.0.2.5
  maas export --to hosts --from site.yaml --dir .`)
	return out.String()
}

// Run runs the command.
func (c exportCmd) Run(ctx context.Context, io stdio) error {
	if c.To != "" {
		return c.convert(ctx, io)
	}
	if c.Dir != "" || c.From != "" || c.BootServer != "" || c.NameServer != "" {
		return errors.New("--dir, --from, --boot-server and --name-server need --to")
	}
	path := "/api/v1/export"
	if c.Output == "json" {
		path += "?format=json"
	}
	var text []byte
	if err := c.get(ctx, path, &text); err != nil {
		return err
	}
	if c.Output == "json" {
		var indented bytes.Buffer
		if err := c.printRaw(&indented, text); err != nil {
			return err
		}
		text = indented.Bytes()
	}
	if c.File != "" {
		return os.WriteFile(c.File, text, 0o600)
	}
	_, err := io.out.Write(text)
	return err
}

// convert writes the configuration of another server.
func (c exportCmd) convert(ctx context.Context, io stdio) (err error) {
	if c.File != "" {
		return errors.New("--to writes several files; name their directory with --dir instead of --file")
	}
	var text []byte
	if c.From != "" {
		text, err = readFile(c.From)
	} else {
		err = c.get(ctx, "/api/v1/export", &text)
	}
	if err != nil {
		return err
	}
	var doc sitedoc.Document
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.Strict()); err != nil {
		return err
	}
	// The seconds of the day grow, and servers of other zones follow what grows.
	serial := uint32(time.Now().Unix() & math.MaxUint32)
	got, err := siteexport.Write(doc, c.To, siteexport.Options{BootServer: c.BootServer, NameServer: c.NameServer, Serial: serial})
	if err != nil {
		return err
	}
	if c.Dir == "" && len(got.Files) > 1 {
		var names []string
		for _, f := range got.Files {
			names = append(names, f.Name)
		}
		return fmt.Errorf("%s has %d files (%s); name their directory with --dir", c.To, len(names), strings.Join(names, ", "))
	}
	for _, f := range got.Files {
		if c.Dir == "" {
			_, err = io.out.Write(f.Data)
		} else {
			err = c.write(f)
		}
		if err != nil {
			return err
		}
	}
	return c.report(io, got)
}

// write replaces a file whole. Servers run as users of their own, and no secret is in it, so that
// all may read it.
func (c exportCmd) write(f siteexport.File) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	out, err := atomicfile.Replace(filepath.Join(c.Dir, f.Name), f.Data)
	if out == nil {
		return err
	}
	return errors.Join(err, out.Chmod(0o644), out.Close())
}

func (c exportCmd) report(io stdio, got siteexport.Result) error {
	if c.Report == "json" {
		enc := json.NewEncoder(io.err)
		enc.SetIndent("", "  ")
		return enc.Encode(got.Report)
	}
	_, err := fmt.Fprintf(io.err, "%s%s for %s: %d taken, %d changed, %d left out\n", got.Report, counted(len(got.Files), "file"), got.Kind,
		got.Report.Count(siteimport.Taken), got.Report.Count(siteimport.Changed), got.Report.Count(siteimport.LeftOut))
	return err
}
