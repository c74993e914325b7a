package inventory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Class is a kind of DHCP clients, selected by what they send, of both families. Of the fields that
// select, at least one is set, and a client has to satisfy all that are. A client belongs to the
// class with the lowest Sequence, and of these the oldest, that it satisfies. Dynamic ranges may be
// for a class alone.
type Class struct {
	ID          int64
	Version     int64 // counts changes; an update must carry the one that was read
	Name        string
	Description string
	Sequence    int

	VendorClass string   // option 60, or 16 of IPv6, begins with it
	UserClass   string   // one of the classes in option 77, or 15 of IPv6
	Arch        []uint16 // option 93, or 61 of IPv6, has one of them
	MACPrefix   string   // the MAC address begins with it, such as "02:00:5e"
	CircuitID   string   // option 82.1, or 18 of IPv6, equals it: text, or 0x and hexadecimal digits

	Ignore  bool   // its clients get no answer
	Options string // see ParseDHCPOptions; "" = none. They win over those of the subnet.
}

var classes = table[Class]{
	kind: kinds.Class, name: "dhcp_class",
	cols: []string{"name", "description", "sequence", "vendor_class", "user_class", "arch", "mac_prefix", "circuit_id", "ignored", "options"},
	id:   func(c *Class) *int64 { return &c.ID }, version: func(c *Class) *int64 { return &c.Version },
	label: func(c *Class) string { return c.Name },
	fields: func(c *Class) []any {
		return []any{&c.Name, &c.Description, &c.Sequence, &c.VendorClass, &c.UserClass, asJSON{&c.Arch}, &c.MACPrefix, &c.CircuitID, &c.Ignore, &c.Options}
	},
}

// Bounds of classes: each packet is compared with all, and options of DHCPv4 have up to 255 bytes.
const (
	maxClasses  = 256
	maxSelector = 255
	maxArchs    = 64
)

// DHCP returns the class as a DHCP server has it. The error names the field.
func (c Class) DHCP() (dhcpsrv.Class, error) {
	wrong := func(field, format string, args ...any) (dhcpsrv.Class, error) {
		return dhcpsrv.Class{}, invalid(kinds.Class, c.Name, field, fmt.Sprintf(format, args...))
	}
	out := dhcpsrv.Class{Name: c.Name, VendorClass: c.VendorClass, UserClass: c.UserClass, Arch: c.Arch, Ignore: c.Ignore}
	if c.MACPrefix != "" {
		prefix, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(c.MACPrefix))
		if err != nil || len(prefix) == 0 || len(prefix) > 6 {
			return wrong("mac_prefix", "%q is not the beginning of a MAC address; write one to six bytes, such as 02:00:5e", clipped(c.MACPrefix))
		}
		out.MACPrefix = net.HardwareAddr(prefix)
	}
	if digits, isHex := strings.CutPrefix(c.CircuitID, "0x"); isHex {
		id, err := hex.DecodeString(digits)
		if err != nil || len(id) == 0 {
			return wrong("circuit_id", "%q is not 0x and pairs of hexadecimal digits", clipped(c.CircuitID))
		}
		out.CircuitID = id
	} else if c.CircuitID != "" {
		out.CircuitID = []byte(c.CircuitID)
	}
	if strings.TrimSpace(c.Options) != "" {
		options, err := ParseDHCPOptions(c.Options)
		if err != nil {
			return wrong("options", "%v", err)
		}
		if options.LeaseTime != 0 {
			return wrong("options", "has "+leaseTimeStatement+", which subnets and the site have")
		}
		out.Options, out.Options6 = options.V4, options.V6
	}
	return out, nil
}

// check sees to it that the class selects some clients, and that racks can read it.
func (c *Class) check(ctx context.Context, tx *store.Tx) error {
	wrong := func(field, format string, args ...any) error {
		return invalid(kinds.Class, c.Name, field, fmt.Sprintf(format, args...))
	}
	if err := needName(kinds.Class, c.Name); err != nil {
		return err
	}
	if c.VendorClass == "" && c.UserClass == "" && len(c.Arch) == 0 && c.MACPrefix == "" && c.CircuitID == "" {
		return wrong("__all__", "selects every client; set one of vendor_class, user_class, arch, mac_prefix and circuit_id")
	}
	for _, f := range []struct{ name, value string }{{"name", c.Name}, {"vendor_class", c.VendorClass}, {"user_class", c.UserClass}} {
		if len(f.value) > maxSelector {
			return wrong(f.name, "has %d bytes, and the option has at most %d", len(f.value), maxSelector)
		}
	}
	if len(c.Arch) > maxArchs {
		return wrong("arch", "has %d architectures, more than %d", len(c.Arch), maxArchs)
	}
	if len(c.Options) > maxSnippet {
		return wrong("options", "is longer than %d bytes", maxSnippet)
	}
	k, err := c.DHCP()
	if err != nil {
		return err
	}
	if len(k.CircuitID) > maxSelector {
		return wrong("circuit_id", "has %d bytes, and the option has at most %d", len(k.CircuitID), maxSelector)
	}
	// One spelling of each value, so that equal classes are equal.
	c.MACPrefix = k.MACPrefix.String()
	if c.CircuitID != "" && !bytes.Equal(k.CircuitID, []byte(c.CircuitID)) {
		c.CircuitID = "0x" + hex.EncodeToString(k.CircuitID)
	}
	slices.Sort(c.Arch)
	c.Arch = slices.Compact(c.Arch)
	var others int
	if err := tx.Get(ctx, "SELECT COUNT(*) FROM dhcp_class WHERE id <> ?", []any{c.ID}, &others); err != nil {
		return err
	}
	if others >= maxClasses {
		return wrong("__all__", "there are %d classes already, and each packet is compared with all; delete one first", others)
	}
	return nil
}

var classRules = rules[Class]{
	check: func(ctx context.Context, tx *store.Tx, c, _ *Class) error { return c.check(ctx, tx) },
	keep: func(ctx context.Context, tx *store.Tx, c *Class) error {
		all, err := ranges.list(ctx, tx, "class_id = ?", c.ID)
		if err != nil {
			return err
		}
		return inUse(kinds.Class, c.Name, "give these ranges another class, or none, first", each(all, func(r ipam.Range) string { return "range " + r.String() }))
	},
	unique: func(c *Class) string { return "name " + c.Name },
	key:    "name",
}

// sortClasses puts classes into the order in which they decide.
func sortClasses(all []Class) {
	slices.SortStableFunc(all, func(a, b Class) int { return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.ID, b.ID)) })
}

// checkRangeClass refuses a class that does not exist, and one of a range that DHCP does not use.
func checkRangeClass(ctx context.Context, tx *store.Tx, r *ipam.Range) error {
	if r.ClassID == 0 {
		return nil
	}
	if r.Type != ipam.RangeDynamic {
		return invalid(kinds.Range, r.String(), "dhcp_class", "is of dynamic ranges alone, whose addresses DHCP gives out")
	}
	_, err := classes.get(ctx, tx, r.ClassID)
	return err
}
