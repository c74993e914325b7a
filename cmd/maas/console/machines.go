package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

// machineRow is a machine as lists show it.
type machineRow struct {
	System, Name, FQDN string
	Status             string
	Power, PowerType   string
	Locked             bool
	Addrs              []string
	MAC                string
	Zone, Pool, Owner  string
	Tags               []string
}

// machinesView is the data of the list of machines.
type machinesView struct {
	Rows     []machineRow
	Q        string
	Status   string
	Power    string
	Zone     string
	Pool     string
	Tag      string
	Statuses []inventory.Status
	Powers   []string
	Zones    []string
	Pools    []string
	Tags     []string
	Pages    pager
	Bulk     []bulkAction
}

// machineList shows the machines that fit the search, in order of name.
func (c *Console) machineList(w http.ResponseWriter, r *http.Request) error {
	out := machinesView{
		Q: r.FormValue("q"), Status: r.FormValue("status"), Power: r.FormValue("power"), Zone: r.FormValue("zone"), Pool: r.FormValue("pool"),
		Tag: r.FormValue("tag"), Statuses: statuses, Powers: []string{"on", "off", "unknown", "error"}, Bulk: bulkActions(sessionOf(r).user),
	}
	err := c.site.look(r.Context(), func(v view) error {
		var fit []int
		words := strings.Fields(strings.ToLower(out.Q))
		for i := range v.Machines {
			if out.wants(v, &v.Machines[i], words) {
				fit = append(fit, i)
			}
		}
		slices.SortFunc(fit, func(a, b int) int { return natural(v.Machines[a].Hostname, v.Machines[b].Hostname) })
		out.Pages = pagerOf(r, len(fit))
		for _, i := range cut(fit, out.Pages) {
			out.Rows = append(out.Rows, v.machineRow(&v.Machines[i]))
		}
		for _, z := range v.Zones {
			out.Zones = append(out.Zones, z.Name)
		}
		for _, p := range v.Pools {
			out.Pools = append(out.Pools, p.Name)
		}
		for _, t := range v.Tags {
			out.Tags = append(out.Tags, t.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(w, r, "machines", frame{Title: "Machines", Here: "Machines", Command: "maas machine list", Call: "machines/", Data: out})
}

// wants reports whether a machine fits the search.
func (f *machinesView) wants(v view, m *inventory.Machine, words []string) bool {
	switch {
	case f.Status != "" && f.Status != string(m.Status), f.Power != "" && f.Power != cmp.Or(m.Power.State, "unknown"),
		f.Zone != "" && f.Zone != v.zoneName(m.ZoneID), f.Pool != "" && f.Pool != v.poolName(m.PoolID), f.Tag != "" && !slices.Contains(m.Tags, f.Tag):
		return false
	}
	for _, word := range words {
		if !mentions(m, word) {
			return false
		}
	}
	return true
}

// mentions reports whether a word in lower case is part of what a machine is called.
func mentions(m *inventory.Machine, word string) bool {
	for _, text := range []string{m.FQDN, m.SystemID, m.Owner, m.UUID} {
		if strings.Contains(text, word) {
			return true
		}
	}
	if strings.Contains(strings.ToLower(m.Description), word) || slices.ContainsFunc(m.Tags, func(t string) bool { return strings.Contains(strings.ToLower(t), word) }) {
		return true
	}
	for _, nic := range m.Interfaces {
		if strings.Contains(nic.MAC.String(), word) {
			return true
		}
		for _, l := range nic.Links {
			if l.Addr.IsValid() && strings.Contains(l.Addr.String(), word) {
				return true
			}
		}
	}
	return false
}

// natural orders names with numbers in them as people do: node-2 before node-10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if order := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); order != 0 {
			return order
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns the number of digits that a text begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func (v view) machineRow(m *inventory.Machine) machineRow {
	row := machineRow{
		System: m.SystemID, Name: m.Hostname, FQDN: m.FQDN, Status: string(m.Status), Power: cmp.Or(m.Power.State, "unknown"), PowerType: m.Power.Type,
		Locked: m.Locked, Zone: v.zoneName(m.ZoneID), Pool: v.poolName(m.PoolID), Owner: m.Owner, Tags: m.Tags,
	}
	if mac := m.BootMAC(); mac != nil {
		row.MAC = mac.String()
	}
	for _, a := range m.Addrs() {
		row.Addrs = append(row.Addrs, a.String())
	}
	return row
}

func (v view) zoneName(id int64) string {
	for i := range v.Zones {
		if v.Zones[i].ID == id {
			return v.Zones[i].Name
		}
	}
	return ""
}

func (v view) poolName(id int64) string {
	for i := range v.Pools {
		if v.Pools[i].ID == id {
			return v.Pools[i].Name
		}
	}
	return ""
}

func (v view) domainName(id int64) string {
	for i := range v.Domains {
		if v.Domains[i].ID == id {
			return v.Domains[i].Name
		}
	}
	return ""
}
