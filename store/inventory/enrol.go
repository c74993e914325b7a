package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
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
	// Networks and BMCNetworks are given to the rack; see [Rack]. With Open, those of its first
	// registration are, too.
	Networks, BMCNetworks []netip.Prefix
	Open                  bool
}

var rackTokens = table[RackToken]{
	kind: kinds.Token, name: "rack_token", cols: []string{"hash", "rack", "zone_id", "created", "expires", "used", "used_by", "networks", "bmc_networks", "open"},
	id: func(t *RackToken) *int64 { return &t.ID },
	fields: func(t *RackToken) []any {
		return []any{&t.Hash, &t.Rack, &t.ZoneID, asTime{&t.Created}, asTime{&t.Expires}, asTime{&t.Used}, &t.UsedBy, asJSON{&t.Networks}, asJSON{&t.BMCNetworks}, &t.Open}
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
	// Generation counts the certificates of the name, so that a renewed one is told from its
	// predecessor.
	Generation int64
	Used       time.Time // when a rack first showed it; zero = never
}

var rackCertificates = table[RackCertificate]{
	kind: kinds.Certificate, name: "rack_certificate", cols: []string{"serial", "rack", "created", "expires", "revoked", "generation", "used"},
	id: func(c *RackCertificate) *int64 { return &c.ID },
	fields: func(c *RackCertificate) []any {
		return []any{&c.Serial, &c.Rack, asTime{&c.Created}, asTime{&c.Expires}, asTime{&c.Revoked}, &c.Generation, asTime{&c.Used}}
	},
}

// RefusedRackError is the reason why a rack is refused, with the cure, for its administrator.
type RefusedRackError struct {
	Rack string // "" = not known
	Why  string
	Cure string
	// Revoked is set if the rack is shut out for good; else it may be let in another time.
	Revoked bool
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

// Examine checks a token and the name of a rack before anything is signed for it, and returns the
// generation of its certificate. A refusal is a *RefusedRackError.
func (en *Enrolment) Examine(ctx context.Context, hash, rack string) (generation int64, err error) {
	c := RackCertificate{Rack: strings.TrimSpace(rack), Created: time.Now()}
	err = en.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := goodToken(ctx, tx, hash, c); err != nil {
			return err
		}
		generation, err = lastGeneration(ctx, tx, c.Rack)
		return err
	})
	return generation + 1, err
}

// Admit uses the token with that hash for the rack of the certificate, records the certificate and
// adds the rack. A refusal is a *RefusedRackError and leaves the token unused.
func (en *Enrolment) Admit(ctx context.Context, hash string, c RackCertificate) error {
	c.Rack, c.Created, c.Revoked, c.Used = strings.TrimSpace(c.Rack), time.Now(), time.Time{}, time.Time{}
	// All checks are in the transaction that marks the token as used: of two hosts with a copy of
	// it, one is admitted.
	return en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err := goodToken(ctx, tx, hash, c)
		if err != nil {
			return err
		}
		last, err := lastGeneration(ctx, tx, c.Rack)
		if err != nil {
			return err
		}
		if c.Generation <= last {
			return &RefusedRackError{Rack: c.Rack, Why: "another host enrolled with that name at the same moment", Cure: "choose another with --name"}
		}
		t.Used, t.UsedBy = c.Created, c.Rack
		if err := rackTokens.update(ctx, tx, &t); err != nil {
			return err
		}
		return en.inv.addCertifiedRack(ctx, tx, c, t)
	})
}

// goodToken returns the token with that hash if it is good for the rack of the certificate.
func goodToken(ctx context.Context, tx *store.Tx, hash string, c RackCertificate) (RackToken, error) {
	const cure = "make a new token with `maas region token create`"
	refused := func(why, cure string) (RackToken, error) {
		return RackToken{}, &RefusedRackError{Rack: c.Rack, Why: why, Cure: cure}
	}
	if c.Rack == "" {
		return refused("it has no name", "give it one with --name")
	}
	t, err := rackTokens.one(ctx, tx, "", "hash = ?", hash)
	switch {
	case notFound(err):
		return refused("its token is not known here, or was revoked", cure)
	case err != nil:
		return t, err
	case !t.Used.IsZero():
		return refused(fmt.Sprintf("its token was used at %s, for rack %s, and is good only once", t.Used.Format(time.DateTime), t.UsedBy), cure)
	case !c.Created.Before(t.Expires):
		return refused("its token expired at "+t.Expires.Format(time.DateTime)+" UTC", cure)
	case t.Rack != "" && t.Rack != c.Rack:
		return refused("its token is for rack "+t.Rack, "use that name, or "+cure)
	}
	return t, nameIsFree(ctx, tx, c, t.Rack != "")
}

// lastGeneration returns the highest generation of the certificates of a name; 0 = it has none.
func lastGeneration(ctx context.Context, tx *store.Tx, rack string) (last int64, err error) {
	err = tx.Get(ctx, "SELECT COALESCE(MAX(generation), 0) FROM rack_certificate WHERE rack = ?", []any{rack}, &last)
	return last, err
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
			return &RefusedRackError{Rack: c.Rack, Why: "a rack of that name is enrolled already",
				Cure: fmt.Sprintf("choose another with --name or, if this one takes its place, first: maas rack revoke %s", c.Rack)}
		}
	}
	if meant || len(certs) > 0 {
		return nil
	}
	if _, err = racks.one(ctx, tx, c.Rack, "name = ?", c.Rack); err == nil {
		return &RefusedRackError{Rack: c.Rack, Why: "there is a rack of that name that did not enrol, as one in the process of its region",
			Cure: fmt.Sprintf("choose another with --name or, if this one takes its place, use a token of: maas region token create --rack %s", c.Rack)}
	}
	if notFound(err) {
		err = nil
	}
	return err
}

// addCertifiedRack records the certificate, and the rack with what the token gives it. A rack that
// enrols again keeps what it had: its host was replaced.
func (inv *Inventory) addCertifiedRack(ctx context.Context, tx *store.Tx, c RackCertificate, t RackToken) error {
	if err := rackCertificates.insert(ctx, tx, &c); err != nil {
		return err
	}
	r, err := racks.one(ctx, tx, c.Rack, "name = ?", c.Rack)
	if notFound(err) {
		return racks.insert(ctx, tx, &Rack{Name: c.Rack, ZoneID: t.ZoneID, Networks: t.Networks, BMCNetworks: t.BMCNetworks, Open: t.Open})
	}
	if err != nil {
		return err
	}
	r.ZoneID, r.Open = t.ZoneID, t.Open
	r.Networks, r.BMCNetworks = sortedNetworks(append(r.Networks, t.Networks...)), sortedNetworks(append(r.BMCNetworks, t.BMCNetworks...))
	return racks.update(ctx, tx, &r)
}

// Renew records a further certificate for the rack that presents another one, which must be good. A
// rack that fails to store its new certificate presents the old one again.
func (en *Enrolment) Renew(ctx context.Context, shown, c RackCertificate) error {
	c.Rack, c.Created, c.Revoked, c.Used = shown.Rack, time.Now(), time.Time{}, time.Time{}
	refusal, err := en.present(ctx, shown, func(ctx context.Context, tx *store.Tx, held RackCertificate) error {
		if held.Rack != shown.Rack {
			// A rack that was revoked cannot return by the valid certificate of another host that
			// has its name now.
			return &RefusedRackError{Rack: shown.Rack, Why: "its certificate is revoked", Cure: "enrol it again with a new token"}
		}
		if err := rackCertificates.deleteWhere(ctx, tx, "expires < ?", c.Created.Add(-keepEnrolled).UnixMicro()); err != nil {
			return err
		}
		c.Generation = held.Generation + 1
		return rackCertificates.insert(ctx, tx, &c)
	})
	return errors.Join(refusal, err)
}

// RackOf returns the name of the rack that shows a certificate, if that is still good, else a
// *RefusedRackError. The caller has verified that the site's authority signed it.
func (en *Enrolment) RackOf(ctx context.Context, shown RackCertificate) (name string, err error) {
	refusal, err := en.present(ctx, shown, func(_ context.Context, _ *store.Tx, held RackCertificate) error {
		name = held.Rack
		return nil
	})
	if err == nil && refusal != nil {
		err = refusal
	}
	return name, err
}

// present checks a certificate that a rack shows and runs then for one that is good. A refusal is
// apart from the error, since what it is based on is stored.
func (en *Enrolment) present(ctx context.Context, shown RackCertificate, then func(context.Context, *store.Tx, RackCertificate) error) (refusal, err error) {
	const cure = "enrol it again with a new token"
	err = en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		refusal = nil
		held, err := rackCertificates.one(ctx, tx, shown.Serial, "serial = ?", shown.Serial)
		if notFound(err) {
			held, err = adopt(ctx, tx, shown)
		}
		switch {
		case notFound(err):
			refusal = &RefusedRackError{Rack: "", Why: "its certificate is not known here", Cure: cure}
			return nil
		case err != nil:
			return err
		case !held.Revoked.IsZero():
			refusal = &RefusedRackError{held.Rack, "its certificate was revoked at " + held.Revoked.Format(time.DateTime) + " UTC", cure, true}
			return nil
		}
		copied, err := supersededBy(ctx, tx, held)
		if err != nil {
			return err
		}
		if copied {
			refusal = &RefusedRackError{held.Rack, "two hosts have its identity: it shows a certificate that another host renewed, so that both are shut out",
				"find out who copied it, then enrol the rack again with a new token", true}
			return en.shutOut(ctx, tx, held.Rack)
		}
		if held.Used.IsZero() {
			held.Used = time.Now()
			if err := rackCertificates.update(ctx, tx, &held); err != nil {
				return err
			}
		}
		return then(ctx, tx, held)
	})
	return refusal, err
}

// adopt records a certificate that the site's authority signed and the database does not have, as
// after the restore of a backup: it is newer than all that are known of an enrolled rack.
func adopt(ctx context.Context, tx *store.Tx, shown RackCertificate) (RackCertificate, error) {
	known, err := rackCertificates.list(ctx, tx, "rack = ? AND revoked = 0", shown.Rack)
	if err != nil {
		return shown, err
	}
	last, err := lastGeneration(ctx, tx, shown.Rack)
	if err != nil {
		return shown, err
	}
	if len(known) == 0 || shown.Generation <= last {
		return shown, &NotFoundError{kinds.Certificate, shown.Serial}
	}
	shown.Created, shown.Revoked, shown.Used = time.Now(), time.Time{}, time.Time{}
	return shown, rackCertificates.insert(ctx, tx, &shown)
}

// supersededBy reports whether another certificate was used that is as new as this one, or newer: a
// host that renewed its certificate has no use for the old one.
func supersededBy(ctx context.Context, tx *store.Tx, c RackCertificate) (bool, error) {
	newer, err := rackCertificates.list(ctx, tx, "rack = ? AND revoked = 0 AND used <> 0 AND generation >= ? AND serial <> ? AND generation > 0", c.Rack, c.Generation, c.Serial)
	return len(newer) > 0, err
}

// shutOut revokes the certificates of a rack whose identity two hosts have.
func (en *Enrolment) shutOut(ctx context.Context, tx *store.Tx, rack string) error {
	if err := revokeCertificates(ctx, tx, rack); err != nil {
		return err
	}
	return en.inv.Events.Add(ctx, Event{Kind: "rack", Level: "error", Description: fmt.Sprintf(
		"two hosts have the identity of rack %s; both are shut out: find out who copied it, see maas rack exposed %s, and enrol the rack again with a new token", rack, rack)})
}

// Superseded lists the serial numbers that no rack shows any more unless it was copied: those
// before the newest certificate that a rack has shown.
func (en *Enrolment) Superseded(ctx context.Context) (map[string]bool, error) {
	all, err := en.Certificates(ctx)
	newest := make(map[string]int64)
	for _, c := range all {
		if c.Revoked.IsZero() && !c.Used.IsZero() {
			newest[c.Rack] = max(newest[c.Rack], c.Generation)
		}
	}
	out := make(map[string]bool)
	for _, c := range all {
		out[c.Serial] = !c.Revoked.IsZero() || c.Generation < newest[c.Rack]
	}
	return out, err
}

// Revoke makes all certificates of a rack void. Its data stays.
func (en *Enrolment) Revoke(ctx context.Context, name string) error {
	return en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error { return revokeCertificates(ctx, tx, name) })
}

func revokeCertificates(ctx context.Context, tx *store.Tx, rack string) error {
	held, err := rackCertificates.list(ctx, tx, "rack = ? AND revoked = 0", rack)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return &NotFoundError{"certificate of rack", rack}
	}
	now := time.Now()
	for i := range held {
		held[i].Revoked = now
		if err := rackCertificates.update(ctx, tx, &held[i]); err != nil {
			return err
		}
	}
	return nil
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
		t.Networks, t.BMCNetworks = sortedNetworks(t.Networks), sortedNetworks(t.BMCNetworks)
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
