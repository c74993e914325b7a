package maasapi

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// snippetJSON is a set of DHCP options.
type snippetJSON struct {
	ID          int64            `json:"id"`
	Name        string           `json:"name"`
	Value       string           `json:"value"`
	Description string           `json:"description"`
	Enabled     bool             `json:"enabled"`
	Node        *nodeSummaryJSON `json:"node"`
	Subnet      *Subnet          `json:"subnet"`
	IPRange     *rangeJSON       `json:"iprange"`
	Global      bool             `json:"global_snippet"`
	// History is always empty: earlier values are not kept.
	History     []any  `json:"history"`
	ResourceURI string `json:"resource_uri"`
}

// snippets serves DHCP options. New ones are enabled, as in MAAS.
func (a *API) snippets() crud[inventory.Snippet] {
	return crud[inventory.Snippet]{
		shown: snippetJSON{}, tx: a.tx, all: every(a.inv.Snippets.List), find: numbered(a.inv.Snippets.Get), show: a.showSnippets,
		fresh:  func(*http.Request) (inventory.Snippet, error) { return inventory.Snippet{Enabled: true}, nil },
		read:   a.snippetForm,
		create: a.inv.Snippets.Create, update: a.inv.Snippets.Update,
		remove: removing(a.inv.Snippets.Delete, func(s inventory.Snippet) int64 { return s.ID }),
	}
}

// snippetForm reads a set of DHCP options. It applies to one of the site, a node, a subnet and a
// range, so naming one unsets the others.
func (a *API) snippetForm(r *http.Request, f *form.Form, to *inventory.Snippet) {
	f.Text("name", &to.Name)
	f.Text("value", &to.Value)
	f.Text("description", &to.Description)
	f.Flag("enabled", &to.Enabled)
	var global bool
	if f.Flag("global_snippet", &global); global {
		to.NodeID, to.SubnetID, to.RangeID = 0, 0, 0
	}
	places := []struct {
		field string
		to    *int64
		find  func(string) (int64, error)
	}{
		{"node", &to.NodeID, func(text string) (int64, error) { return a.taggable(r.Context(), text) }},
		{"subnet", &to.SubnetID, a.subnetRef(r)},
		{"iprange", &to.RangeID, a.rangeRef(r)},
	}
	for i, p := range places {
		if f.Get(p.field) == "" {
			continue
		}
		if readRef(f, p.field, p.to, p.find); global {
			f.Wrong("global_snippet", "is for options of the whole site, and %s is given", p.field)
		}
		for j, other := range places {
			if i != j && f.Get(other.field) == "" {
				*other.to = 0
			}
		}
	}
}

// rangeRef resolves the number of a range; ranges have no names.
func (a *API) rangeRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not the number of a range", text)
		}
		rg, err := a.inv.Ranges.Get(r.Context(), id)
		return rg.ID, err
	}
}

// showSnippets shows sets of DHCP options with the object that each applies to.
func (a *API) showSnippets(r *http.Request, snippets []inventory.Snippet) ([]any, error) {
	view, err := a.subnetView(r)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, s := range snippets {
		shown := snippetJSON{
			ID: s.ID, Name: s.Name, Value: s.Value, Description: s.Description, Enabled: s.Enabled, Subnet: view.byID(s.SubnetID),
			Global: s.NodeID == 0 && s.SubnetID == 0 && s.RangeID == 0, History: []any{}, ResourceURI: fmt.Sprintf("%sdhcp-snippets/%d/", a.base, s.ID),
		}
		if s.NodeID != 0 {
			if shown.Node, err = a.nodeSummary(r, s.NodeID); err != nil {
				return nil, err
			}
		}
		if s.RangeID != 0 {
			rg, err := a.inv.Ranges.Get(r.Context(), s.RangeID)
			if err != nil {
				return nil, err
			}
			shownRange := view.rangeOf(rg)
			shown.IPRange = &shownRange
		}
		out = append(out, shown)
	}
	return out, nil
}

// nodeSummary names a machine or device by ID. The two share one sequence of IDs.
func (a *API) nodeSummary(r *http.Request, id int64) (*nodeSummaryJSON, error) {
	m, err := a.inv.Machines.Get(r.Context(), id)
	if err == nil {
		return &nodeSummaryJSON{SystemID: m.SystemID, FQDN: m.FQDN, Hostname: m.Hostname, NodeType: nodeMachine}, nil
	}
	d, err := a.inv.Devices.Get(r.Context(), id)
	return &nodeSummaryJSON{SystemID: d.SystemID, FQDN: d.FQDN, Hostname: d.Hostname, NodeType: nodeDevice}, err
}
