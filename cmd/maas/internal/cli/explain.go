package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/cmd/maas/region"
)

// explainCmd is the group `maas explain`.
type explainCmd struct {
	DHCP explainDHCPCmd `cmd:"" name:"dhcp" help:"Show what the racks would answer to a machine's DHCP request, and why."`
	IP   explainIPCmd   `cmd:"" name:"ip" help:"Show everything known about an address."`
	Boot explainBootCmd `cmd:"" help:"Show what a machine would boot, and why."`

	Network explainNetworkCmd `cmd:"" help:"Show the network configuration of a machine as files of its system."`
}

const explainPath = "/api/v1/explain/"

// explainDHCPCmd is `maas explain dhcp`.
type explainDHCPCmd struct {
	remote
	MAC    string `required:"" help:"MAC address of the machine." placeholder:"MAC"`
	Arch   string `help:"Firmware: bios, uefi, uefi-http, arm64, ... or a number of DHCP option 93; none for an operating system. The default is the last firmware seen, or uefi." placeholder:"NAME"`
	Subnet string `help:"Subnet of the machine. The default is every network of the racks." placeholder:"SUBNET"`
	VLAN   string `name:"vlan" help:"VLAN of the machine, as FABRIC/TAG or by name." placeholder:"VLAN"`
	IPv6   bool   `name:"ipv6" short:"6" help:"Use DHCPv6."`
}

// Run runs the command.
func (c explainDHCPCmd) Run(ctx context.Context, io stdio) error {
	query := url.Values{"mac": {c.MAC}, "arch": {c.Arch}, "subnet": {c.Subnet}, "vlan": {c.VLAN}, "ipv6": {fmt.Sprint(c.IPv6)}}
	var answer region.DHCPExplanation
	if err := c.get(ctx, explainPath+"dhcp?"+query.Encode(), &answer); err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, answer, "", nil)
	}
	who := answer.MAC
	if answer.Machine != "" {
		who += ", which is machine " + answer.Machine
	}
	fmt.Fprintf(io.out, "%s\n", who)
	for _, text := range answer.Unserved {
		fmt.Fprintln(io.out, printable(text))
	}
	return eachRack(io.out, answer.Racks, func(a region.RackAnswer) error {
		if len(a.DHCP) == 0 {
			fmt.Fprintf(io.out, "\nrack %s serves no such network\n", a.Rack)
		}
		for _, x := range a.DHCP {
			if err := c.writeDHCP(io.out, a.Rack, x); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachRack shows the answer of each rack. Racks that failed are reported as an error after the
// others.
func eachRack(w io.Writer, racks []region.RackAnswer, show func(region.RackAnswer) error) error {
	if len(racks) == 0 {
		return errors.New("the site has no racks; see maas rack list")
	}
	var errs []error
	for _, a := range racks {
		if a.Error != "" {
			errs = append(errs, fmt.Errorf("rack %s: %s", a.Rack, a.Error))
		} else if err := show(a); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// writeDHCP writes the answer on one network, the steps that led to it, and its options.
func (c explainDHCPCmd) writeDHCP(w io.Writer, rack string, x explain.DHCP) error {
	place := "on " + x.Link
	if x.Relay != "" {
		place = "through the relay " + x.Relay
	}
	fmt.Fprintf(w, "\nrack %s, %s, heard %s:\n", rack, place, x.Message)
	for _, step := range x.Steps {
		fmt.Fprintf(w, "  - %s\n", printable(step))
	}
	if x.Reply == "" {
		_, err := fmt.Fprintf(w, "  => no answer: %s\n", cmp.Or(x.Reason, "nothing to say"))
		return err
	}
	fmt.Fprintf(w, "  => %s", x.Reply)
	if x.Addr.IsValid() {
		fmt.Fprintf(w, " %s for %v", x.Addr, x.Lease)
	}
	fmt.Fprintln(w)
	rows := [][2]string{
		{"chosen", x.AddrBy}, {"subnet", x.Subnet}, {"range", x.Pool}, {"reservation", x.Reservation}, {"mode", strings.TrimSpace(x.Mode + " " + x.ModeBy)},
		{"refused for", x.Reason}, {"next server", addrText(x.NextServer)}, {"boot file", x.BootFile},
	}
	writeRows(w, "     %-12s %s\n", rows)
	for _, o := range x.Options {
		fmt.Fprintf(w, "     option %-5d %s\n", o.Code, printable(o.Value))
	}
	return nil
}

// writeRows writes rows and leaves out empty values.
func writeRows(w io.Writer, format string, rows [][2]string) {
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(w, format, row[0], printable(row[1]))
		}
	}
}

type validAddr interface {
	IsValid() bool
	String() string
}

// addrText returns an address as text; the zero Addr is empty.
func addrText(a validAddr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// explainIPCmd is `maas explain ip`.
type explainIPCmd struct {
	remote
	Addr string `arg:"" help:"The address."`
	At   string `help:"Show who had it at a time: such as 2026-11-30T08:00:00Z, or how long ago, such as 2h." placeholder:"TIME"`
}

// Run runs the command.
func (c explainIPCmd) Run(ctx context.Context, io stdio) error {
	var answer region.AddressExplanation
	path := explainPath + "ip/" + url.PathEscape(c.Addr)
	if c.At != "" {
		path += "?" + url.Values{"at": {c.At}}.Encode()
	}
	if err := c.get(ctx, path, &answer); err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, answer, "", nil)
	}
	where := "in no subnet of this site"
	if answer.Subnet != "" {
		where = "in " + answer.Subnet
	}
	if answer.VLAN != "" {
		where += ", VLAN " + answer.VLAN
	}
	fmt.Fprintf(io.out, "%s is %s\n", answer.IP, where)
	if !answer.At.IsZero() {
		fmt.Fprintf(io.out, "at %s:\n", stamp(answer.At))
	}
	for _, f := range answer.Facts {
		fmt.Fprintf(io.out, "  %-11s  %s%s\n", f.Kind, printable(f.Text), span(f.Since, f.Until))
	}
	var errs []error
	leases := 0
	for _, a := range answer.Racks {
		if a.Error != "" {
			errs = append(errs, fmt.Errorf("rack %s: %s", a.Rack, a.Error))
			continue
		}
		leases++
		l := a.Lease
		fmt.Fprintf(io.out, "  %-11s  %s at rack %s for %s%s\n", "lease", l.State, a.Rack, printable(strings.TrimSpace(l.MAC+" "+l.Hostname)), span(l.Start, l.End))
	}
	if len(answer.Facts)+leases == 0 {
		fmt.Fprintln(io.out, "  nothing else is known of it")
	}
	return errors.Join(errs...)
}

// span returns a period of validity as text.
func span(since, until time.Time) string {
	out := ""
	if !since.IsZero() {
		out = ", since " + stamp(since)
	}
	if !until.IsZero() {
		out += ", until " + stamp(until)
	}
	return out
}

// explainBootCmd is `maas explain boot`.
type explainBootCmd struct {
	remote
	Name string `arg:"" help:"Machine, by name or system ID, or any MAC."`
	Arch string `help:"Firmware, as for explain dhcp. The default is the last firmware seen." placeholder:"NAME"`
}

// Run runs the command.
func (c explainBootCmd) Run(ctx context.Context, io stdio) error {
	var answer region.BootExplanation
	if err := c.get(ctx, explainPath+"boot/"+url.PathEscape(c.Name)+"?"+url.Values{"arch": {c.Arch}}.Encode(), &answer); err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, answer, "", nil)
	}
	fmt.Fprintf(io.out, "%s: %s\n", strings.TrimSpace(answer.Machine+" "+answer.MAC), answer.Why)
	return eachRack(io.out, answer.Racks, func(a region.RackAnswer) error {
		writeBoot(io.out, a)
		return nil
	})
}

// writeBoot writes the boot that a rack would give, with its script.
func writeBoot(w io.Writer, a region.RackAnswer) {
	b := a.Boot
	if b == nil {
		return
	}
	fmt.Fprintf(w, "\nrack %s:\n", a.Rack)
	known := map[bool]string{true: "known", false: "not known"}[b.Known]
	rows := [][2]string{{"machine", known}, {"method", b.Method}, {"fetches", b.Loader}, {"rule", b.Rule}}
	if p := b.Profile; p != nil {
		rows = append(rows, [2]string{"profile", cmp.Or(p.Name, "without a name") + " (" + cmp.Or(string(p.Kind), "linux") + ")"},
			[2]string{"kernel", p.Kernel}, [2]string{"initrd", strings.Join(p.Initrd, ", ")}, [2]string{"cmdline", p.Cmdline}, [2]string{"url", p.URL})
	}
	rows = append(rows, [2]string{"but", b.Error})
	writeRows(w, "  %-8s %s\n", rows)
	if b.Script == "" {
		return
	}
	fmt.Fprintf(w, "  script   %s:\n", b.Language)
	for line := range strings.Lines(b.Script) {
		fmt.Fprintf(w, "    | %s\n", printable(strings.TrimRight(line, "\n")))
	}
}

// explainNetworkCmd is `maas explain network`.
type explainNetworkCmd struct {
	remote
	Name   string `arg:"" help:"Machine, by name or system ID."`
	Format string `default:"netplan" help:"Form: netplan, cloud-init-v2, cloud-init-v1, networkd, networkmanager, ifupdown, ignition, ignition-nm or kernel." placeholder:"FORMAT"`
}

// Run runs the command.
func (c explainNetworkCmd) Run(ctx context.Context, io stdio) error {
	var answer region.NetworkExplanation
	if err := c.get(ctx, explainPath+"network/"+url.PathEscape(c.Name)+"?"+url.Values{"format": {c.Format}}.Encode(), &answer); err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, answer, "", nil)
	}
	for _, f := range answer.Files {
		fmt.Fprintf(io.out, "# %s (mode %o)\n%s\n", f.Path, f.Mode, f.Content)
	}
	for _, line := range append(answer.Open, answer.Warnings...) {
		fmt.Fprintf(io.out, "# %s\n", printable(line))
	}
	return nil
}
