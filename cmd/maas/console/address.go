package console

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// addressView is the data of the page of an address.
type addressView struct {
	IP       string     `json:"ip"`
	Subnet   string     `json:"subnet"`
	VLAN     string     `json:"vlan"`
	Facts    []addrFact `json:"facts"`
	Racks    []addrRack `json:"racks"`
	SubnetID int64      `json:"-"`
	Problem  string     `json:"-"`
	// What may be done with it.
	Reserve, Release, Lease bool
	Reservation             int64
	MAC                     string
	Periods                 []inventory.LeasePeriod
}

// addrFact is one finding, as the API has it.
type addrFact struct {
	Kind  string    `json:"kind"`
	Text  string    `json:"text"`
	Who   string    `json:"who"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// addrRack is the answer of a rack, as the API has it.
type addrRack struct {
	Rack  string `json:"rack"`
	Error string `json:"error"`
	Lease *struct {
		MAC     string    `json:"mac"`
		Expires time.Time `json:"expires"`
	} `json:"lease"`
}

// addressSearch leads from the field of an address to its page.
func (c *Console) addressSearch(w http.ResponseWriter, r *http.Request) error {
	a, err := netip.ParseAddr(r.FormValue("ip"))
	if err != nil {
		return &refusal{Status: http.StatusBadRequest, Text: "This is not an IP address."}
	}
	http.Redirect(w, r, c.base+"/addresses/"+url.PathEscape(a.Unmap().String()), http.StatusSeeOther)
	return nil
}

// addressPage explains an address, and offers what can be done with it.
func (c *Console) addressPage(w http.ResponseWriter, r *http.Request) error {
	a, err := netip.ParseAddr(r.PathValue("ip"))
	if err != nil {
		return &refusal{Status: http.StatusBadRequest, Text: "This is not an IP address."}
	}
	a = a.Unmap()
	out := addressView{}
	at := "/api/v1/explain/ip/" + url.PathEscape(a.String())
	var no *refusal
	if err := c.ask(r, call{method: "GET", path: at}, &out); errors.As(err, &no) {
		out.Problem = no.Error()
	} else if err != nil {
		return err
	}
	out.IP = a.String()
	err = c.site.look(r.Context(), func(v view) error {
		out.choices(v, a)
		return nil
	})
	if err != nil {
		return err
	}
	if out.Periods, err = c.cfg.Leases.History(r.Context(), inventory.PeriodFilter{Addr: a, Limit: 20}); err != nil {
		return err
	}
	return c.show(w, r, "address", frame{Title: out.IP, Here: "Networks", Command: "maas explain ip " + out.IP, Call: at, Data: out})
}

// choices finds what can be done with an address.
func (x *addressView) choices(v view, a netip.Addr) {
	free := false
	for _, s := range v.Subnets {
		if s.Prefix.Contains(a) {
			x.SubnetID, free = s.ID, true
		}
	}
	use := v.usage()[x.SubnetID]
	if use == nil {
		return
	}
	for _, held := range use.Allocations {
		if held.Addr != a {
			continue
		}
		free = false
		switch {
		case held.Owner != "":
			x.Release = true
		case held.Type.String() == "discovered":
			x.Lease = true
		}
		if mac := v.macOf(held.InterfaceID); mac != "" {
			x.MAC = mac
		}
	}
	for _, kept := range use.Reserved {
		if kept.Addr == a {
			free, x.Reservation = false, kept.ID
		}
	}
	x.Reserve = free && use.CheckAddress(a, nil, false) == nil
	for _, rack := range x.Racks {
		if rack.Lease != nil && rack.Lease.MAC != "" {
			x.MAC = rack.Lease.MAC
		}
	}
}

// macOf returns the link address of an interface of a machine; "" = not known.
func (v view) macOf(nic int64) string {
	for i := range v.Machines {
		for _, n := range v.Machines[i].Interfaces {
			if n.ID == nic && nic != 0 {
				return n.MAC.String()
			}
		}
	}
	return ""
}
