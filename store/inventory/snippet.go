package inventory

import (
	"context"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Snippet is a set of DHCP options of the site or, if one of the references is not 0, of a node, a
// subnet or a dynamic range. The more specific wins: node, range, subnet, site. Of several at one
// place the newest does.
type Snippet struct {
	ID          int64
	Version     int64 // counts changes; an update must carry the one that was read
	Name        string
	Description string
	Value       string // see ParseDHCPOptions
	Enabled     bool
	NodeID      int64 // machine or device
	SubnetID    int64
	RangeID     int64
}

var snippets = table[Snippet]{
	kind: kinds.Snippet, name: "dhcp_snippet", cols: []string{"name", "description", "value", "enabled", "node_id", "subnet_id", "range_id"},
	id: func(s *Snippet) *int64 { return &s.ID }, version: func(s *Snippet) *int64 { return &s.Version },
	label: func(s *Snippet) string { return s.Name },
	fields: func(s *Snippet) []any {
		return []any{&s.Name, &s.Description, &s.Value, &s.Enabled, asRef{&s.NodeID}, asRef{&s.SubnetID}, asRef{&s.RangeID}}
	},
}

// maxSnippet bounds the value of a snippet, in bytes.
const maxSnippet = 16 << 10

// check sees to it that the options can be read and are of the family of where they belong.
func (s Snippet) check(ctx context.Context, tx *store.Tx) error {
	wrong := func(field, why string) error { return invalid(kinds.Snippet, s.Name, field, why) }
	places := 0
	for _, id := range []int64{s.NodeID, s.SubnetID, s.RangeID} {
		if id != 0 {
			places++
		}
	}
	if places > 1 {
		return wrong("__all__", "belongs to one of node, subnet and iprange, or to the site")
	}
	if len(s.Value) > maxSnippet {
		return wrong("value", "is longer than 16384 bytes")
	}
	options, err := ParseDHCPOptions(s.Value)
	if err != nil {
		return wrong("value", err.Error())
	}
	if options.LeaseTime != 0 && s.NodeID+s.RangeID != 0 {
		return wrong("value", "has "+leaseTimeStatement+", which subnets and the site have")
	}
	subnet := s.SubnetID
	if s.RangeID != 0 {
		r, err := ranges.get(ctx, tx, s.RangeID)
		if err != nil {
			return err
		}
		subnet = r.SubnetID
	}
	if s.NodeID != 0 {
		_, err := nodes.get(ctx, tx, s.NodeID)
		return err
	}
	if subnet == 0 {
		return nil
	}
	on, err := subnets.get(ctx, tx, subnet)
	switch {
	case err != nil:
		return err
	case on.Prefix.Addr().Is4() && len(options.V6) > 0:
		return wrong("value", "has options of DHCPv6, and "+on.Prefix.String()+" is a subnet of IPv4")
	case on.Prefix.Addr().Is6() && len(options.V4) > 0:
		return wrong("value", "has options of IPv4, and "+on.Prefix.String()+" is a subnet of IPv6; theirs begin with dhcp6.")
	}
	return nil
}

var snippetRules = rules[Snippet]{
	check: func(ctx context.Context, tx *store.Tx, s, _ *Snippet) error {
		if err := s.check(ctx, tx); err != nil {
			return err
		}
		return needName(kinds.Snippet, s.Name)
	},
	unique: func(s *Snippet) string { return "name " + s.Name },
}
