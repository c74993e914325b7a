package maasapi

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// domainJSON is a domain as the API shows it.
type domainJSON struct {
	ID            int64  `json:"id"`
	Name          string `json:"name"`
	TTL           *int   `json:"ttl"`
	Authoritative bool   `json:"authoritative"`
	IsDefault     bool   `json:"is_default"`
	Records       int    `json:"resource_record_count"`
	ResourceURI   string `json:"resource_uri"`
	// ForwardServers answer for a domain that is not authoritative.
	ForwardServers []string `json:"forward_dns_servers"`
	// AllowTransfer are the networks and TSIG keys that may transfer the zone. Notify are the
	// secondaries that get a NOTIFY after changes. AllowUpdate are the keys that may change
	// records, as KEY, KEY:NAME or KEY:NAME:TYPE+TYPE. MAAS has none of these fields.
	AllowTransfer []string `json:"allow_transfer"`
	Notify        []string `json:"notify"`
	AllowUpdate   []string `json:"allow_update"`
	// Racks are those that serve the zone and hold its keys; empty = all. MAAS has no such field.
	Racks []string `json:"racks"`
	// DNSSEC says whether answers are signed. MAAS has no such field.
	DNSSEC bool `json:"dnssec"`
	// DS is the record that the parent zone needs if answers are signed.
	DS string `json:"ds,omitempty"`
}

// domains serves domains.
func (a *API) domains() crud[inventory.Domain] {
	return crud[inventory.Domain]{
		shown: domainJSON{}, tx: a.tx, all: every(a.inv.Domains.List), find: numbered(a.inv.Domains.Get), show: a.showDomains,
		read: func(r *http.Request, f *form.Form, to *inventory.Domain) {
			f.Text("name", &to.Name)
			f.Number("ttl", &to.TTL)
			f.Not("authoritative", &to.External)
			f.Flag("dnssec", &to.Signed)
			f.Servers("forward_dns_servers", dnsPort, &to.Forward)
			if f.Has("racks") {
				to.Racks = f.List("racks")
				a.knownRacks(r.Context(), f, "racks", to.Racks)
			}
			readAccess(f, to)
		},
		create: a.inv.Domains.Create, update: a.inv.Domains.Update,
		remove: removing(a.inv.Domains.Delete, func(d inventory.Domain) int64 { return d.ID }),
	}
}

// dnsPort is the port of servers in forms that name none.
const dnsPort = 53

// showDomains shows domains. The DS record is computed instead of stored, as keys of zones are made
// from the site's secret.
func (a *API) showDomains(r *http.Request, domains []inventory.Domain) ([]any, error) {
	records, err := a.inv.Records.List(r.Context())
	count := map[int64]int{}
	for _, rec := range records {
		count[rec.DomainID]++
	}
	var out []any
	for _, d := range domains {
		shown := domainJSON{
			ID: d.ID, Name: d.Name, Authoritative: !d.External, IsDefault: d.ID == defaultDomain, Records: count[d.ID],
			ResourceURI: fmt.Sprintf("%sdomains/%d/", a.base, d.ID), ForwardServers: texts(d.Forward), DNSSEC: d.Signed,
			AllowTransfer: texts(d.AllowTransfer), Notify: texts(d.Notify), AllowUpdate: texts(d.AllowUpdate), Racks: append([]string{}, d.Racks...),
		}
		if d.Signed {
			if shown.DS, err = a.inv.SigningKey(d).DS(d.Name); err != nil {
				return nil, err
			}
		}
		if d.TTL > 0 {
			shown.TTL = &d.TTL
		}
		out = append(out, shown)
	}
	return out, err
}

// recordJSON is a DNS record as the API shows it.
type recordJSON struct {
	ID          int64  `json:"id"`
	FQDN        string `json:"fqdn"`
	Type        string `json:"rrtype"`
	Data        string `json:"rrdata"`
	TTL         *int   `json:"ttl"`
	ResourceURI string `json:"resource_uri"`
}

// records serves single DNS records.
func (a *API) records() crud[inventory.DNSRecord] {
	return crud[inventory.DNSRecord]{
		shown: recordJSON{}, tx: a.tx, find: numbered(a.inv.Records.Get),
		all: func(r *http.Request) ([]inventory.DNSRecord, error) { return a.filteredRecords(r) },
		show: func(r *http.Request, records []inventory.DNSRecord) ([]any, error) {
			names, err := a.domainNames(r)
			var out []any
			for _, rec := range records {
				out = append(out, a.recordOf(rec, names))
			}
			return out, err
		},
		read: func(r *http.Request, f *form.Form, to *inventory.DNSRecord) {
			a.ownerForm(r, f, &to.Name, &to.DomainID)
			f.Text("rrtype", &to.Type)
			f.Text("rrdata", &to.Data)
			f.Number("ttl", &to.TTL)
		},
		create: a.inv.Records.Create, update: a.inv.Records.Update,
		remove: removing(a.inv.Records.Delete, func(rec inventory.DNSRecord) int64 { return rec.ID }),
	}
}

// recordOf shows a record. A TTL of 0 is shown as null: the domain's is used.
func (a *API) recordOf(rec inventory.DNSRecord, domains map[int64]string) recordJSON {
	out := recordJSON{
		ID: rec.ID, FQDN: fqdn(rec.Name, domains[rec.DomainID]), Type: rec.Type, Data: rec.Data,
		ResourceURI: fmt.Sprintf("%sdnsresourcerecords/%d/", a.base, rec.ID),
	}
	if rec.TTL > 0 {
		out.TTL = &rec.TTL
	}
	return out
}

// fqdn joins a record's name and its domain; "@" is the domain itself.
func fqdn(name, domain string) string {
	if name == "@" {
		return domain
	}
	return name + "." + domain
}

// domainNames returns the names of domains by ID.
func (a *API) domainNames(r *http.Request) (map[int64]string, error) {
	all, err := a.inv.Domains.List(r.Context())
	names := map[int64]string{}
	for _, d := range all {
		names[d.ID] = d.Name
	}
	return names, err
}

// ownerForm reads the owner name of a record: fqdn, or name and domain.
func (a *API) ownerForm(r *http.Request, f *form.Form, name *string, domain *int64) {
	f.Text("name", name)
	readRef(f, "domain", domain, a.domainRef(r))
	full := strings.TrimSuffix(strings.ToLower(f.Get("fqdn")), ".")
	if f.Err != nil || full == "" {
		if f.Err == nil && *domain == 0 {
			*domain = defaultDomain
		}
		return
	}
	domains, err := a.inv.Domains.List(r.Context())
	if err != nil {
		f.Wrong("fqdn", "%v", err)
		return
	}
	longest := ""
	for _, d := range domains {
		if full == d.Name || strings.HasSuffix(full, "."+d.Name) && len(d.Name) > len(longest) {
			longest, *domain = d.Name, d.ID
		}
	}
	if longest == "" {
		f.Wrong("fqdn", "%q is in none of the domains", full)
		return
	}
	if *name = strings.TrimSuffix(strings.TrimSuffix(full, longest), "."); *name == "" {
		*name = "@"
	}
}

// filteredRecords returns the records that the query selects by domain, fqdn, name and rrtype.
func (a *API) filteredRecords(r *http.Request) ([]inventory.DNSRecord, error) {
	all, err := a.inv.Records.List(r.Context())
	if err != nil {
		return nil, err
	}
	names, err := a.domainNames(r)
	q := r.URL.Query()
	return slices.DeleteFunc(all, func(rec inventory.DNSRecord) bool {
		other := func(key, value string) bool { return q.Get(key) != "" && !strings.EqualFold(q.Get(key), value) }
		return other("fqdn", fqdn(rec.Name, names[rec.DomainID])) || other("name", rec.Name) || other("rrtype", rec.Type) ||
			other("domain", names[rec.DomainID]) && q.Get("domain") != strconv.FormatInt(rec.DomainID, 10)
	}), err
}

// resourceJSON is a name with all its records. Its ID is the ID of one of them, because names are
// not stored by themselves.
type resourceJSON struct {
	ID          int64           `json:"id"`
	FQDN        string          `json:"fqdn"`
	AddressTTL  *int            `json:"address_ttl"`
	IPAddresses []ipAddressJSON `json:"ip_addresses"`
	Records     []recordJSON    `json:"resource_records"`
	ResourceURI string          `json:"resource_uri"`
}

// resource is a name with its records.
type resource struct {
	domain  int64
	name    string
	records []inventory.DNSRecord // in order of number
	addrs   []netip.Addr
	ttl     int // TTL of the addresses
}

// id is the ID of the oldest record.
func (res resource) id() int64 { return res.records[0].ID }

func isAddress(rec inventory.DNSRecord) bool { return rec.Type == "A" || rec.Type == "AAAA" }

// resourcesOf groups records by name. A DNS resource of MAAS is such a group; the inventory stores
// records.
func resourcesOf(records []inventory.DNSRecord) []resource {
	var out []resource
	at := map[string]int{}
	for _, rec := range records {
		key := fmt.Sprint(rec.DomainID, " ", rec.Name)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, resource{domain: rec.DomainID, name: rec.Name})
		}
		out[i].records = append(out[i].records, rec)
		if addr, err := netip.ParseAddr(rec.Data); err == nil && isAddress(rec) {
			out[i].addrs, out[i].ttl = append(out[i].addrs, addr), rec.TTL
		}
	}
	return out
}

// resources serves all address records of a name as one object, as MAAS does.
func (a *API) resources() crud[resource] {
	return crud[resource]{
		shown: resourceJSON{}, tx: a.tx, show: a.showResources, find: a.resourceOfPath,
		all: func(r *http.Request) ([]resource, error) {
			records, err := a.filteredRecords(r)
			return resourcesOf(records), err
		},
		read: func(r *http.Request, f *form.Form, to *resource) {
			a.ownerForm(r, f, &to.name, &to.domain)
			f.Number("address_ttl", &to.ttl)
			f.Addrs("ip_addresses", &to.addrs)
		},
		create: func(ctx context.Context, x resource) (resource, error) {
			if len(x.addrs) == 0 {
				return x, form.Invalid("ip_addresses", "at least one is needed; other records are made as dnsresourcerecords")
			}
			return a.storeResource(ctx, x)
		},
		update: a.storeResource,
		remove: func(ctx context.Context, _ *http.Request, x resource) error {
			for _, rec := range x.records {
				if err := a.inv.Records.Delete(ctx, rec.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// resourceOfPath returns the name that owns the record of the path.
func (a *API) resourceOfPath(r *http.Request) (resource, error) {
	rec, err := numbered(a.inv.Records.Get)(r)
	if err != nil {
		return resource{}, err
	}
	all, err := a.inv.Records.List(r.Context())
	for _, res := range resourcesOf(all) {
		if res.domain == rec.DomainID && res.name == rec.Name {
			return res, err
		}
	}
	return resource{}, notFound("DNS resource", r.PathValue("id"))
}

// showResources shows names with their addresses and other records.
func (a *API) showResources(r *http.Request, resources []resource) ([]any, error) {
	names, err := a.domainNames(r)
	var out []any
	for _, res := range resources {
		shown := resourceJSON{
			ID: res.id(), FQDN: fqdn(res.name, names[res.domain]), IPAddresses: []ipAddressJSON{}, Records: []recordJSON{},
			ResourceURI: fmt.Sprintf("%sdnsresources/%d/", a.base, res.id()),
		}
		if res.ttl > 0 {
			shown.AddressTTL = &res.ttl
		}
		for _, addr := range res.addrs {
			shown.IPAddresses = append(shown.IPAddresses, ipAddressJSON{IP: addr.String()})
		}
		for _, rec := range res.records {
			if !isAddress(rec) {
				shown.Records = append(shown.Records, a.recordOf(rec, names))
			}
		}
		out = append(out, shown)
	}
	return out, err
}

// storeResource makes the name's address records equal to the wanted ones. One of the old records
// is changed instead of replaced, so that the resource keeps its ID. The others are deleted first,
// because all records of a name and type have one TTL.
func (a *API) storeResource(ctx context.Context, x resource) (resource, error) {
	wanted := slices.Clone(x.addrs)
	var anchor *inventory.DNSRecord
	for _, rec := range x.records {
		switch {
		case !isAddress(rec):
			rec.DomainID, rec.Name = x.domain, x.name
			if _, err := a.inv.Records.Update(ctx, rec); err != nil {
				return x, err
			}
		case anchor == nil && len(wanted) > 0:
			anchor = &rec
		default:
			if err := a.inv.Records.Delete(ctx, rec.ID); err != nil {
				return x, err
			}
		}
	}
	for _, addr := range wanted {
		rec := inventory.DNSRecord{DomainID: x.domain, Name: x.name, TTL: x.ttl, Type: "A", Data: addr.String()}
		if addr.Is6() {
			rec.Type = "AAAA"
		}
		if anchor != nil {
			rec.ID, rec.Version, anchor = anchor.ID, anchor.Version, nil
			if _, err := a.inv.Records.Update(ctx, rec); err != nil {
				return x, err
			}
			continue
		}
		made, err := a.inv.Records.Create(ctx, rec)
		if err != nil {
			return x, err
		}
		x.records = append(x.records, made)
	}
	return x, nil
}
