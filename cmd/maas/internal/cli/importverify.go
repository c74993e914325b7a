package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gomaas/maas/store/inventory/siteimport"
	"github.com/gomaas/maas/store/inventory/siteverify"
)

// importVerifyCmd is `maas import verify`, which needs no region either.
type importVerifyCmd struct {
	Files        []string `arg:"" name:"file" help:"Configuration and lease files of the other server, or the directory that has them."`
	From         string   `enum:",${import_kinds}" default:"" help:"Kind of the other server: ${enum} (default: as the files look)." placeholder:"KIND"`
	Against      string   `enum:",real,model" default:"" help:"Who answers for the other server: real (its program, in a namespace; needs root) or model (the import). Default: real where it can run." placeholder:"SIDE"`
	Accept       []string `sep:"none" help:"Part whose differences are expected, such as 'boot file' or 'option 119'; may be repeated." placeholder:"PART"`
	Packets      int      `default:"1000" help:"Number of packets to ask at most, about; of more objects each n-th is asked." placeholder:"N"`
	Format       string   `enum:"table,json" default:"table" help:"Format of the report: table or json."`
	AllowUnknown bool     `help:"Leave statements out that are not known, instead of refusing them."`
}

// Help returns the text below the flags.
func (importVerifyCmd) Help() string {
	return `About 1,000 packets are asked, or as many as --packets says. Of IPv4: known hosts by MAC address and client
identifier, firmware of each architecture, clients of each class, unknown clients, and renewals of leases. Of
IPv6, of dhcpd and Kea: known hosts, unknown clients and firmware solicit addresses, request them, and ask for
information. Answers are compared by silence, address, length of the lease, options and boot file; what names the
server is not. The exit status is 1 if any differ.

dhcpd, Kea and dnsmasq run on copies of their files in a network namespace that the command makes and removes:
no packet leaves it, and the running server is left alone.

Example:
  maas import verify /etc/dhcp/dhcpd.conf /var/lib/dhcp/dhcpd.leases
  maas import verify /etc/kea/kea-dhcp4.conf --accept 'boot file' --accept 'lease time'`
}

// Run runs the command.
func (c importVerifyCmd) Run(ctx context.Context, io stdio) error {
	kind, fsys, names, err := importCmd{Files: c.Files, From: c.From}.source(ctx)
	if err != nil {
		return err
	}
	got, err := siteimport.Read(fsys, siteimport.Options{Kind: kind, AllowUnknown: c.AllowUnknown}, names...)
	if err != nil {
		return err
	}
	files, err := siteimport.Files(fsys, got.Kind, names...)
	if err != nil {
		return err
	}
	for i := range files {
		files[i] = "/" + files[i]
	}
	report, err := siteverify.Verify(ctx, got, siteverify.Options{Against: c.Against, Accept: c.Accept, Files: files, Packets: c.Packets})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		enc := json.NewEncoder(io.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		_, err = fmt.Fprint(io.out, report)
	}
	if err == nil && report.Different > 0 {
		err = errors.New("the imported site answers otherwise than the other server; see the report")
	}
	return err
}
