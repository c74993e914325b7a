package inventory

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netspec"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// AmbiguousError says that a specifier means several objects where one is wanted.
type AmbiguousError struct {
	Kind string
	What string   // the specifier
	Of   []string // what it means; at most a dozen
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("inventory: %q means several of kind %s: %s; name one by its id, as in id:7", e.What, e.Kind, strings.Join(e.Of, ", "))
}

// vlanOfFabric is the specifier for FABRIC/TAG and FABRIC/NAME, as VLANs are listed; false when the
// text is none of them. What has a colon or a comma in it is a specifier already.
func vlanOfFabric(text string) (spec string, ok bool) {
	i := strings.LastIndexByte(text, '/')
	if i < 1 || i == len(text)-1 || strings.ContainsAny(text, ":,") {
		return "", false
	}
	fabric, vlan := text[:i], text[i+1:]
	key := "name:"
	vid, err := strconv.ParseUint(vlan, 10, 12)
	if err == nil && vid <= ipam.MaxVID && vlan == strconv.FormatUint(vid, 10) || vlan == ipam.UntaggedName { // "0755" is a name
		key = "vid:"
	}
	return "fabric:" + fabric + ",&" + key + vlan, true
}

func findBy[T any](ctx context.Context, inv *Inventory, spec string, find func(*netspec.Networks, netspec.Spec) []T) ([]T, error) {
	s, err := netspec.Parse(spec)
	if err != nil {
		return nil, err
	}
	n, err := inv.networks(ctx)
	if err != nil {
		return nil, err
	}
	return find(n, s), nil
}

func oneBy[T any](ctx context.Context, inv *Inventory, spec string, find func(*netspec.Networks, netspec.Spec) []T, t table[T]) (one T, err error) {
	all, err := findBy(ctx, inv, spec, find)
	switch {
	case err != nil:
		return one, err
	case len(all) == 0:
		return one, &NotFoundError{t.kind, spec}
	case len(all) == 1:
		return all[0], nil
	}
	e := &AmbiguousError{Kind: t.kind, What: spec}
	for i := range all[:min(len(all), 12)] {
		e.Of = append(e.Of, fmt.Sprintf("%s (id %d)", t.label(&all[i]), *t.id(&all[i])))
	}
	return one, e
}

// networks reads the networks of the site.
func (inv *Inventory) networks(ctx context.Context) (*netspec.Networks, error) {
	n := new(netspec.Networks)
	err := inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, read := range []func() error{
			func() error { return into(ctx, tx, fabrics, &n.Fabrics) },
			func() error { return into(ctx, tx, vlans, &n.VLANs) },
			func() error { return into(ctx, tx, spaces, &n.Spaces) },
			func() error { return into(ctx, tx, subnets, &n.Subnets) },
		} {
			if err := read(); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// findVLAN returns the VLAN that a specifier means, or that FABRIC/TAG or FABRIC/NAME does, as
// VLANs are listed. A name may have a slash in it, and is looked for first.
func (inv *Inventory) findVLAN(ctx context.Context, _ *store.Tx, spec string) (ipam.VLAN, error) {
	v, err := oneBy(ctx, inv, spec, (*netspec.Networks).FindVLANs, vlans)
	if listed, ok := vlanOfFabric(spec); ok && notFound(err) {
		if v, err := oneBy(ctx, inv, listed, (*netspec.Networks).FindVLANs, vlans); !notFound(err) {
			return v, err
		}
	}
	return v, err
}

// SubnetsOf returns all subnets that a specifier means, as space:dmz means those of a space. If a
// specifier of one term means none and names a single object, the error is *NotFoundError.
func (inv *Inventory) SubnetsOf(ctx context.Context, spec string) ([]ipam.Subnet, error) {
	all, err := findBy(ctx, inv, spec, (*netspec.Networks).FindSubnets)
	return named(ctx, inv, all, err, kinds.Subnet, spec)
}

// VLANsOf returns all VLANs that a specifier means. Its error is that of SubnetsOf.
func (inv *Inventory) VLANsOf(ctx context.Context, spec string) ([]ipam.VLAN, error) {
	all, err := findBy(ctx, inv, spec, (*netspec.Networks).FindVLANs)
	if listed, ok := vlanOfFabric(spec); ok && err == nil && len(all) == 0 {
		all, err = findBy(ctx, inv, listed, (*netspec.Networks).FindVLANs)
	}
	return named(ctx, inv, all, err, kinds.VLAN, spec)
}

// named refuses a specifier that means nothing because what it names does not exist: to avoid a
// space with a typing error in its name would avoid nothing. A space without subnets is known.
func named[T any](ctx context.Context, inv *Inventory, all []T, err error, kind, spec string) ([]T, error) {
	if err != nil || len(all) > 0 {
		return all, err
	}
	parsed, err := netspec.Parse(spec)
	if err != nil {
		return nil, err
	}
	n, err := inv.networks(ctx)
	if err != nil {
		return nil, err
	}
	if n.Missing(parsed) != "" {
		return nil, &NotFoundError{kind, spec}
	}
	return all, nil
}
