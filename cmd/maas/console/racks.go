package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// racksView is the data of the list of racks.
type racksView struct {
	Rows     []rackRow
	Tokens   []tokenRow
	Pages    pager
	Zones    []string
	Networks []string // that a token may let its rack serve
}

// tokenRow is a token with which a rack joins, as the API of the administrator has it.
type tokenRow struct {
	ID      int64     `json:"id"`
	Rack    string    `json:"rack"`
	Zone    string    `json:"zone"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used"`
	UsedBy  string    `json:"used_by"`
}

// maxTokenNetworks bounds the networks that the form of a token offers; a field takes others.
const maxTokenNetworks = 40

// tokenLives are the lives that the form of a token offers: until it is pasted, until tomorrow, or
// until a host has been built.
var tokenLives = []string{"1h", "24h", "168h"}

// newToken is a token that was made.
type newToken struct {
	tokenRow
	Token string `json:"token"`
}

// tokenCreate makes a token with which a rack joins, and shows it. It has a page of its own and no
// redirect to one: the database has the hash of the token, so that this answer alone can show it.
func (c *Console) tokenCreate(w http.ResponseWriter, r *http.Request) error {
	if !c.cfg.Trusted {
		return &refusal{Status: http.StatusForbidden, Text: "A token lets a rack in. It is made on the region's host: maas region token create"}
	}
	form := url.Values{"rack": {r.PostFormValue("rack")}, "zone": {r.PostFormValue("zone")}, "ttl": {r.PostFormValue("ttl")}, "open": {r.PostFormValue("open")}}
	for name, field := range map[string]string{"network": "networks", "bmc_network": "bmc_networks"} {
		form[name] = append(slices.Clone(r.PostForm[name]), strings.Fields(strings.ReplaceAll(r.PostFormValue(field), ",", " "))...)
	}
	f := frame{Title: "A token for a rack", Here: "Racks", Command: tokenCommand(form), Call: "POST /api/v1/rack-tokens"}
	var out newToken
	var no *refusal
	if err := c.ask(r, call{method: "POST", path: "/api/v1/rack-tokens", form: form}, &out); errors.As(err, &no) {
		f.Status, f.Data = no.Status, no
		return c.show(w, r, "error", f)
	} else if err != nil {
		return err
	}
	f.Data = out
	return c.show(w, r, "token", f)
}

// tokenCommand returns the command that makes the same token.
func tokenCommand(form url.Values) string {
	line := "maas region token create"
	for _, x := range [][2]string{{"rack", "rack"}, {"zone", "zone"}, {"ttl", "ttl"}, {"network", "network"}, {"bmc_network", "bmc"}} {
		for _, value := range form[x[0]] {
			if value != "" {
				line += " --" + x[1] + " " + shellWord(value)
			}
		}
	}
	if form.Get("open") == "true" {
		line += " --accept-networks"
	}
	return line
}

// rackList shows the racks, those in trouble first.
func (c *Console) rackList(w http.ResponseWriter, r *http.Request) error {
	health, err := c.cfg.Health.Racks(r.Context())
	if err != nil {
		return err
	}
	var out racksView
	err = c.site.look(r.Context(), func(v view) error {
		rows := rackRows(v, facts{health: health})
		slices.SortStableFunc(rows, func(a, b rackRow) int { return worse(b.State) - worse(a.State) })
		out.Pages = pagerOf(r, len(rows))
		out.Rows = cut(rows, out.Pages)
		for _, z := range v.Zones {
			out.Zones = append(out.Zones, z.Name)
		}
		for _, s := range v.Subnets[:min(len(v.Subnets), maxTokenNetworks)] {
			out.Networks = append(out.Networks, s.Prefix.String())
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Tokens are for the administrator on the host alone: a token lets a rack in.
	if c.cfg.Trusted {
		var no *refusal
		if err := c.ask(r, call{method: "GET", path: "/api/v1/rack-tokens"}, &out.Tokens); err != nil && !errors.As(err, &no) {
			return err
		}
	}
	return c.show(w, r, "racks", frame{Title: "Racks", Here: "Racks", Command: "maas rack list", Call: "rackcontrollers/", Data: out})
}

// rackView is the data of the page of a rack.
type rackView struct {
	rackRow
	Report    inventory.RackReport
	Region    string
	Links     []inventory.RackLink
	Networks  []string
	BMCs      []string
	Proposals []inventory.RackProposal
	Troubles  []fieldError
}

// rackPage shows a rack.
func (c *Console) rackPage(w http.ResponseWriter, r *http.Request) error {
	health, err := c.cfg.Health.Racks(r.Context())
	if err != nil {
		return err
	}
	var out rackView
	err = c.site.look(r.Context(), func(v view) error {
		i := slices.IndexFunc(v.Racks, func(k inventory.Rack) bool { return k.Name == r.PathValue("name") })
		if i < 0 {
			return &refusal{Status: http.StatusNotFound, Text: "There is no rack with this name."}
		}
		k := v.Racks[i]
		h := health[k.Name]
		given := v.Assignment(k)
		out = rackView{rackRow: rackRowOf(k, h), Report: h.Report, Region: h.Region, Links: slices.Clone(k.Links), Proposals: k.Proposals(given)}
		for _, p := range given.Networks {
			out.Networks = append(out.Networks, p.String())
		}
		for _, p := range given.BMCs {
			out.BMCs = append(out.BMCs, p.String())
		}
		for _, name := range sortedKeys(h.Report.Troubles) {
			out.Troubles = append(out.Troubles, fieldError{name, h.Report.Troubles[name]})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(w, r, "rack", frame{
		Title: out.Name, Here: "Racks", Command: "maas rack show " + shellWord(out.Name), Call: "rackcontrollers/" + out.Name + "/", Data: out,
	})
}
