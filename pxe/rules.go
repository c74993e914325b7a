package pxe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/pxe/firmware"
)

// Rules choose profiles by machine, by subnet, by the tags of a subnet, or for the whole site. They
// are plain data, equal in JSON and Go, and a Resolver: the most particular rule wins, in the order
// of the fields. The zero value has no profile. Rules may be read from many goroutines; make new
// ones to change them.
type Rules struct {
	// Machines has the profiles of single machines, by FormatMAC or as net.HardwareAddr prints
	// them.
	Machines map[string]Profile `json:"machines,omitempty"`
	// Subnets says what is known of the networks that clients boot in. The longest prefix that
	// holds the client's address is its subnet.
	Subnets []SubnetRule `json:"subnets,omitempty"`
	// Tags has the profiles of tagged subnets; the first whose tag the client's subnet bears is
	// taken.
	Tags []TagRule `json:"tags,omitempty"`
	// Default is for all other machines; nil means ErrNoProfile.
	Default *Profile `json:"default,omitempty"`
}

// SubnetRule holds the rules for one subnet.
type SubnetRule struct {
	Prefix netip.Prefix `json:"prefix"`
	Tags   []string     `json:"tags,omitempty"`
	// Profile is for machines of the subnet without one of their own. Nil leaves them to the tags
	// and the default.
	Profile *Profile `json:"profile,omitempty"`
}

// TagRule is the rule for subnets with a tag.
type TagRule struct {
	Tag     string  `json:"tag"`
	Profile Profile `json:"profile"`
}

var _ Resolver = Rules{}

// Resolve implements Resolver.
func (r Rules) Resolve(_ context.Context, q Request) (Profile, error) {
	for _, key := range []string{firmware.FormatMAC(q.MAC), q.MAC.String()} {
		if p, ok := r.Machines[key]; ok && len(q.MAC) > 0 {
			return p, nil
		}
	}
	if s := r.subnet(q.Addr); s != nil {
		if s.Profile != nil {
			return *s.Profile, nil
		}
		for _, t := range r.Tags {
			if slices.Contains(s.Tags, t.Tag) {
				return t.Profile, nil
			}
		}
	}
	if r.Default != nil {
		return *r.Default, nil
	}
	return Profile{}, ErrNoProfile
}

// LoaderOf implements LoaderChooser.
func (r Rules) LoaderOf(q Request) LoaderChoice {
	p, _ := r.Resolve(context.Background(), q)
	return p.LoaderChoice()
}

// subnet finds the subnet of an address, nil when none is known.
func (r Rules) subnet(addr netip.Addr) (best *SubnetRule) {
	addr = addr.Unmap().WithZone("")
	for i := range r.Subnets {
		if s := &r.Subnets[i]; s.Prefix.Contains(addr) && (best == nil || s.Prefix.Bits() > best.Prefix.Bits()) {
			best = s
		}
	}
	return best
}

// Validate reports the first mistake, naming where it is.
func (r Rules) Validate() error {
	check := func(where string, p *Profile) error {
		if p == nil {
			return nil
		}
		if err := p.Validate(); err != nil {
			return fmt.Errorf("%w (rule for %s)", err, where)
		}
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(r.Machines)) {
		p := r.Machines[key]
		if _, err := firmware.ParseMAC(key); err != nil {
			return fmt.Errorf("%w (rules for machines)", err)
		}
		if err := check(key, &p); err != nil {
			return err
		}
	}
	for _, s := range r.Subnets {
		if !s.Prefix.IsValid() {
			return errors.New("pxe: a rule for subnets has no prefix")
		}
		if err := check(s.Prefix.String(), s.Profile); err != nil {
			return err
		}
	}
	for _, t := range r.Tags {
		if err := check("tag "+t.Tag, &t.Profile); err != nil {
			return err
		}
	}
	return check("everybody else", r.Default)
}
