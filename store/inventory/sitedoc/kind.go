package sitedoc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/gomaas/maas/store/inventory"
)

// steps are all kinds in the order in which they are made. VLANs come twice: DHCP needs ranges, and
// a relay other VLANs.
func (a *applier) steps(doc *Document) []step {
	return []step{
		defaultDomain{a, &doc.Domains}, a.zones(&doc.Zones), a.pools(&doc.Pools), a.domains(&doc.Domains), a.spaces(&doc.Spaces), a.fabrics(&doc.Fabrics),
		early{a.vlans(&doc.VLANs, true)}, a.subnets(&doc.Subnets), a.classes(&doc.Classes), a.ranges(&doc.Ranges), a.vlans(&doc.VLANs, false),
		a.routes(&doc.Routes), a.reserved(&doc.Reserved), a.records(&doc.Records), a.images(&doc.Images), a.machines(&doc.Machines),
		a.devices(&doc.Devices), a.addresses(&doc.Addresses), a.tags(&doc.Tags), a.snippets(&doc.Snippets), siteSettings{a, &doc.Settings}, a.profiles(&doc.BootProfiles),
		a.userData(&doc.UserData),
	}
}

// maxInTheWay bounds the objects that an error about a removal names.
const maxInTheWay = 12

// early is a first pass, of which nothing is exported. It is the one that removes: subnets are gone
// then.
type early struct{ step }

func (early) export() error { return nil }

// step applies, prunes and exports one kind of object.
type step interface {
	apply() error
	prune() error
	export() error
}

// kind joins a type of the document (D) to one of the inventory (T).
type kind[D, T any] struct {
	*applier
	name    string
	docs    *[]D
	objects *inventory.Collection[T] // does what none of list, create, update and remove does
	list    func(context.Context) ([]T, error)
	id      func(T) int64
	doc     func(T) (D, error)
	key     func(D) string
	fill    func(D, *T) error // checks references
	create  func(context.Context, T) (T, error)
	update  func(context.Context, T) error
	remove  func(context.Context, T) error
	stays   func(T) bool         // it is not pruned
	remains bool                 // nothing is pruned
	after   func(D, int64) error // follows when the object exists; nil = nothing
}

// The next four methods do the inventory's part: by the function of the kind if it has one, else by
// the collection.

func (k kind[D, T]) all() ([]T, error) {
	if k.list != nil {
		return k.list(k.ctx)
	}
	return k.objects.List(k.ctx)
}

func (k kind[D, T]) make(x T) (T, error) {
	if k.create != nil {
		return k.create(k.ctx, x)
	}
	return k.objects.Create(k.ctx, x)
}

func (k kind[D, T]) change(x T) error {
	if k.update != nil {
		return k.update(k.ctx, x)
	}
	_, err := k.objects.Update(k.ctx, x)
	return err
}

func (k kind[D, T]) delete(x T) error {
	if k.remove != nil {
		return k.remove(k.ctx, x)
	}
	return k.objects.Delete(k.ctx, k.id(x))
}

// current returns the stored objects by key, and the keys in the order of the objects.
func (k kind[D, T]) current() (map[string]T, []string, error) {
	all, err := k.all()
	out, order := make(map[string]T, len(all)), []string(nil)
	for _, x := range all {
		d, err := k.doc(x)
		if err != nil {
			return nil, nil, err
		}
		out[k.key(d)], order = x, append(order, k.key(d))
	}
	return out, order, err
}

// apply creates and updates the objects of the document. A list that is missing leaves its objects
// alone, an empty one too, except that it can be pruned.
func (k kind[D, T]) apply() error {
	if *k.docs == nil {
		return nil
	}
	have, _, err := k.current()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, d := range *k.docs {
		name := k.key(d)
		if seen[name] {
			return &Error{k.name, name, errors.New("is in the document twice"), []any{k.docs, i}}
		}
		seen[name] = true
		if err := k.one(d, name, have); err != nil {
			return &Error{k.name, name, err, append([]any{k.docs, i}, below(err)...)}
		}
	}
	return nil
}

// one applies one object. It is written only if its text differs, so that a document that was
// exported applies without a change, and makes no version stale.
func (k kind[D, T]) one(d D, name string, have map[string]T) error {
	old, there := have[name]
	x := old // keeps the fields that a document does not have
	if err := k.fill(d, &x); err != nil {
		return err
	}
	if !there {
		made, err := k.make(x)
		if err != nil {
			return err
		}
		// The text of what was stored: names and defaults have been filled in.
		after, err := k.text(made)
		if err != nil {
			return err
		}
		k.note("create", k.name, name, nil, after)
		return k.then(d, k.id(made))
	}
	before, err := k.text(old)
	if err != nil {
		return err
	}
	after, err := k.text(x)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		if err := k.change(x); err != nil {
			return err
		}
		k.note("update", k.name, name, before, after)
	}
	return k.then(d, k.id(old))
}

// then applies the parts of an object, such as a machine's interfaces, also if the object itself is
// unchanged.
func (k kind[D, T]) then(d D, id int64) error {
	if k.after == nil {
		return nil
	}
	return k.after(d, id)
}

// text returns an object as the document shows it, to compare and to report it.
func (k kind[D, T]) text(x T) ([]byte, error) {
	d, err := k.doc(x)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// prune removes the objects that the list lacks.
func (k kind[D, T]) prune() error {
	if *k.docs == nil || k.remains {
		return nil
	}
	have, order, err := k.current()
	if err != nil {
		return err
	}
	for _, d := range *k.docs {
		delete(have, k.key(d))
	}
	for _, name := range order {
		x, extra := have[name]
		if !extra || k.stays != nil && k.stays(x) {
			continue
		}
		before, err := k.text(x) // afterwards its references may be gone
		if err != nil {
			return err
		}
		if err := k.delete(x); err != nil {
			return &Error{Kind: k.name, Name: name, Err: err}
		}
		k.note("delete", k.name, name, before, nil)
	}
	return nil
}

// export appends all objects to the document's list.
func (k kind[D, T]) export() error {
	all, err := k.all()
	for _, x := range all {
		d, err := k.doc(x)
		if err != nil {
			return err
		}
		*k.docs = append(*k.docs, d)
	}
	return err
}
