package console

import (
	"cmp"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// maxNotices bounds the notices of the overview.
const maxNotices = 12

// recentFailure is the age up to which a failed boot is news.
const recentFailure = 24 * time.Hour

// notice is one thing that needs attention.
type notice struct {
	Level string // "error", "warning" or "info"
	Kind  string // a word or two
	Text  string
	Path  string // of the page about it
}

// levels orders notices.
var levels = map[string]int{"error": 0, "warning": 1, "info": 2}

// notices returns what needs attention, the worst first.
func notices(v view, f facts) []notice {
	out := slices.Concat(rackNotices(v, f), serverNotices(v, f), addressNotices(v), bootNotices(v, f), bmcNotices(v), deviceNotices(f))
	slices.SortStableFunc(out, func(a, b notice) int { return cmp.Compare(levels[a.Level], levels[b.Level]) })
	return out
}

// rackNotices are about racks that are silent, services that do not run, and networks that racks
// have and were not given.
func rackNotices(v view, f facts) (out []notice) {
	for _, k := range v.Racks {
		h := f.health[k.Name]
		row := rackRowOf(k, h)
		at := "/racks/" + url.PathEscape(k.Name)
		switch row.State {
		case "away":
			out = append(out, notice{"error", "Rack away", k.Name + " is " + row.Text, at})
		case "degraded":
			out = append(out, notice{"error", "Service", k.Name + ": " + row.Text, at})
		}
		for name, text := range h.Report.Troubles {
			out = append(out, notice{"warning", "Trouble", k.Name + ": " + name + " " + text, at})
		}
		for _, p := range k.Proposals(v.Assignment(k)) {
			if !p.Ignored {
				out = append(out, notice{"warning", "Proposal", fmt.Sprintf("%s has %s on %s, and was not given it", k.Name, p.Network, p.Link), at})
			}
		}
	}
	return out
}

// serverNotices are about DHCP servers and routers that are not of this site.
func serverNotices(_ view, f facts) (out []notice) {
	for _, s := range f.servers {
		out = append(out, notice{"error", "Other DHCP server", fmt.Sprintf("%s answers on %s of rack %s", s.Addr, s.Link, s.Rack), "/devices?show=dhcp"})
	}
	for _, d := range f.devices {
		if d.Info.Router != nil {
			out = append(out, notice{"warning", "Router advertisement", fmt.Sprintf("%s advertises itself as a router on %s of rack %s", d.MAC, d.Link, d.Rack), devicePath(d)})
		}
		if d.Rival != nil {
			out = append(out, notice{"error", "Address conflict", fmt.Sprintf("%s and %s both use %s", d.MAC, d.Rival, d.Addr), devicePath(d)})
		}
	}
	return out
}

// defaultExhaustion is the value of setting.Exhaustion that is not set.
const defaultExhaustion = 16

// exhaustion returns the number of free addresses at which a subnet counts as nearly full.
func (v view) exhaustion() int { return v.SettingNumber(setting.Exhaustion, defaultExhaustion) }

// addressNotices are about subnets that run out of addresses.
func addressNotices(v view) (out []notice) {
	for _, s := range subnetRows(v) {
		if s.Low {
			out = append(out, notice{"warning", "Addresses", s.CIDR + " has " + s.Free + " free addresses left", "/networks/subnets/" + itoa(int(s.ID))})
		}
	}
	return out
}

// bootNotices are about machines whose last boot failed.
func bootNotices(v view, f facts) (out []notice) {
	seen := map[string]bool{}
	for _, e := range f.boots { // the latest first
		mac := e.MAC.String()
		if seen[mac] {
			continue
		}
		seen[mac] = true
		row := rowOf(v, e, f.now)
		if row.State == bootFailed && f.now.Sub(e.Last) < recentFailure {
			out = append(out, notice{"warning", "Boot failed", row.Name + " " + row.Diagnosis, row.Path})
		}
	}
	return out
}

// bmcNotices are about machines whose BMC did not answer when it was asked last.
func bmcNotices(v view) (out []notice) {
	var names []string
	for i := range v.Machines {
		if v.Machines[i].Power.State == "error" {
			names = append(names, v.Machines[i].Hostname)
		}
	}
	if len(names) == 0 {
		return nil
	}
	text := strings.Join(names[:min(3, len(names))], ", ")
	if len(names) > 3 {
		text += fmt.Sprintf(" and %d more", len(names)-3)
	}
	return []notice{{"error", "BMC", "the BMC of " + text + " does not answer", "/machines?power=error"}}
}

// deviceNotices are about devices that belong to nothing the site knows.
func deviceNotices(f facts) []notice {
	if len(f.devices) == 0 {
		return nil
	}
	return []notice{{"info", "New devices", plural(len(f.devices), "device") + " on the networks that the site does not know", "/devices"}}
}

// devicePath returns the page that lists a device.
func devicePath(d inventory.Discovery) string { return "/devices?q=" + url.QueryEscape(d.MAC.String()) }

// bigCount writes a number of addresses: those of IPv6 have up to 39 digits.
func bigCount(n *big.Int) string {
	if n == nil {
		return "0"
	}
	if n.BitLen() <= 40 {
		return n.String()
	}
	return "2^" + itoa(n.BitLen()-1)
}
