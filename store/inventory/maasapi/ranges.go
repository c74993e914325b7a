package maasapi

import (
	"fmt"
	"net"
	"net/http"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// rangeJSON is a range as part of its subnet.
type rangeJSON struct {
	ID          int64  `json:"id"`
	Type        string `json:"type"`
	StartIP     string `json:"start_ip"`
	EndIP       string `json:"end_ip"`
	Comment     string `json:"comment"`
	ResourceURI string `json:"resource_uri"`
}

// rangeOf shows a range.
func (v vlanView) rangeOf(r ipam.Range) rangeJSON {
	return rangeJSON{
		ID: r.ID, Type: r.Type.String(), StartIP: r.Start.String(), EndIP: r.End.String(), Comment: r.Comment,
		ResourceURI: fmt.Sprintf("%sipranges/%d/", v.base, r.ID),
	}
}

// rangeWithSubnetJSON is a range by itself.
type rangeWithSubnetJSON struct {
	rangeJSON
	User   *userJSON `json:"user"`
	Subnet *Subnet   `json:"subnet"`
	// DHCPClass names the class whose clients alone get its addresses; "" = none. MAAS has no such
	// field.
	DHCPClass string `json:"dhcp_class"`
}

// userJSON is the owner of an object.
type userJSON struct {
	Username string `json:"username"`
}

// userNamed shows an owner; nil if there is none.
func userNamed(name string) *userJSON {
	if name == "" {
		return nil
	}
	return &userJSON{name}
}

// ranges serves dynamic and reserved ranges.
func (a *API) ranges() crud[ipam.Range] {
	return crud[ipam.Range]{
		shown: rangeWithSubnetJSON{}, tx: a.tx, all: every(a.inv.Ranges.List), find: numbered(a.inv.Ranges.Get),
		show: func(r *http.Request, ranges []ipam.Range) ([]any, error) {
			view, err := a.subnetView(r)
			if err != nil {
				return nil, err
			}
			classes, err := a.classNames(r)
			var out []any
			for _, rg := range ranges {
				out = append(out, rangeWithSubnetJSON{view.rangeOf(rg), userNamed(rg.Owner), view.byID(rg.SubnetID), classes[rg.ClassID]})
			}
			return out, err
		},
		fresh:  func(r *http.Request) (ipam.Range, error) { return ipam.Range{Owner: userOf(r)}, nil },
		read:   a.rangeForm,
		create: a.inv.Ranges.Create, update: a.inv.Ranges.Update,
		remove: removing(a.inv.Ranges.Delete, func(r ipam.Range) int64 { return r.ID }),
	}
}

// rangeForm reads a range. If the form has no subnet, it is the subnet of the range's first
// address.
func (a *API) rangeForm(r *http.Request, f *form.Form, to *ipam.Range) {
	f.Addr("start_ip", &to.Start)
	f.Addr("end_ip", &to.End)
	f.Text("comment", &to.Comment)
	readRef(f, "dhcp_class", &to.ClassID, a.classRef(r))
	if to.ID == 0 && !f.Has("type") {
		f.Wrong("type", "is needed: dynamic or reserved")
	}
	if f.Has("type") {
		kind, err := ipam.ParseRangeType(f.Get("type"))
		if err != nil {
			f.Wrong("type", "%q is neither dynamic nor reserved", f.Get("type"))
		}
		to.Type = kind
	}
	readRef(f, "subnet", &to.SubnetID, a.subnetRef(r))
	if f.Err == nil && to.SubnetID == 0 && to.Start.IsValid() {
		s, err := a.inv.SubnetFor(r.Context(), to.Start)
		if err != nil {
			f.Wrong("start_ip", "%s is in no subnet", to.Start)
		}
		to.SubnetID = s.ID
	}
}

// staticRouteJSON is a route as the API shows it.
type staticRouteJSON struct {
	ID          int64   `json:"id"`
	Source      *Subnet `json:"source"`
	Destination *Subnet `json:"destination"`
	GatewayIP   string  `json:"gateway_ip"`
	Metric      int     `json:"metric"`
	ResourceURI string  `json:"resource_uri"`
}

// staticRoutes serves static routes between subnets.
func (a *API) staticRoutes() crud[ipam.StaticRoute] {
	return crud[ipam.StaticRoute]{
		shown: staticRouteJSON{}, tx: a.tx, all: every(a.inv.Routes.List), find: numbered(a.inv.Routes.Get),
		show: func(r *http.Request, routes []ipam.StaticRoute) ([]any, error) {
			view, err := a.subnetView(r)
			var out []any
			for _, s := range routes {
				out = append(out, staticRouteJSON{
					ID: s.ID, Source: view.byID(s.SourceID), Destination: view.byID(s.DestinationID), GatewayIP: s.Gateway.String(), Metric: s.Metric,
					ResourceURI: fmt.Sprintf("%sstatic-routes/%d/", a.base, s.ID),
				})
			}
			return out, err
		},
		read: func(r *http.Request, f *form.Form, to *ipam.StaticRoute) {
			readRef(f, "source", &to.SourceID, a.subnetRef(r))
			readRef(f, "destination", &to.DestinationID, a.subnetRef(r))
			f.Addr("gateway_ip", &to.Gateway)
			f.Number("metric", &to.Metric)
		},
		create: a.inv.Routes.Create, update: a.inv.Routes.Update,
		remove: removing(a.inv.Routes.Delete, func(s ipam.StaticRoute) int64 { return s.ID }),
	}
}

// reservedIPJSON is a reserved IP as the API shows it.
type reservedIPJSON struct {
	ID          int64   `json:"id"`
	IP          string  `json:"ip"`
	MACAddress  string  `json:"mac_address"`
	Comment     string  `json:"comment"`
	Subnet      *Subnet `json:"subnet"`
	ResourceURI string  `json:"resource_uri"`
}

// reservedIPs serves addresses that are reserved for a MAC address.
func (a *API) reservedIPs() crud[ipam.ReservedIP] {
	return crud[ipam.ReservedIP]{
		shown: reservedIPJSON{}, tx: a.tx, all: every(a.inv.ReservedIPs.List), find: numbered(a.inv.ReservedIPs.Get),
		show: func(r *http.Request, reserved []ipam.ReservedIP) ([]any, error) {
			view, err := a.subnetView(r)
			var out []any
			for _, ip := range reserved {
				out = append(out, reservedIPJSON{
					ID: ip.ID, IP: ip.Addr.String(), MACAddress: ip.MAC.String(), Comment: ip.Comment, Subnet: view.byID(ip.SubnetID),
					ResourceURI: fmt.Sprintf("%sreservedips/%d/", a.base, ip.ID),
				})
			}
			return out, err
		},
		read:   a.reservedForm,
		create: a.inv.ReservedIPs.Create, update: a.inv.ReservedIPs.Update,
		remove: removing(a.inv.ReservedIPs.Delete, func(ip ipam.ReservedIP) int64 { return ip.ID }),
	}
}

// reservedForm reads a reserved IP. Of an existing one only the comment can be changed.
func (a *API) reservedForm(r *http.Request, f *form.Form, to *ipam.ReservedIP) {
	f.Text("comment", &to.Comment)
	if to.ID != 0 {
		for _, name := range []string{"ip", "mac_address", "subnet"} {
			if f.Has(name) {
				f.Wrong(name, "cannot be changed; delete the reserved IP and make another one")
			}
		}
		return
	}
	f.Addr("ip", &to.Addr)
	mac := []byte(to.MAC)
	f.MAC("mac_address", &mac)
	to.MAC = net.HardwareAddr(mac)
	readRef(f, "subnet", &to.SubnetID, a.subnetRef(r))
	if f.Err == nil && to.SubnetID == 0 && to.Addr.IsValid() {
		s, err := a.inv.SubnetFor(r.Context(), to.Addr)
		if err != nil {
			f.Wrong("ip", "%s is in no subnet", to.Addr)
		}
		to.SubnetID = s.ID
	}
}
