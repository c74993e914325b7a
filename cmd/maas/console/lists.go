package console

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// fits reports whether each word of a search is part of one of the texts.
func fits(q string, texts ...string) bool {
	all := strings.ToLower(strings.Join(texts, "\n"))
	for _, word := range strings.Fields(strings.ToLower(q)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

// leasesView is the data of the list of leases.
type leasesView struct {
	Rows   []inventory.Lease
	Q      string
	State  string
	States []inventory.LeaseState
	Pages  pager
}

// leaseList shows leases in order of address.
func (c *Console) leaseList(w http.ResponseWriter, r *http.Request) error {
	out := leasesView{Q: strings.TrimSpace(r.FormValue("q")), State: r.FormValue("state"), States: []inventory.LeaseState{inventory.LeaseActive, inventory.LeaseExpired, inventory.LeaseReserved}}
	f := inventory.LeaseFilter{State: inventory.LeaseState(out.State)}
	if out.Q == "" {
		page, err := c.leasePage(r, f.State)
		if err != nil {
			return err
		}
		out.Pages, f.Among = page.pager, page.addrs
	}
	f.Words = strings.Fields(out.Q)
	all, err := c.cfg.Leases.Find(r.Context(), f)
	if err != nil {
		return err
	}
	if out.Rows = all; f.Among == nil {
		out.Pages = pagerOf(r, len(all))
		out.Rows = cut(all, out.Pages)
	}
	return c.show(w, r, "leases", frame{Title: "Leases", Here: "Leases", Command: "maas lease list", Call: "/api/v1/leases", Data: out})
}

// leasePage is a page of the addresses that have leases.
type leasePage struct {
	pager
	addrs []netip.Addr
}

// leasePage returns the addresses on a page of the list. They are of the model, which is in memory,
// so that only the leases of the page are read from the database.
func (c *Console) leasePage(r *http.Request, state inventory.LeaseState) (out leasePage, err error) {
	prefixes, err := c.cfg.Leases.Find(r.Context(), inventory.LeaseFilter{State: state, Prefixes: true})
	if err != nil {
		return out, err
	}
	err = c.site.look(r.Context(), func(v view) error {
		all := v.leased(state, now())
		for _, l := range prefixes {
			if l.Bits > 0 {
				all = append(all, l.Addr)
			}
		}
		slices.SortFunc(all, netip.Addr.Compare)
		all = slices.Compact(all)
		out.pager = pagerOf(r, len(all))
		out.addrs = append([]netip.Addr{}, cut(all, out.pager)...)
		return nil
	})
	return out, err
}

// leased returns the addresses with a lease in a state; "" = any.
func (v view) leased(state inventory.LeaseState, at time.Time) (out []netip.Addr) {
	for _, u := range v.usage() {
		held := map[netip.Addr]bool{}
		for _, a := range u.Allocations {
			if a.InterfaceID == 0 { // of a user, who has no client
				continue
			}
			held[a.Addr] = true
			is := inventory.LeaseActive
			switch {
			case a.Type != ipam.AllocDiscovered:
				is = inventory.LeaseReserved
			case !a.Expires.IsZero() && a.Expires.Before(at):
				is = inventory.LeaseExpired
			}
			if state == "" || state == is {
				out = append(out, a.Addr)
			}
		}
		for _, kept := range u.Reserved {
			if !held[kept.Addr] && (state == "" || state == inventory.LeaseReserved) {
				out = append(out, kept.Addr)
			}
		}
	}
	return out
}

// historyView is the data of the history of leases.
type historyView struct {
	Rows    []inventory.LeasePeriod
	Q       string
	Problem string
}

// leaseHistory shows the clients that had an address, or the addresses that a client had.
func (c *Console) leaseHistory(w http.ResponseWriter, r *http.Request) error {
	out := historyView{Q: strings.TrimSpace(r.FormValue("q"))}
	f := inventory.PeriodFilter{Limit: 100}
	if out.Q != "" {
		if a, err := netip.ParseAddr(out.Q); err == nil {
			f.Addr = a
		} else if mac, err := net.ParseMAC(out.Q); err == nil {
			f.MAC = mac
		} else {
			out.Problem = "Write an IP address or a MAC address."
		}
	}
	var err error
	if out.Problem == "" {
		out.Rows, err = c.cfg.Leases.History(r.Context(), f)
	}
	if err != nil {
		return err
	}
	return c.show(w, r, "history", frame{Title: "History of leases", Here: "Leases", Command: "maas lease history", Call: "/api/v1/leases/history", Data: out})
}

// deviceRow is a device that racks saw.
type deviceRow struct {
	inventory.Discovery
	New    bool
	Vendor string
	Port   string // of the switch
	Subnet string
}

// devicesView is the data of the list of devices.
type devicesView struct {
	Rows    []deviceRow
	Servers []inventory.DHCPServer
	Ignored []inventory.IgnoredDevice
	Q, Show string
	Pages   pager
}

// deviceList shows the devices that racks saw, the new ones first.
func (c *Console) deviceList(w http.ResponseWriter, r *http.Request) error {
	out := devicesView{Q: r.FormValue("q"), Show: r.FormValue("show")}
	all, err := c.cfg.Devices.List(r.Context(), inventory.AllDiscoveries)
	if err != nil {
		return err
	}
	fresh, err := c.cfg.Devices.List(r.Context(), inventory.UnknownMACAndAddr)
	if err != nil {
		return err
	}
	if out.Servers, err = c.cfg.Devices.DHCPServers(r.Context()); err != nil {
		return err
	}
	if out.Ignored, err = c.cfg.Devices.Ignored(r.Context()); err != nil {
		return err
	}
	unknown := map[string]bool{}
	for _, d := range fresh {
		unknown[d.Key()] = true
	}
	var rows []deviceRow
	for _, d := range all {
		row := deviceRow{Discovery: d, New: unknown[d.Key()], Vendor: c.cfg.Vendor(d.MAC)}
		if d.Subnet.Prefix.IsValid() {
			row.Subnet = d.Subnet.Prefix.String()
		}
		if s := d.Info.Switch; s != nil {
			row.Port = strings.TrimSpace(s.System + " " + s.Port)
		}
		if (out.Show != "new" || row.New) && fits(out.Q, d.Addr.String(), d.MAC.String(), d.Hostname, row.Vendor, d.Rack) {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b deviceRow) int { return boolOrder(a.New, b.New) })
	out.Pages = pagerOf(r, len(rows))
	out.Rows = cut(rows, out.Pages)
	return c.show(w, r, "devices", frame{Title: "Devices found", Here: "Devices", Command: "maas discovery list", Call: "discovery/", Data: out})
}

// boolOrder puts what is true first.
func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// zonesView is the data of the list of DNS zones and records.
type zonesView struct {
	Domains []domainRow
	Domain  string
	Q       string
	Records []inventory.DNSRecord
	Pages   pager
}

// domainRow is a domain.
type domainRow struct {
	Name    string
	Notes   []string
	Records int
}

// zones shows DNS domains, and the records that operators made.
func (c *Console) zones(w http.ResponseWriter, r *http.Request) error {
	out := zonesView{Domain: r.FormValue("domain"), Q: r.FormValue("q")}
	err := c.site.look(r.Context(), func(v view) error {
		n := map[int64]int{}
		var rows []inventory.DNSRecord
		for _, x := range v.Records {
			n[x.DomainID]++
			name := inventory.AbsoluteName(x.Name, v.domainName(x.DomainID))
			if (out.Domain == "" || out.Domain == v.domainName(x.DomainID)) && fits(out.Q, name, x.Type, x.Data) {
				x.Name = name
				rows = append(rows, x)
			}
		}
		for _, d := range v.Domains {
			out.Domains = append(out.Domains, domainRow{d.Name, domainNotes(d), n[d.ID]})
		}
		out.Pages = pagerOf(r, len(rows))
		out.Records = slices.Clone(cut(rows, out.Pages))
		return nil
	})
	if err != nil {
		return err
	}
	out.Domains = out.Domains[:min(len(out.Domains), 4*pageRows)]
	return c.show(w, r, "zones", frame{Title: "Names", Here: "Names", Command: "maas dnsrecord list", Call: "dnsresourcerecords/", Data: out})
}

func domainNotes(d inventory.Domain) (out []string) {
	if d.External {
		out = append(out, "served elsewhere")
	}
	if d.Signed {
		out = append(out, "signed")
	}
	if len(d.Racks) > 0 {
		out = append(out, "on "+strings.Join(d.Racks, ", "))
	}
	return out
}

// auditView is the data of a log.
type auditView struct {
	Events           []inventory.Event
	User, Kind, Next string
	Kinds            []string
}

// auditList shows what users changed, the latest first.
func (c *Console) auditList(w http.ResponseWriter, r *http.Request) error {
	return c.logPage(w, r, c.cfg.Audit, frame{Title: "Audit", Here: "Audit", Command: "maas events --level audit", Call: "events/?op=query&level=AUDIT"})
}

// eventList shows what happened, the latest first.
func (c *Console) eventList(w http.ResponseWriter, r *http.Request) error {
	return c.logPage(w, r, c.cfg.Events, frame{Title: "Events", Here: "Events", Command: "maas events", Call: "events/?op=query"})
}

func (c *Console) logPage(w http.ResponseWriter, r *http.Request, log EventLog, f frame) error {
	out := auditView{User: r.FormValue("user"), Kind: r.FormValue("kind"), Kinds: []string{"boot", "power", "lease", "rack", "subnet", "machine", "address", "console", "region"}}
	if log == c.cfg.Audit {
		out.Kinds = nil
	}
	all, err := log.Find(r.Context(), inventory.EventFilter{User: out.User, Kind: out.Kind, Before: int64(number(r.FormValue("before"))), Limit: 2 * pageRows})
	if err != nil {
		return err
	}
	slices.Reverse(all)
	shown := fitting(all)
	if more := len(shown) < len(all) || len(all) == 2*pageRows; more {
		q := url.Values{"user": {out.User}, "kind": {out.Kind}, "before": {itoa(int(shown[len(shown)-1].ID))}}
		out.Next = r.URL.Path + "?" + q.Encode()
	}
	out.Events = shown
	f.Data = out
	return c.show(w, r, "log", f)
}

// maxDifferences bounds the text of the differences on one page, in bytes. With marks and escapes a
// page stays below 120 kB.
const maxDifferences = 12 << 10

// fitting returns as many entries as a page has room for, at least one.
func fitting(all []inventory.Event) []inventory.Event {
	size := 0
	for i, e := range all {
		if e.Differences == nil {
			continue
		}
		for _, o := range e.Differences.Objects {
			for _, f := range o.Fields {
				size += len(o.Kind) + len(o.Name) + len(f.Name) + len(f.Old) + len(f.New)
			}
		}
		if size > maxDifferences && i > 0 {
			return all[:i]
		}
	}
	return all
}

// imagesView is the data of the list of images.
type imagesView struct {
	Images  []imageRow
	Problem string
}

// imageRow is an image, as the API has it.
type imageRow struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Problem  string    `json:"problem"`
	Version  string    `json:"version"`
	Verified string    `json:"verified"`
	Size     int64     `json:"size"`
	Fetched  time.Time `json:"fetched"`
	Progress *struct {
		File  string `json:"file"`
		Done  int64  `json:"done"`
		Total int64  `json:"total"`
	} `json:"progress"`
}

// images shows the boot files that the site has.
func (c *Console) images(w http.ResponseWriter, r *http.Request) error {
	var out imagesView
	var no *refusal
	if err := c.ask(r, call{method: "GET", path: "/api/v1/images"}, &out.Images); errors.As(err, &no) {
		out.Problem = no.Error()
	} else if err != nil {
		return err
	}
	return c.show(w, r, "images", frame{Title: "Images", Here: "Images", Command: "maas image list", Call: "/api/v1/images", Data: out})
}

// doctor shows everything that needs attention.
func (c *Console) doctor(w http.ResponseWriter, r *http.Request) error {
	f, err := c.gather(r.Context())
	if err != nil {
		return err
	}
	var out struct {
		Notices []notice
		Host    bool // there are checks of the region's host
	}
	err = c.site.look(r.Context(), func(v view) error {
		out.Notices = notices(v, f)
		return nil
	})
	if err != nil {
		return err
	}
	out.Notices = out.Notices[:min(len(out.Notices), 8*pageRows)]
	out.Host = c.cfg.Host != nil && (frame{User: sessionOf(r).user}).Admin()
	return c.show(w, r, "doctor", frame{Title: "Doctor", Here: "Doctor", Command: "maas doctor", Call: "events/?op=query&level=WARNING", Data: out})
}
