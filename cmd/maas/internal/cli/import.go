package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// importCmds are `maas import` and what goes with it.
type importCmds struct {
	Files  importCmd       `cmd:"" name:"files" default:"withargs" help:"Translate files, a directory or a URL (the default command)."`
	Verify importVerifyCmd `cmd:"" help:"Ask the other server and the imported site the same questions, and compare the answers."`
}

// importCmd is `maas import`, which needs no region: its result is a document for `maas apply`.
type importCmd struct {
	Files        []string `arg:"" name:"file" help:"Configuration and lease files of the other server, the directory that has them, or the URL of a NetBox or MAAS."`
	From         string   `enum:",${import_kinds}" default:"" help:"Kind of the other server: ${enum} (default: as the files look)." placeholder:"KIND"`
	DryRun       bool     `help:"Report what would become of each statement, without writing anything."`
	Out          string   `short:"o" name:"out" help:"File to write the site document to (default: standard output)." placeholder:"FILE"`
	Leases       string   `help:"Lease journal to add the leases to: the file leases of a rack that does not run, or a new file." placeholder:"FILE"`
	TokenFile    string   `help:"File with the token of the NetBox, or the API key of the MAAS, at a URL (default: $$MAAS_IMPORT_TOKEN)." placeholder:"FILE"`
	Report       string   `enum:"table,json" default:"table" help:"Format of the report on standard error: table or json."`
	AllowUnknown bool     `help:"Leave statements out that are not known, instead of refusing them."`
}

// importKinds are the names of kinds for the flag's values.
func importKinds() string {
	var names []string
	for _, k := range siteimport.Kinds() {
		names = append(names, k.Name)
	}
	return strings.Join(names, ",")
}

// Help returns the text below the flags.
func (importCmd) Help() string {
	var out strings.Builder
	out.WriteString(`The report has what became of each statement: taken, changed, or left out with the reason.

Kinds:
`)
	for _, k := range siteimport.Kinds() {
		fmt.Fprintf(&out, "  %-8s %s\n", k.Name, k.Reads)
	}
	out.WriteString(`
Example:
  maas import /etc/dhcp/dhcpd.conf --dry-run
  maas import /etc/dhcp/dhcpd.conf /var/lib/dhcp/dhcpd.leases -o site.yaml --leases leases
  maas import https://netbox.example.org --token-file token -o site.yaml
  maas apply -f site.yaml --dry-run

DHCP stays off on the imported VLANs. To change over, stop the other server, import its leases into
the file leases of the rack's data directory while the rack is stopped, start the rack, and switch
DHCP on with maas vlan update: clients renew the leases that the other server gave them.`)
	return out.String()
}

// Run runs the command.
func (c importCmd) Run(ctx context.Context, io stdio) error {
	kind, fsys, names, err := c.source(ctx)
	if err != nil {
		return err
	}
	bar := importBar{stdio: io, live: isTerminal(io.err)}
	got, err := siteimport.Read(fsys, siteimport.Options{Kind: kind, AllowUnknown: c.AllowUnknown, Progress: bar.show}, names...)
	bar.end()
	if err != nil {
		return err
	}
	if err := c.report(io, got); err != nil || c.DryRun {
		return err
	}
	if c.Leases != "" {
		if err := c.addLeases(ctx, io, got.Leases); err != nil {
			return err
		}
	}
	doc, err := yaml.Marshal(got.Document)
	if err != nil {
		return err
	}
	if c.Out != "" {
		return os.WriteFile(c.Out, doc, 0o600)
	}
	_, err = io.out.Write(doc)
	return err
}

// source returns the kind that was named, or that of a URL, and the files to read.
func (c importCmd) source(ctx context.Context) (kind string, fsys fs.FS, names []string, err error) {
	base := c.Files[0]
	if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		for _, file := range c.Files {
			name, err := filepath.Abs(file)
			if err != nil {
				return "", nil, nil, err
			}
			names = append(names, filepath.ToSlash(name[len(filepath.VolumeName(name)):]))
		}
		return c.From, os.DirFS("/"), names, nil // configurations include files by absolute names
	}
	if len(c.Files) > 1 {
		return "", nil, nil, errors.New("import one URL at a time")
	}
	// MAAS is below /MAAS unless a proxy hides that.
	if kind = c.From; kind == "" {
		kind = "netbox"
		if strings.Contains(strings.ToUpper(base), "/MAAS") {
			kind = "maas"
		}
	}
	token := os.Getenv("MAAS_IMPORT_TOKEN")
	if c.TokenFile != "" {
		raw, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return "", nil, nil, err
		}
		token = string(raw)
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", nil, nil, fmt.Errorf("%s needs a token; name its file with --token-file, or set MAAS_IMPORT_TOKEN", base)
	}
	fsys, names, err = siteimport.Fetch(ctx, nil, kind, base, token)
	return kind, fsys, names, err
}

func (c importCmd) report(io stdio, got siteimport.Result) error {
	if c.Report == "json" {
		enc := json.NewEncoder(io.err)
		enc.SetIndent("", "  ")
		return enc.Encode(got.Report)
	}
	_, err := fmt.Fprintf(io.err, "%s%s of %s: %d taken, %d changed, %d left out\n", got.Report, counted(len(got.Report), "statement"), got.Kind,
		got.Report.Count(siteimport.Taken), got.Report.Count(siteimport.Changed), got.Report.Count(siteimport.LeftOut))
	if err == nil && len(got.Leases) > 0 && c.Leases == "" {
		_, err = fmt.Fprintf(io.err, "%s: add them to a rack's journal with --leases FILE\n", counted(len(got.Leases), "lease"))
	}
	return err
}

// leasesAtOnce is the number of leases in a commit: each is one write and one sync.
const leasesAtOnce = 10_000

// addLeases adds leases to a journal. What the rack itself knows of an address counts if it is
// newer: an import that is repeated after the rack served takes no address from a client.
func (c importCmd) addLeases(ctx context.Context, io stdio, leases []siteimport.Lease) (err error) {
	j, err := journal.Open(c.Leases)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	have := map[netip.Addr]dhcpsrv.Lease{}
	for l, err := range j.Load(ctx) {
		if err != nil {
			return err
		}
		if l.VRF == "" {
			have[l.Addr] = l
		}
	}
	batch := make([]dhcpsrv.Lease, 0, len(leases))
	for _, l := range leases {
		own, ok := have[l.Addr]
		// Leases of dnsmasq have an end alone, by which two of them are compared.
		if !ok || own.Changed.Before(l.Start) || own.Changed.IsZero() && own.End.Before(l.End) {
			batch = append(batch, l.DHCP())
		}
	}
	for some := range slices.Chunk(batch, leasesAtOnce) {
		if err := j.Commit(ctx, some); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(io.err, "%s added to %s, %d newer there\n", counted(len(batch), "lease"), c.Leases, len(leases)-len(batch))
	return err
}

// importBar counts statements on a terminal: how many a configuration has is known at its end.
type importBar struct {
	stdio
	live, drawn bool
}

func (b *importBar) show(statements int) {
	if b.live {
		fmt.Fprintf(b.err, "\r\x1b[K%d statements read", statements)
		b.drawn = true
	}
}

func (b *importBar) end() {
	if b.drawn {
		fmt.Fprint(b.err, "\r\x1b[K")
	}
}
