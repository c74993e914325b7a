package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// Bounds of the lists of the overview; each links to its whole list.
const (
	overviewBoots   = 6
	overviewSubnets = 10
	overviewRacks   = 8
)

// overviewView is the data of the overview.
type overviewView struct {
	Machines  int
	States    []count
	Power     []count
	Booting   int
	Boots     []bootRow
	Subnets   []subnetRow
	AllNets   int
	Racks     []rackRow
	AllRacks  int
	Attention []notice
	More      int // notices that are left out
}

// count is a number with its name and the list that has the objects.
type count struct {
	Name  string
	N     int
	Path  string
	Class string // of its color
	X, W  float64
}

// subnetRow is a subnet with its free addresses.
type subnetRow struct {
	ID         int64
	CIDR, Name string
	VLAN       string
	Free       string
	Used       float64 // part of 100
	Low        bool
}

// rackRow is a rack with its health.
type rackRow struct {
	Name     string
	State    string // "running", "degraded", "away", "never"
	Text     string
	Heard    time.Time
	Services []inventory.RackService
}

// overview shows the state of the site, and what needs attention first.
func (c *Console) overview(w http.ResponseWriter, r *http.Request) error {
	facts, err := c.gather(r.Context())
	if err != nil {
		return err
	}
	var out overviewView
	err = c.site.look(r.Context(), func(v view) error {
		out = overviewOf(v, facts)
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(w, r, "overview", frame{Title: "Overview", Here: "Overview", Command: "maas status", Call: "machines/", Data: out})
}

// facts holds the reports of a site besides its model.
type facts struct {
	boots   []bootEntry
	health  map[string]inventory.RackHealth
	servers []inventory.DHCPServer
	devices []inventory.Discovery
	now     time.Time
}

// gather reads the facts.
func (c *Console) gather(ctx context.Context) (f facts, err error) {
	f.now = now()
	if f.boots, _, err = c.boots.list(ctx); err != nil {
		return f, err
	}
	if f.health, err = c.cfg.Health.Racks(ctx); err != nil {
		return f, err
	}
	if f.servers, err = c.cfg.Devices.DHCPServers(ctx); err != nil {
		return f, err
	}
	f.devices, err = c.cfg.Devices.List(ctx, inventory.UnknownMACAndAddr)
	return f, err
}

// overviewOf arranges the overview.
func overviewOf(v view, f facts) overviewView {
	out := overviewView{Machines: len(v.Machines), States: statesOf(v), Power: powersOf(v), AllNets: len(v.Subnets), AllRacks: len(v.Racks)}
	for _, e := range f.boots {
		row := rowOf(v, e, f.now)
		if row.State != bootActive {
			continue
		}
		if out.Booting++; len(out.Boots) < overviewBoots {
			out.Boots = append(out.Boots, row)
		}
	}
	out.Subnets = subnetRows(v)
	slices.SortStableFunc(out.Subnets, func(a, b subnetRow) int { return cmp.Compare(b.Used, a.Used) })
	out.Subnets = out.Subnets[:min(len(out.Subnets), overviewSubnets)]
	out.Racks = rackRows(v, f)
	slices.SortStableFunc(out.Racks, func(a, b rackRow) int { return cmp.Compare(worse(b.State), worse(a.State)) })
	out.Racks = out.Racks[:min(len(out.Racks), overviewRacks)]
	all := notices(v, f)
	out.Attention = all[:min(len(all), maxNotices)]
	out.More = len(all) - len(out.Attention)
	return out
}

// statuses are the states of machines in the order of their life.
var statuses = []inventory.Status{
	inventory.StatusNew, inventory.StatusCommissioning, inventory.StatusReady, inventory.StatusAllocated, inventory.StatusDeploying,
	inventory.StatusDeployed, inventory.StatusReleasing, inventory.StatusBroken,
}

// statesOf counts the machines by state, and places the counts on a bar of 100 units.
func statesOf(v view) (out []count) {
	n := map[inventory.Status]int{}
	for i := range v.Machines {
		n[v.Machines[i].Status]++
	}
	x := 0.0
	for _, s := range statuses {
		if n[s] == 0 {
			continue
		}
		width := 100 * float64(n[s]) / float64(len(v.Machines))
		out = append(out, count{Name: string(s), N: n[s], Path: "/machines?status=" + url.QueryEscape(string(s)), Class: "s-" + string(s), X: x, W: width})
		x += width
	}
	return out
}

// powersOf counts the machines by the power state that was seen last.
func powersOf(v view) (out []count) {
	n := map[string]int{}
	for i := range v.Machines {
		n[cmp.Or(v.Machines[i].Power.State, "unknown")]++
	}
	for _, s := range []string{"on", "off", "unknown", "error"} {
		if n[s] > 0 {
			out = append(out, count{Name: s, N: n[s], Path: "/machines?power=" + s, Class: "p-" + s})
		}
	}
	return out
}

// subnetRows returns all subnets.
func subnetRows(v view) (out []subnetRow) {
	uses := v.usage()
	threshold := v.exhaustion()
	for _, s := range v.Subnets {
		out = append(out, subnetRowOf(v, s, uses[s.ID].Stats, threshold))
	}
	return out
}

func subnetRowOf(v view, s ipam.Subnet, st ipam.Statistics, threshold int) subnetRow {
	return subnetRow{
		ID: s.ID, CIDR: s.Prefix.String(), Name: nameOf(s), VLAN: v.vlanName(s.VLANID), Free: bigCount(st.Available), Used: 100 * st.Usage(),
		Low: threshold > 0 && st.Exhausting(threshold),
	}
}

// nameOf returns the name of a subnet, "" where that is its prefix.
func nameOf(s ipam.Subnet) string {
	if s.Name == s.Prefix.String() {
		return ""
	}
	return s.Name
}

// rackRows returns all racks with their health.
func rackRows(v view, f facts) (out []rackRow) {
	for _, k := range v.Racks {
		out = append(out, rackRowOf(k, f.health[k.Name]))
	}
	return out
}

func rackRowOf(k inventory.Rack, h inventory.RackHealth) rackRow {
	row := rackRow{Name: k.Name, State: "running", Heard: h.Heard, Services: h.Report.Services, Text: "all services run"}
	switch {
	case h.Heard.IsZero():
		row.State, row.Text = "never", "has not reported yet"
		return row
	case !h.Away.IsZero():
		row.State, row.Text = "away", "silent since "+stamp(h.Away)
		return row
	}
	for _, s := range h.Report.Services {
		if s.Status == "dead" || s.Status == "degraded" {
			row.State, row.Text = "degraded", s.Name+" is "+s.Status
			if s.Info != "" {
				row.Text += ": " + s.Info
			}
		}
	}
	return row
}

// worse orders the states of racks.
func worse(state string) int {
	return map[string]int{"away": 3, "degraded": 2, "never": 1}[state]
}
