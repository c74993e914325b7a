package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Owner names may hold underscores (RFC 8552), and "*" as the first label.
var ownerName = regexp.MustCompile(`^(@|\*|(\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*)$`)

// checkRecord brings a record into its canonical form and checks it.
func checkRecord(ctx context.Context, tx *store.Tx, r DNSRecord) (DNSRecord, error) {
	d, err := domains.get(ctx, tx, r.DomainID)
	if err != nil {
		return r, err
	}
	if r, err = checkAlone(r, d); err != nil {
		return r, err
	}
	same, err := records.list(ctx, tx, "domain_id = ? AND name = ? AND id <> ?", r.DomainID, r.Name, r.ID)
	if err != nil {
		return r, err
	}
	return r, checkBeside(r, same)
}

// checkAlone is checkRecord without regard to the other records of the domain.
func checkAlone(r DNSRecord, d Domain) (DNSRecord, error) {
	// Names are compared without regard to case (RFC 4343), and the database compares bytes.
	r.Name = strings.ToLower(strings.TrimSpace(r.Name))
	r.Type, r.Data = strings.ToUpper(strings.TrimSpace(r.Type)), strings.TrimSpace(r.Data)
	if why := badOwner(r.Name, d.Name); why != "" {
		return r, invalid(kinds.Record, r.Name, "name", why)
	}
	if r.Type == "CNAME" && r.Name == "@" {
		return r, invalid(kinds.Record, r.Name, "rrtype", "cannot be CNAME at the domain itself, which has SOA and NS records; use A and AAAA")
	}
	if r.TTL < 0 || r.TTL > 1<<31-1 {
		return r, invalid(kinds.Record, r.Name, "ttl", "must be 0 to 2147483647 seconds")
	}
	if why := badData(r.Type, r.Data); why != "" {
		return r, invalid(kinds.Record, r.Name, "rrdata", why)
	}
	r.Data = CanonicalData(r.Type, r.Data)
	if _, err := normal(r, d.Name); err != nil { // DNS servers would refuse it, and all that changed with it
		return r, invalid(kinds.Record, r.Name, "rrdata", "is not valid data of "+r.Type+": "+strings.TrimPrefix(err.Error(), "dnssrv: "))
	}
	return r, nil
}

// CanonicalData returns the stored form of a record's data: of an address the shortest one (RFC
// 5952), by which it is found, else the data without surrounding space.
func CanonicalData(rrtype, data string) string {
	data = strings.TrimSpace(data)
	if addr, err := netip.ParseAddr(data); err == nil && (rrtype == "A" || rrtype == "AAAA") {
		return addr.String()
	}
	return data
}

// badOwner says what is wrong with the name of a record in a domain; "" = nothing.
func badOwner(name, domain string) string {
	long := func(label string) bool { return len(label) > 63 }
	switch {
	case strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }):
		return "must be in ASCII: write the labels that are not as IDNA does, such as xn--mnchen-3ya for münchen"
	case !ownerName.MatchString(name):
		return "must be a name relative to its domain, or @"
	case slices.ContainsFunc(strings.Split(name, "."), long):
		return "has a label that is longer than 63 characters"
	case len(AbsoluteName(name, domain)) > 253:
		return "is longer than 253 characters, together with its domain"
	}
	return ""
}

// checkBeside checks a record against the others of its name (RFC 1034 section 3.6.2: a CNAME is
// alone; RFC 2181 section 5.2: one TTL per set).
func checkBeside(r DNSRecord, same []DNSRecord) error {
	for _, o := range same {
		switch {
		case r.Type == "CNAME" && o.Type == "CNAME":
			return invalid(kinds.Record, r.Name, "rrtype", "can have one CNAME only; it is "+o.Data)
		case r.Type == "CNAME" || o.Type == "CNAME":
			return invalid(kinds.Record, r.Name, "rrtype", "is a CNAME: it has no other records")
		case r.Type == o.Type && r.TTL != o.TTL:
			return invalid(kinds.Record, r.Name, "ttl", fmt.Sprintf("must be %d, as of the other %s records of the name", o.TTL, o.Type))
		}
	}
	return nil
}

// recordTypes are those that a record may be of. DHCID is what DHCP servers mark the names with
// that they update (RFC 4701).
var recordTypes = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "SSHFP", "TXT", "CAA", "TLSA", "HTTPS", "SVCB", "DHCID"}

// badData says what is wrong with the data of a record; "" = nothing.
func badData(kind, data string) string {
	f := strings.Fields(data)
	switch kind {
	case "A":
		if a, err := netip.ParseAddr(data); err != nil || !a.Is4() {
			return "must be an IPv4 address"
		}
	case "AAAA":
		if a, err := netip.ParseAddr(data); err != nil || !a.Is6() || a.Zone() != "" {
			return "must be an IPv6 address"
		}
	case "CNAME", "NS", "PTR":
		if len(f) != 1 {
			return "must be the name of a server"
		}
	case "MX":
		if len(f) != 2 || !isUint16(f[0]) {
			return "must be <preference 0-65535> <mail server>"
		}
	case "SRV":
		if len(f) != 4 || !isUint16(f[0]) || !isUint16(f[1]) || !isUint16(f[2]) {
			return "must be <priority> <weight> <port> <server>"
		}
	case "SSHFP":
		if len(f) != 3 || !isUint16(f[0]) || !isUint16(f[1]) || strings.Trim(strings.ToLower(f[2]), "0123456789abcdef") != "" {
			return "must be <algorithm> <fingerprint type> <fingerprint in hexadecimal>"
		}
	case "TXT", "CAA", "TLSA", "HTTPS", "SVCB", "DHCID":
		// Their syntax is checked by the DNS library, see normal.
		if data == "" {
			return "is missing"
		}
	default:
		return "is of type " + strconv.Quote(kind) + ", which is not one of " + strings.Join(recordTypes, ", ")
	}
	return ""
}

func isUint16(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// DNSRecord is a record that an operator made.
type DNSRecord struct {
	ID       int64
	Version  int64 // counts changes; an update must carry the one that was read
	DomainID int64
	Name     string // relative to the domain; "@" = the domain itself
	Type     string // A, AAAA, CNAME, MX, NS, SRV, SSHFP, TXT, CAA ...
	TTL      int    // in seconds; 0 = the domain's
	Data     string // in the text form of RFC 1035
}

var records = table[DNSRecord]{
	kind: kinds.Record, name: "dns_record", cols: []string{"domain_id", "name", "type", "ttl", "data"},
	id: func(r *DNSRecord) *int64 { return &r.ID }, version: func(r *DNSRecord) *int64 { return &r.Version },
	label: func(r *DNSRecord) string { return r.Name + " " + r.Type },
	fields: func(r *DNSRecord) []any {
		return []any{&r.DomainID, &r.Name, &r.Type, &r.TTL, &r.Data}
	},
}

// QualifiedData completes a server name of one label with its domain.
func QualifiedData(r DNSRecord, domain string) string {
	switch r.Type {
	case "CNAME", "NS", "PTR", "MX", "SRV":
		if f := strings.Fields(r.Data); len(f) > 0 && !strings.Contains(f[len(f)-1], ".") {
			return strings.Join(f, " ") + "." + domain
		}
	}
	return r.Data
}

// recordRules: a record without a domain is in the default one.
var recordRules = rules[DNSRecord]{
	check: func(ctx context.Context, tx *store.Tx, r, _ *DNSRecord) (err error) {
		if r.DomainID == 0 {
			if r.DomainID, err = firstID(ctx, tx, "domain"); err != nil {
				return err
			}
		}
		*r, err = checkRecord(ctx, tx, *r)
		return err
	},
	unique: func(r *DNSRecord) string { return fmt.Sprintf("%s %s %s", r.Name, r.Type, r.Data) },
}
