package inventory

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/internal/secret"
	"github.com/gomaas/maas/store/inventory/leader"
)

// DefaultUser is the administrator that Open creates if there are no users. It has no password: the
// administrator of the host makes a key for it or sets one.
const DefaultUser = "admin"

// Names of the objects that Open makes and that cannot be deleted.
const (
	DefaultZone   = "default"
	DefaultPool   = "default"
	DefaultDomain = "maas"
)

// Config configures Open.
type Config struct {
	// Key seals secrets in the database: 32 bytes, kept outside it. If empty, secrets are stored in
	// the open. All programs on one database need the same key: with another, Open returns
	// ErrOtherKey.
	Key []byte
	// Quarantine is the time for which a released address is given only to its last holder while
	// others are free; 0 = none.
	Quarantine time.Duration
	// PasswordCost is the number of rounds of a password's hash; 0 = 600,000, about a fifth of a
	// second.
	PasswordCost int
	// Check is called before a transaction of an Actor commits that changed what DHCP servers
	// serve. Its Model has all networks, and of machines and devices those whose reservations the
	// transaction may have changed; orphans and records are left out. Its error is the error of the
	// transaction, which leaves no trace then. If nil, nothing is checked.
	Check func(served *Model) error
	// BootFile reports whether racks have a boot file that no image has, and makes boot profiles be
	// refused that name files which do not exist. If nil, profiles may name any file.
	BootFile func(name string) bool
	// CheckMedia reports why machines could not boot the files of a profile, see pxe.CheckMedia,
	// and makes it be refused. If nil, files are not looked into.
	CheckMedia func(p pxe.Profile) error
}

// Inventory is a site's data: a collection for each kind of object, the rest by subject, and
// methods for what concerns several kinds. It is safe for concurrent use.
type Inventory struct {
	Fabrics     *Collection[ipam.Fabric]
	VLANs       *Collection[ipam.VLAN]
	Spaces      *Collection[ipam.Space]
	Subnets     *Collection[ipam.Subnet]
	Ranges      *Collection[ipam.Range]
	Routes      *Collection[ipam.StaticRoute]
	ReservedIPs *Collection[ipam.ReservedIP]
	Interfaces  *Collection[ipam.Interface]
	Machines    *Collection[Machine]
	Devices     *Collection[Device]
	Racks       *Collection[Rack]
	RackTokens  *Collection[RackToken]
	Zones       *Collection[AvailabilityZone]
	Pools       *Collection[ResourcePool]
	Domains     *Collection[Domain]
	Records     *Collection[DNSRecord]
	TSIGKeys    *Collection[TSIGKey]
	Snippets    *Collection[Snippet]
	Classes     *Collection[Class]
	BootImages  *Collection[BootImage]
	Users       *Collection[User]
	SSHKeys     *Collection[SSHKey]
	Tags        Tags

	Answers     *Answers
	APIKeys     *APIKeys
	Boots       *Boots
	Discoveries *Discoveries
	Enrolment   *Enrolment
	Events      *Events
	Audit       *Events // what users changed; see As
	UserData    *UserDataSet
	Health      *Health
	Leader      *leader.Leases
	Leases      *Leases
	Profiles    *Profiles
	Regions     *Regions
	Scans       *Scans
	Settings    *Settings
	Topology    *Topology

	db         *store.DB
	seal       *secret.Seal // nil = secrets are stored in the open
	zoneSecret []byte       // nil = zones cannot be signed
	digestKey  []byte       // nil = none
	quarantine time.Duration
	check      func(*Model) error      // nil = none
	bootFile   func(string) bool       // nil = profiles may name any file
	checkMedia func(pxe.Profile) error // nil = files are not looked into
	passwords  *secret.Passwords

	mu    sync.Mutex
	pools map[int64]*subnetPool // by subnet
}

// Open makes an Inventory on db, with the default fabric, zone, pool and domain if they are not
// there. The caller closes db.
func Open(ctx context.Context, db *store.DB, cfg Config) (*Inventory, error) {
	inv := &Inventory{db: db, quarantine: cfg.Quarantine, check: cfg.Check, bootFile: cfg.BootFile, checkMedia: cfg.CheckMedia, pools: make(map[int64]*subnetPool)}
	inv.passwords = secret.NewPasswords(cfg.PasswordCost)
	if len(cfg.Key) > 0 {
		seal, err := secret.NewSeal(cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
		inv.seal = seal
		if inv.zoneSecret, err = secret.Derive(cfg.Key, "gomaas DNSSEC zones"); err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
		if inv.digestKey, err = secret.Derive(cfg.Key, "gomaas digests"); err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
		if err := inv.checkKey(ctx, cfg.Key); err != nil {
			return nil, err
		}
	}
	inv.makeCollections()
	inv.makeGroups()
	if err := inv.Atomically(ctx, inv.makeDefaults); err != nil {
		return nil, fmt.Errorf("inventory: make the default objects: %w", err)
	}
	return inv, nil
}

func (inv *Inventory) makeCollections() {
	inv.Fabrics = collect(inv, fabrics, inv.fabricRules())
	inv.VLANs = collect(inv, vlans, inv.vlanRules())
	inv.Spaces = collect(inv, spaces, inv.spaceRules())
	inv.Subnets = collect(inv, subnets, inv.subnetRules())
	inv.Ranges = collect(inv, ranges, rangeRules)
	inv.Routes = collect(inv, routes, routeRules)
	inv.ReservedIPs = collect(inv, reservedIPs, reservedIPRules)
	inv.Interfaces = inv.interfaceCollection()
	inv.Machines = inv.machines()
	inv.Devices = inv.deviceCollection()
	inv.Racks = collect(inv, racks, inv.rackRules())
	inv.RackTokens = collect(inv, rackTokens, rackTokenRules)
	inv.Zones = collect(inv, zones, zoneRules)
	inv.Pools = collect(inv, resourcePools, poolRules)
	inv.Domains = collect(inv, domains, inv.domainRules())
	inv.Records = collect(inv, records, recordRules)
	inv.TSIGKeys = collect(inv, tsigKeys, inv.tsigKeyRules())
	inv.Tags = Tags{collect(inv, tags, tagRules)}
	inv.Snippets = collect(inv, snippets, snippetRules)
	inv.Classes = collect(inv, classes, classRules)
	inv.BootImages = collect(inv, bootImages, inv.bootImageRules())
	inv.Users = collect(inv, users, userRules)
	inv.SSHKeys = collect(inv, sshKeys, sshKeyRules)
}

func (inv *Inventory) makeGroups() {
	inv.Answers = &Answers{inv}
	inv.APIKeys = &APIKeys{inv: inv}
	inv.Boots = &Boots{inv}
	inv.Discoveries = &Discoveries{inv}
	inv.Enrolment = &Enrolment{inv}
	inv.Events = &Events{inv, eventTable("event"), "info"}
	inv.UserData = &UserDataSet{inv}
	inv.Audit = &Events{inv, eventTable("audit", "changes"), LevelAudit}
	inv.Health = &Health{inv}
	inv.Leader = leader.New(inv.db)
	inv.Leases = &Leases{inv, defaultBounds}
	inv.Profiles = &Profiles{inv}
	inv.Regions = &Regions{inv}
	inv.Scans = &Scans{inv}
	inv.Settings = &Settings{inv}
	inv.Topology = &Topology{inv}
}

// makeDefaults makes what every site has. The first of each kind is the default.
func (inv *Inventory) makeDefaults(ctx context.Context) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := ensureFirst(ctx, tx, zones, AvailabilityZone{Name: DefaultZone}); err != nil {
			return err
		}
		if err := ensureFirst(ctx, tx, resourcePools, ResourcePool{Name: DefaultPool}); err != nil {
			return err
		}
		if err := ensureFirst(ctx, tx, domains, Domain{Name: DefaultDomain}); err != nil {
			return err
		}
		if err := ensureFirst(ctx, tx, users, User{Name: DefaultUser, Role: RoleAdmin, Created: time.Now()}); err != nil {
			return err
		}
		all, err := fabrics.list(ctx, tx, "")
		if err != nil || len(all) > 0 {
			return err
		}
		_, err = inv.Fabrics.Create(ctx, ipam.Fabric{})
		return err
	})
}

func ensureFirst[T any](ctx context.Context, tx *store.Tx, t table[T], v T) error {
	all, err := t.list(ctx, tx, "")
	if err != nil || len(all) > 0 {
		return err
	}
	return t.insert(ctx, tx, &v)
}

// Watch yields what changes after a revision; see store.DB.Watch. The kinds are the Kind constants
// of this package.
func (inv *Inventory) Watch(ctx context.Context, from int64) iter.Seq2[store.Change, error] {
	return inv.db.Watch(ctx, from)
}

// Compact forgets all but the last changes; see store.DB.Compact.
func (inv *Inventory) Compact(ctx context.Context, keep int64) error {
	return inv.Atomically(ctx, func(ctx context.Context) error { return inv.db.Compact(ctx, keep) })
}
