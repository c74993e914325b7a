package cli

import (
	"cmp"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/loaders"
)

// loaderCmd is the group `maas loader`.
type loaderCmd struct {
	List loaderListCmd `cmd:"" help:"List the boot loaders of UEFI on this host: processor, signatures, SBAT generations."`
}

// loaderListCmd is `maas loader list`, which works without a daemon.
type loaderListCmd struct {
	remote
	Loaders string `help:"Directory of boot loaders (default: the directories of Debian's packages)." type:"path" placeholder:"DIR"`
}

// loaderRow describes a boot loader.
type loaderRow struct {
	File     string               `json:"file"`
	Arch     string               `json:"arch,omitempty"`
	SignedBy []loaders.CA         `json:"signed_by"`
	Vendor   []string             `json:"vendor,omitempty"` // whose loaders a shim starts
	Starts   string               `json:"starts,omitempty"`
	SBAT     []loaders.Generation `json:"sbat,omitempty"`
	Size     int64                `json:"size"`
	Problem  string               `json:"problem,omitempty"`
}

// Run runs the command.
func (c loaderListCmd) Run(io stdio) error {
	var from fs.FS = pxe.DebianLoaders()
	if c.Loaders != "" {
		from = pxe.Loaders(c.Loaders)
	}
	all := loaderRows(loaders.Chains(from))
	return c.print(io.out, all, "FILE\tARCH\tSIGNED BY\tSTARTS\tSBAT\tSIZE\tPROBLEM", func(row func(...string)) {
		for _, l := range all {
			signed := make([]string, len(l.SignedBy))
			for i, ca := range l.SignedBy {
				signed[i] = string(ca)
			}
			row(l.File, l.Arch, cmp.Or(strings.Join(signed, ", "), "nothing"), l.Starts, generations(l.SBAT), fmt.Sprint(l.Size), l.Problem)
		}
	})
}

// loaderRows lists the loaders of chains, each once.
func loaderRows(chains []loaders.Chain) []loaderRow {
	out, seen := []loaderRow{}, map[string]bool{}
	add := func(file string, p loaders.Program, starts string, err error) {
		if seen[file] {
			return
		}
		seen[file] = true
		l := loaderRow{File: file, Arch: p.Arch, SignedBy: p.CAs(), Vendor: p.Vendor, Starts: starts, SBAT: p.SBAT, Size: p.Size}
		if err != nil {
			l.Problem = err.Error()
		}
		out = append(out, l)
	}
	for _, c := range chains {
		add(c.Path, c.Program, c.Next, c.Err)
	}
	for _, c := range chains {
		if c.NextProgram.Size > 0 {
			add(c.Next, c.NextProgram, "", nil)
		}
	}
	return out
}

// generations lists the components of a loader, without the one of SBAT itself.
func generations(all []loaders.Generation) string {
	var out []string
	for _, g := range all {
		if g.Component != "sbat" {
			out = append(out, fmt.Sprintf("%s %d", g.Component, g.Generation))
		}
	}
	return strings.Join(out, ", ")
}
