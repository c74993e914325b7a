package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// BootTarget is the target of a boot profile: one machine, the machines or subnets with a tag, a
// subnet, or, if it is zero, all other machines. At most one of the IDs is set.
type BootTarget struct {
	MachineID, TagID, SubnetID int64
}

// BootProfile is the boot profile of a target. A machine boots its own profile, else its tags',
// else the profile of the subnet where it boots, else that subnet's tags', else the site's. Of
// several tags the oldest counts.
type BootProfile struct {
	For     BootTarget
	Name    string // of the machine with its domain, of the tag, or the prefix of the subnet; "" = the site. Filled in by reads
	Profile pxe.Profile
}

// bootRule is the profile of a tag or a subnet. Machines hold their own, and the site's is a
// setting.
type bootRule struct {
	id int64
	BootProfile
}

var bootRules = table[bootRule]{
	kind: kinds.BootProfile, name: "boot_profile", cols: []string{"subnet_id", "tag_id", "profile"},
	id:     func(r *bootRule) *int64 { return &r.id },
	fields: func(r *bootRule) []any { return []any{asRef{&r.For.SubnetID}, asRef{&r.For.TagID}, asJSON{&r.Profile}} },
}

// Profiles holds boot profiles by target.
type Profiles struct{ inv *Inventory }

// Get returns the profile of exactly this target; nil = it has none, and what is less particular
// counts.
func (ps *Profiles) Get(ctx context.Context, of BootTarget) (p *pxe.Profile, err error) {
	err = ps.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := of.name(ctx, tx); err != nil {
			return err
		}
		switch {
		case of == BootTarget{}:
			p, err = ps.Default(ctx)
			return err
		case of.MachineID != 0:
			m, err := ps.inv.Machines.Get(ctx, of.MachineID)
			p = m.Profile
			return err
		}
		r, err := of.rule(ctx, tx)
		if r.id != 0 {
			p = &r.Profile
		}
		return err
	})
	return p, err
}

// Set sets the profile of a target; nil takes it back. Racks follow at once. A profile that cannot
// be booted, or names a file that does not exist, is an *InvalidError that names the target.
func (ps *Profiles) Set(ctx context.Context, of BootTarget, p *pxe.Profile) error {
	return ps.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		name, err := of.name(ctx, tx)
		if err != nil {
			return err
		}
		if p != nil {
			if err := p.Validate(); err != nil {
				return invalid(kinds.BootProfile, name, "profile", "cannot be booted: "+err.Error())
			}
			if err := ps.inv.checkFiles(ctx, tx, name, p); err != nil {
				return err
			}
		}
		switch {
		case of == BootTarget{}:
			return ps.SetDefault(ctx, p)
		case of.MachineID != 0:
			return ps.inv.setMachineProfile(ctx, of.MachineID, p)
		}
		return of.setRule(ctx, tx, p)
	})
}

func (inv *Inventory) setMachineProfile(ctx context.Context, id int64, p *pxe.Profile) error {
	m, err := inv.Machines.Get(ctx, id)
	if err != nil {
		return err
	}
	m.Profile = p
	_, err = inv.Machines.Update(ctx, m)
	return err
}

// name returns the name of the target, which has to exist.
func (of BootTarget) name(ctx context.Context, tx *store.Tx) (string, error) {
	switch of {
	case BootTarget{}:
		return "site", nil
	case BootTarget{MachineID: of.MachineID}:
		m, err := nodeOf(ctx, tx, kinds.Machine, of.MachineID)
		return "machine " + m.Hostname, err
	case BootTarget{TagID: of.TagID}:
		t, err := tags.get(ctx, tx, of.TagID)
		return "tag " + t.Name, err
	case BootTarget{SubnetID: of.SubnetID}:
		s, err := subnets.get(ctx, tx, of.SubnetID)
		return "subnet " + s.Prefix.String(), err
	}
	return "", invalid(kinds.BootProfile, "", "__all__", "is for one of machine, tag and subnet, or for the site")
}

// label returns the name of the target without its kind; "" = the site.
func (of BootTarget) label(ctx context.Context, tx *store.Tx) (string, error) {
	name, err := of.name(ctx, tx)
	_, label, _ := strings.Cut(name, " ")
	return label, err
}

// rule reads the profile of a tag or subnet; one without an ID if there is none.
func (of BootTarget) rule(ctx context.Context, tx *store.Tx) (bootRule, error) {
	column, id := "subnet_id", of.SubnetID
	if of.TagID != 0 {
		column, id = "tag_id", of.TagID
	}
	r, err := bootRules.one(ctx, tx, strconv.FormatInt(id, 10), column+" = ?", id)
	if notFound(err) {
		return bootRule{BootProfile: BootProfile{For: of}}, nil
	}
	return r, err
}

func (of BootTarget) setRule(ctx context.Context, tx *store.Tx, p *pxe.Profile) error {
	r, err := of.rule(ctx, tx)
	switch {
	case err != nil:
		return err
	case p == nil && r.id == 0:
		return nil
	case p == nil:
		return bootRules.delete(ctx, tx, r.id)
	}
	r.Profile = *p
	if r.id == 0 {
		return bootRules.insert(ctx, tx, &r)
	}
	return bootRules.update(ctx, tx, &r)
}

// List lists all profiles: the site's default one, then the profiles of tags, subnets and machines.
func (ps *Profiles) List(ctx context.Context) (all []BootProfile, err error) {
	err = ps.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		all = nil
		site, err := ps.Default(ctx)
		if err != nil {
			return err
		}
		if site != nil {
			all = append(all, BootProfile{Profile: *site})
		}
		rules, err := bootRules.list(ctx, tx, "")
		if err != nil {
			return err
		}
		for _, r := range rules {
			if r.Name, err = r.For.label(ctx, tx); err != nil {
				return err
			}
			all = append(all, r.BootProfile)
		}
		// The column holds JSON, so a machine without a profile has null as text.
		machines, err := nodesWhere(ctx, tx, kinds.Machine, "n.profile <> 'null'")
		for _, n := range machines {
			all = append(all, BootProfile{For: BootTarget{MachineID: n.ID}, Name: n.FQDN, Profile: *n.Profile})
		}
		return err
	})
	return all, err
}

// SetDefault sets what a machine without a profile of its own boots; nil takes it back, and such
// machines find nothing to boot.
func (ps *Profiles) SetDefault(ctx context.Context, p *pxe.Profile) error {
	if p == nil {
		return ps.inv.Settings.Set(ctx, setting.BootProfile, "")
	}
	if err := p.Validate(); err != nil {
		return err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return ps.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := ps.inv.checkFiles(ctx, tx, "site", p); err != nil {
			return err
		}
		return ps.inv.Settings.Set(ctx, setting.BootProfile, string(text))
	})
}

// Default returns what a machine without a profile of its own boots; nil = nothing.
func (ps *Profiles) Default(ctx context.Context) (*pxe.Profile, error) {
	text, err := ps.inv.Settings.Get(ctx, setting.BootProfile)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseProfile(text)
}

func parseProfile(text string) (*pxe.Profile, error) {
	if text == "" { // a profile that was taken back
		return nil, nil
	}
	p := new(pxe.Profile)
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, fmt.Errorf("inventory: setting %s: %w", setting.BootProfile, err)
	}
	return p, nil
}
