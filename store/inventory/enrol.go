package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// RackToken lets one rack in, once. Its secret is not kept, only a hash of it.
type RackToken struct {
	ID      int64
	Hash    string    // of the secret
	Rack    string    // the only name that may be taken with it; "" = any that is free
	ZoneID  int64     // where the rack will be; 0 = the default zone
	Created time.Time // set by RackTokens.Create
	Expires time.Time
	Used    time.Time // zero = not yet
	UsedBy  string    // name of the rack; "" while Used is zero
}

var rackTokens = table[RackToken]{
	kind: kinds.Token, name: "rack_token", cols: []string{"hash", "rack", "zone_id", "created", "expires", "used", "used_by"},
	id: func(t *RackToken) *int64 { return &t.ID },
	fields: func(t *RackToken) []any {
		return []any{&t.Hash, &t.Rack, &t.ZoneID, asTime{&t.Created}, asTime{&t.Expires}, asTime{&t.Used}, &t.UsedBy}
	},
}

// RackCertificate identifies a rack to regions. A certificate without a record is not accepted.
type RackCertificate struct {
	ID      int64
	Serial  string // hexadecimal
	Rack    string
	Created time.Time
	Expires time.Time
	Revoked time.Time // zero = not
}

var rackCertificates = table[RackCertificate]{
	kind: kinds.Certificate, name: "rack_certificate", cols: []string{"serial", "rack", "created", "expires", "revoked"},
	id: func(c *RackCertificate) *int64 { return &c.ID },
	fields: func(c *RackCertificate) []any {
		return []any{&c.Serial, &c.Rack, asTime{&c.Created}, asTime{&c.Expires}, asTime{&c.Revoked}}
	},
}

// RefusedRackError is the reason why a rack is refused, with the cure, for its administrator.
type RefusedRackError struct {
	Rack string // "" = not known
	Why  string
	Cure string
}

// Error is one line: who, why, and what to do.
func (e *RefusedRackError) Error() string {
	who := "this rack"
	if e.Rack != "" {
		who = "rack " + e.Rack
	}
	return fmt.Sprintf("%s is refused: %s; %s", who, e.Why, e.Cure)
}

// Is makes it fs.ErrPermission.
func (e *RefusedRackError) Is(target error) bool { return target == fs.ErrPermission }

// keepEnrolled is the time for which expired tokens stay listed.
const keepEnrolled = 30 * 24 * time.Hour

// Enrolment admits racks by token and certificate.
type Enrolment struct{ inv *Inventory }

// Admit uses the token with that hash for the rack of the certificate, records the certificate and
// adds the rack. A refusal is a *RefusedRackError and leaves the token unused.
func (en *Enrolment) Admit(ctx context.Context, hash string, c RackCertificate) error {
	const cure = "make a new token with `maas region token create`"
	c.Rack, c.Created, c.Revoked = strings.TrimSpace(c.Rack), time.Now(), time.Time{}
	refused := func(why, cure string) error { return &RefusedRackError{c.Rack, why, cure} }
	if c.Rack == "" {
		return refused("it has no name", "give it one with --name")
	}
	// All checks are in the transaction that marks the token as used: of two hosts with a copy of
	// it, one is admitted.
	return en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err := rackTokens.one(ctx, tx, "", "hash = ?", hash)
		switch {
		case notFound(err):
			return refused("its token is not known here, or was revoked", cure)
		case err != nil:
			return err
		case !t.Used.IsZero():
			return refused(fmt.Sprintf("its token was used at %s, for rack %s, and is good only once", t.Used.Format(time.DateTime), t.UsedBy), cure)
		case !c.Created.Before(t.Expires):
			return refused("its token expired at "+t.Expires.Format(time.DateTime)+" UTC", cure)
		case t.Rack != "" && t.Rack != c.Rack:
			return refused("its token is for rack "+t.Rack, "use that name, or "+cure)
		}
		if err := nameIsFree(ctx, tx, c, t.Rack != ""); err != nil {
			return err
		}
		t.Used, t.UsedBy = c.Created, c.Rack
		if err := rackTokens.update(ctx, tx, &t); err != nil {
			return err
		}
		return en.inv.addCertifiedRack(ctx, tx, c, t.ZoneID)
	})
}

// nameIsFree refuses a name that another host may be using. That of a rack without any certificate,
// as one in the process of its region, can be had only if meant: a host that happens to be called
// so must not get its networks.
func nameIsFree(ctx context.Context, tx *store.Tx, c RackCertificate, meant bool) error {
	certs, err := rackCertificates.list(ctx, tx, "rack = ?", c.Rack)
	if err != nil {
		return err
	}
	for _, held := range certs {
		if held.Revoked.IsZero() && held.Expires.After(c.Created) {
			return &RefusedRackError{c.Rack, "a rack of that name is enrolled already",
				fmt.Sprintf("choose another with --name or, if this one takes its place, first: maas rack revoke %s", c.Rack)}
		}
	}
	if meant || len(certs) > 0 {
		return nil
	}
	if _, err = racks.one(ctx, tx, c.Rack, "name = ?", c.Rack); err == nil {
		return &RefusedRackError{c.Rack, "there is a rack of that name that did not enrol, as one in the process of its region",
			fmt.Sprintf("choose another with --name or, if this one takes its place, use a token of: maas region token create --rack %s", c.Rack)}
	}
	if notFound(err) {
		err = nil
	}
	return err
}

// addCertifiedRack records the certificate, and the rack if it is new.
func (inv *Inventory) addCertifiedRack(ctx context.Context, tx *store.Tx, c RackCertificate, zone int64) error {
	if err := rackCertificates.insert(ctx, tx, &c); err != nil {
		return err
	}
	r, err := racks.one(ctx, tx, c.Rack, "name = ?", c.Rack)
	switch {
	case notFound(err):
		return racks.insert(ctx, tx, &Rack{Name: c.Rack, ZoneID: zone})
	case err != nil || r.ZoneID == zone:
		return err
	}
	r.ZoneID = zone
	return racks.update(ctx, tx, &r)
}

// Renew records a further certificate for the rack that presents the one with that serial number.
// That one must be recorded for the same rack and not be revoked, else the error is a
// *RefusedRackError: a rack that was revoked cannot return by the valid certificate of another host
// that has its name now.
func (en *Enrolment) Renew(ctx context.Context, serial string, c RackCertificate) error {
	c.Created, c.Revoked = time.Now(), time.Time{}
	return en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		held, err := rackCertificates.list(ctx, tx, "serial = ? AND rack = ? AND revoked = 0", serial, c.Rack)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return &RefusedRackError{c.Rack, "its certificate is revoked", "enrol it again with a new token"}
		}
		if err := rackCertificates.deleteWhere(ctx, tx, "expires < ?", c.Created.Add(-keepEnrolled).UnixMicro()); err != nil {
			return err
		}
		return rackCertificates.insert(ctx, tx, &c)
	})
}

// RackOf returns the name of the rack that a certificate was made for, if it is still good, else a
// *RefusedRackError.
func (en *Enrolment) RackOf(ctx context.Context, serial string) (name string, err error) {
	err = en.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		const cure = "enrol it again with a new token"
		c, err := rackCertificates.one(ctx, tx, serial, "serial = ?", serial)
		switch {
		case notFound(err):
			return &RefusedRackError{"", "its certificate is not known here", cure}
		case err != nil:
			return err
		case !c.Revoked.IsZero():
			return &RefusedRackError{c.Rack, "its certificate was revoked at " + c.Revoked.Format(time.DateTime) + " UTC", cure}
		}
		name = c.Rack
		return nil
	})
	return name, err
}

// Revoke makes all certificates of a rack void. Its data stays.
func (en *Enrolment) Revoke(ctx context.Context, name string) error {
	now := time.Now()
	return en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		held, err := rackCertificates.list(ctx, tx, "rack = ? AND revoked = 0", name)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return &NotFoundError{"certificate of rack", name}
		}
		for i := range held {
			held[i].Revoked = now
			if err := rackCertificates.update(ctx, tx, &held[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Certificates lists the certificates, revoked and expired ones included.
func (en *Enrolment) Certificates(ctx context.Context) ([]RackCertificate, error) {
	return listIn(ctx, en.inv, rackCertificates, "")
}

// rackTokenRules: tokens that expired long ago are deleted when another is made. A token is used by
// Enrolment.Admit, and by nothing else.
var rackTokenRules = rules[RackToken]{
	check: func(ctx context.Context, tx *store.Tx, t, old *RackToken) error {
		if old != nil {
			return invalid(kinds.Token, "", "hash", "cannot be changed; make another token")
		}
		t.Created, t.Used, t.UsedBy = time.Now(), time.Time{}, ""
		if t.Hash == "" {
			return invalid(kinds.Token, "", "hash", "is missing")
		}
		if !t.Expires.After(t.Created) {
			return invalid(kinds.Token, "", "expires", "is in the past")
		}
		if err := orFirst(ctx, tx, zones, &t.ZoneID); err != nil {
			return err
		}
		return rackTokens.deleteWhere(ctx, tx, "expires < ?", t.Created.Add(-keepEnrolled).UnixMicro())
	},
}

// Region holds the addresses at which racks reach one region of the site.
type Region struct {
	ID        int64
	Name      string   // unique
	Addresses []string // host:port
	LastSeen  time.Time
}

var regions = table[Region]{
	kind: kinds.Region, name: "region", cols: []string{"name", "addresses", "last_seen"},
	id:     func(r *Region) *int64 { return &r.ID },
	fields: func(r *Region) []any { return []any{&r.Name, asJSON{&r.Addresses}, asTime{&r.LastSeen}} },
}

// Regions lists the regions of the site.
type Regions struct{ inv *Inventory }

// Register says that a region lives, and where. Regions that did not say so for the time of forget
// are removed.
func (rs *Regions) Register(ctx context.Context, r Region, forget time.Duration) error {
	r.LastSeen = time.Now()
	return rs.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := regions.deleteWhere(ctx, tx, "last_seen < ? AND name <> ?", r.LastSeen.Add(-forget).UnixMicro(), r.Name); err != nil {
			return err
		}
		old, err := regions.one(ctx, tx, r.Name, "name = ?", r.Name)
		switch {
		case notFound(err):
			return regions.insert(ctx, tx, &r)
		case err != nil:
			return err
		case slices.Equal(old.Addresses, r.Addresses): // no plan depends on the time
			_, err = tx.Exec(ctx, "UPDATE region SET last_seen = ? WHERE id = ?", asTime{&r.LastSeen}, old.ID)
			return err
		}
		r.ID = old.ID
		return regions.update(ctx, tx, &r)
	})
}

// List lists the regions of the site.
func (rs *Regions) List(ctx context.Context) ([]Region, error) {
	return listIn(ctx, rs.inv, regions, "")
}

// siteOwner is the owner that the site's own secrets are sealed for.
const siteOwner = "0"

// CA returns the certificate and the key of the site's certificate authority. The first call for a
// site calls newCA and keeps what that returns, the key sealed; all regions get the same.
func (en *Enrolment) CA(ctx context.Context, newCA func() (cert, key []byte, err error)) (cert, key []byte, err error) {
	read := func(ctx context.Context, tx *store.Tx) error {
		var sealed []byte
		err := tx.Get(ctx, "SELECT cert, sealed FROM site_ca WHERE one = 1", nil, &cert, &sealed)
		if err != nil {
			return err
		}
		key, err = en.inv.seal.Open(sealed, siteOwner)
		return err
	}
	err = en.inv.view(ctx, read)
	if !errors.Is(err, fs.ErrNotExist) {
		return cert, key, err
	}
	err = en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := read(ctx, tx); !errors.Is(err, fs.ErrNotExist) {
			return err // another region was first, or it cannot be read
		}
		var err error
		if cert, key, err = newCA(); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO site_ca (one, cert, sealed) VALUES (1, ?, ?)", cert, en.inv.seal.Close(key, siteOwner))
		return err
	})
	return cert, key, err
}
