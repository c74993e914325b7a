package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gomaas/maas/cmd/maas/guide"
	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/doctor"
	"github.com/gomaas/maas/pxe"
)

// doctorCmd is `maas doctor`, which works without a daemon: what keeps it from starting is part of
// the question.
type doctorCmd struct {
	remote
	Interface  []string `help:"Interface to check (default: all that have an address)." placeholder:"IFACE"`
	RackPort   int      `help:"Port of the HTTP boot server (default 5248)." placeholder:"PORT"`
	DNSPort    int      `name:"dns-port" help:"Port of the DNS server (default 53)." placeholder:"PORT"`
	SyslogPort int      `help:"UDP port for what machines log while they boot (default 5247)." placeholder:"PORT"`
	Loaders    string   `help:"Directory of boot loaders (default: the directories of Debian's packages)." type:"path" placeholder:"DIR"`
	Quick      bool     `help:"Skip the search for other DHCP servers, which takes some seconds."`
	Quiet      bool     `short:"q" help:"Print problems only."`
}

// findingMarks holds the word and the terminal color of each severity.
var findingMarks = map[doctor.Severity][2]string{doctor.Fine: {"ok", "32"}, doctor.Warning: {"warning", "33"}, doctor.Bad: {"ERROR", "31"}}

// Run runs the command. Bad findings make it fail; warnings do not.
func (c doctorCmd) Run(ctx context.Context, io stdio) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	cfg := doctor.Config{
		Data: cmp.Or(c.Data, config.DefaultData), Client: cl, Interfaces: c.Interface, HTTPPort: c.RackPort, DNSPort: c.DNSPort, SyslogPort: c.SyslogPort, Quick: c.Quick,
	}
	if c.Loaders != "" {
		cfg.Loaders = pxe.Loaders(c.Loaders)
	}
	all := doctor.Check(doctor.Gather(ctx, cfg))
	shown, bad := []doctor.Finding{}, 0
	for _, f := range all {
		if !c.Quiet || f.Severity != doctor.Fine {
			shown = append(shown, f)
		}
		if f.Severity == doctor.Bad {
			bad++
		}
	}
	if c.Output != "table" {
		err = c.print(io.out, shown, "", nil)
	} else {
		writeFindings(io.out, shown)
	}
	if err == nil && bad > 0 {
		err = errors.New(counted(bad, "thing") + " to cure")
	}
	return err
}

// writeFindings writes a line for each finding, and its cure below it.
func writeFindings(w io.Writer, findings []doctor.Finding) {
	for _, f := range findings {
		mark := findingMarks[f.Severity]
		fmt.Fprintf(w, "%s  %-12s  %s\n", painted(w, mark[1], fmt.Sprintf("%-7s", mark[0])), f.Check, printable(f.Text))
		if f.Cure != "" {
			fmt.Fprintf(w, "%23s  -> %s (maas docs %s)\n", "", f.Cure, guide.OfCheck(f.Check))
		}
	}
}
