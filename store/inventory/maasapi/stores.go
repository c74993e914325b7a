package maasapi

import (
	"context"
	"iter"
	"net"
	"net/netip"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// stores are the parts of the inventory that handlers reach through an interface, so that a test
// gives a handler a fake in memory. The inventory is all of them.
type stores struct {
	tx          transactor
	answers     answerStore
	feed        changeFeed
	events      eventLog
	boots       bootLog
	discoveries discoveryStore
	topology    topology
	profiles    profileStore
	racks       collection[inventory.Rack]
	health      rackHealth
	regions     regionLister
	passwords   passwordChecker
	subnetParts subnetParts
	nodes       nodeFinder
	vlansByID   getter[ipam.VLAN]
	fabricsByID getter[ipam.Fabric]
	spacesByID  getter[ipam.Space]
}

// storesOf returns the inventory in all its parts.
func storesOf(inv *inventory.Inventory) stores {
	return stores{
		tx: inv, answers: inv, feed: inv, events: inv, boots: inv, discoveries: inv, topology: inv, profiles: inv,
		racks: inv.Racks, health: inv, regions: inv, passwords: inv, subnetParts: inv, nodes: inv,
		vlansByID: inv.VLANs, fabricsByID: inv.Fabrics, spacesByID: inv.Spaces,
	}
}

// transactor runs f in a transaction: calls with its context join it, and an error undoes them.
type transactor interface {
	Atomically(ctx context.Context, f func(ctx context.Context) error) error
}

// answerStore keeps answers to requests with keys.
type answerStore interface {
	// Digest returns a keyed digest of a request.
	Digest(data []byte) string
	// BeginAnswer reserves the key of an answer; if it is taken, it returns the answer of its first
	// request.
	BeginAnswer(ctx context.Context, a inventory.Answer) (old inventory.Answer, begun bool, err error)
	// EndAnswer stores the answer, or frees the key if its status is 0.
	EndAnswer(ctx context.Context, a inventory.Answer) error
}

// changeFeed reports changes of objects.
type changeFeed interface {
	Revision(ctx context.Context) (int64, error)
	// Watch yields the changes after a revision until ctx ends; store.ErrCompacted if they are no
	// longer kept.
	Watch(ctx context.Context, from int64) iter.Seq2[store.Change, error]
	// Consistently runs f so that all its reads see the same state.
	Consistently(ctx context.Context, f func(ctx context.Context) error) error
}

// eventLog reads the log.
type eventLog interface {
	Events(ctx context.Context, node, after int64, limit int) ([]inventory.Event, error)
	LastEvents(ctx context.Context, node int64, limit int) ([]inventory.Event, error)
	FindEvents(ctx context.Context, f inventory.EventFilter) ([]inventory.Event, error)
}

// bootLog reads the boots of machines.
type bootLog interface {
	Boots(ctx context.Context, macs ...net.HardwareAddr) ([]pxe.Attempt, error)
	BootsSince(ctx context.Context, step int64, limit int) (boots []pxe.Attempt, next int64, err error)
	LastBootStep(ctx context.Context) (int64, error)
}

// discoveryStore holds the devices that racks have seen.
type discoveryStore interface {
	Discoveries(ctx context.Context, view inventory.DiscoveryView) ([]inventory.Discovery, error)
	Discovery(ctx context.Context, key string) (inventory.Discovery, error)
	ClearDiscoveries(ctx context.Context, what inventory.ClearWhat) error
	ClearDiscovery(ctx context.Context, addr netip.Addr, mac net.HardwareAddr) (n int, err error)
	Promote(ctx context.Context, p inventory.Promotion) (inventory.Promoted, error)
	ForeignDHCPServers(ctx context.Context) ([]inventory.DHCPServer, error)
}

// topology holds the neighbors of racks and what follows from them.
type topology interface {
	LinkPeers(ctx context.Context) ([]inventory.LinkPeer, error)
	FabricProposals(ctx context.Context) ([]inventory.FabricProposal, error)
	ApplyFabricProposals(ctx context.Context) (done []inventory.FabricProposal, err error)
}

// profileStore holds boot profiles. BootProfile returns nil if the target has none.
type profileStore interface {
	BootProfile(ctx context.Context, of inventory.BootTarget) (*pxe.Profile, error)
	BootProfiles(ctx context.Context) ([]inventory.BootProfile, error)
	SetBootProfile(ctx context.Context, of inventory.BootTarget, p *pxe.Profile) error
}

// getter reads objects by ID.
type getter[T any] interface {
	Get(ctx context.Context, id int64) (T, error)
}

// collection reads and changes objects that have names.
type collection[T any] interface {
	List(ctx context.Context) ([]T, error)
	Find(ctx context.Context, name string) (T, error)
	Update(ctx context.Context, x T) (T, error)
	Delete(ctx context.Context, id int64) error
}

// rackHealth reads the reports and certificates of racks, and shuts racks out.
type rackHealth interface {
	RackHealths(ctx context.Context) (map[string]inventory.RackHealth, error)
	RevokeRack(ctx context.Context, name string) error
	RackCertificates(ctx context.Context) ([]inventory.RackCertificate, error)
}

// regionLister reads the regions that racks can reach.
type regionLister interface {
	Regions(ctx context.Context) ([]inventory.Region, error)
}

// passwordChecker reports whether a password is a user's.
type passwordChecker interface {
	CheckPassword(ctx context.Context, name, password string) (inventory.User, bool, error)
}

// subnetParts reads the objects that a subnet consists of.
type subnetParts interface {
	RangesOf(ctx context.Context, subnet int64) ([]ipam.Range, error)
	// TagsOf returns the names of the subnet's tags.
	TagsOf(ctx context.Context, subnet int64) ([]string, error)
}

// nodeFinder finds the machine that has a network card. The error for an unknown one wraps
// fs.ErrNotExist.
type nodeFinder interface {
	MachineByMAC(ctx context.Context, mac net.HardwareAddr) (inventory.Machine, error)
}
