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
	tx           transactor
	answers      answerStore
	feed         changeFeed
	events       eventLog
	audit        eventLog
	boots        bootLog
	discoveries  discoveryStore
	topology     topology
	profiles     profileStore
	userData     userDataStore
	racks        collection[inventory.Rack]
	health       rackHealth
	enrolment    rackEnrolment
	regions      regionLister
	passwords    passwordChecker
	subnetRanges rangeLister
	subnetTags   tagLister
	nodes        nodeFinder
	vlansByID    getter[ipam.VLAN]
	fabricsByID  getter[ipam.Fabric]
	spacesByID   getter[ipam.Space]
}

// storesOf returns the inventory in all its parts.
func storesOf(inv *inventory.Inventory) stores {
	return stores{
		tx: inv, answers: inv.Answers, feed: inv, events: inv.Events, audit: inv.Audit, boots: inv.Boots, discoveries: inv.Discoveries, topology: inv.Topology,
		profiles: inv.Profiles, userData: inv.UserData, racks: inv.Racks, health: inv.Health, enrolment: inv.Enrolment, regions: inv.Regions, passwords: inv,
		subnetRanges: inv, subnetTags: inv.Tags, nodes: inv, vlansByID: inv.VLANs, fabricsByID: inv.Fabrics, spacesByID: inv.Spaces,
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
	// Begin reserves the key of an answer; if it is taken, it returns the answer of its first
	// request.
	Begin(ctx context.Context, a inventory.Answer) (old inventory.Answer, begun bool, err error)
	// End stores the answer, or frees the key if its status is 0.
	End(ctx context.Context, a inventory.Answer) error
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

// eventLog reads a log.
type eventLog interface {
	After(ctx context.Context, node, after int64, limit int) ([]inventory.Event, error)
	Last(ctx context.Context, node int64, limit int) ([]inventory.Event, error)
	Find(ctx context.Context, f inventory.EventFilter) ([]inventory.Event, error)
}

// bootLog reads the boots of machines.
type bootLog interface {
	Of(ctx context.Context, macs ...net.HardwareAddr) ([]pxe.Attempt, error)
	Since(ctx context.Context, step int64, limit int) (boots []pxe.Attempt, next int64, err error)
	LastStep(ctx context.Context) (int64, error)
}

// userDataStore holds user data by target.
type userDataStore interface {
	List(ctx context.Context) ([]inventory.UserData, error)
	Set(ctx context.Context, of inventory.BootTarget, data []byte) error
}

// discoveryStore holds the devices that racks have seen.
type discoveryStore interface {
	List(ctx context.Context, view inventory.DiscoveryView) ([]inventory.Discovery, error)
	Get(ctx context.Context, key string) (inventory.Discovery, error)
	Clear(ctx context.Context, what inventory.ClearWhat) error
	Forget(ctx context.Context, addr netip.Addr, mac net.HardwareAddr) (n int, err error)
	Promote(ctx context.Context, p inventory.Promotion) (inventory.Promoted, error)
	DHCPServers(ctx context.Context) ([]inventory.DHCPServer, error)
	Ignore(ctx context.Context, addr netip.Addr, mac net.HardwareAddr, reason string) (inventory.IgnoredDevice, error)
	Unignore(ctx context.Context, rule string) error
	Ignored(ctx context.Context) ([]inventory.IgnoredDevice, error)
}

// topology holds the neighbors of racks and what follows from them.
type topology interface {
	Peers(ctx context.Context) ([]inventory.LinkPeer, error)
	Proposals(ctx context.Context) ([]inventory.FabricProposal, error)
	Apply(ctx context.Context) (done []inventory.FabricProposal, err error)
}

// profileStore holds boot profiles. BootProfile returns nil if the target has none.
type profileStore interface {
	Get(ctx context.Context, of inventory.BootTarget) (*pxe.Profile, error)
	List(ctx context.Context) ([]inventory.BootProfile, error)
	Set(ctx context.Context, of inventory.BootTarget, p *pxe.Profile) error
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

// rackHealth reads the reports of racks.
type rackHealth interface {
	Racks(ctx context.Context) (map[string]inventory.RackHealth, error)
}

// rackEnrolment holds the certificates of racks and what they were given, and shuts racks out.
type rackEnrolment interface {
	Assignments(ctx context.Context) (map[string]inventory.Assignment, error)
	Assign(ctx context.Context, rack string, change func(*inventory.Rack) error) (inventory.Rack, error)
	Accept(ctx context.Context, rack string, networks ...netip.Prefix) ([]netip.Prefix, error)
	Ignore(ctx context.Context, rack string, networks ...netip.Prefix) ([]netip.Prefix, error)
	Dismiss(ctx context.Context, rack string) error
	Revoke(ctx context.Context, rack string) error
	Certificates(ctx context.Context) ([]inventory.RackCertificate, error)
}

// regionLister reads the regions that racks can reach.
type regionLister interface {
	List(ctx context.Context) ([]inventory.Region, error)
}

// passwordChecker reports whether a password is a user's.
type passwordChecker interface {
	CheckPassword(ctx context.Context, name, password string) (inventory.User, bool, error)
}

// rangeLister reads the ranges of a subnet.
type rangeLister interface {
	RangesOf(ctx context.Context, subnet int64) ([]ipam.Range, error)
}

// tagLister reads the names of a subnet's tags.
type tagLister interface {
	OfSubnet(ctx context.Context, subnet int64) ([]string, error)
}

// nodeFinder finds the machine that has a network card. The error for an unknown one wraps
// fs.ErrNotExist.
type nodeFinder interface {
	MachineByMAC(ctx context.Context, mac net.HardwareAddr) (inventory.Machine, error)
}
