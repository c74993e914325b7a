package inventory_test

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory"
)

// A name that cannot be served is refused for what is wrong with it.
func TestRecordNames(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("b", 253-3*64-len(".maas"))}, ".")
	for _, name := range []string{"@", "*", "*.w", "_sip._tcp", label, long, "xn--mnchen-3ya"} {
		must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: name, Type: "A", Data: "192.0.2.1"}))
	}
	for name, want := range map[string]string{
		"münchen":   "name must be in ASCII: write the labels that are not as IDNA does",
		label + "a": "name has a label that is longer than 63 characters",
		long + "b":  "name is longer than 253 characters, together with its domain",
		"a b":       "name must be a name relative to its domain",
		"a.*.b":     "name must be a name relative to its domain",
	} {
		_, err := inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: name, Type: "A", Data: "192.0.2.1"})
		refused(t, err, want)
	}
}

// However an address is written, it is kept as others write it, and found by it.
func TestRecordsOfAddresses(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	for data, want := range map[string]string{"2001:DB8:0:0::9": "2001:db8::9", "2001:db8::a": "2001:db8::a"} {
		if r := must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: "six", Type: "AAAA", Data: data})); r.Data != want {
			t.Errorf("%s is kept as %s, want %s", data, r.Data, want)
		}
	}
	_, err := inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: "six", Type: "AAAA", Data: "2001:db8:0::a"})
	refused(t, err, "already")
}
