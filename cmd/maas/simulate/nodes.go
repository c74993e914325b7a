package simulate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/peer"
)

// regionNode is a host with the region role. All regions of a site share its database.
type regionNode struct {
	site   *site
	name   string
	region *region.Region
	life   *life // nil = it is down
}

func (n *regionNode) up() bool { return n.life != nil }

func (n *regionNode) start() error {
	if n.up() {
		return nil
	}
	r, err := region.Open(context.Background(), n.site.regionConfig(n.name))
	if err != nil {
		return err
	}
	l := newLife()
	n.site.setRegion(n, r, l)
	go func() {
		l.err = r.Serve(l.ctx, region.Sockets{})
		close(l.done)
	}()
	return nil
}

// crash ends the region at once for all that are connected to it.
func (n *regionNode) crash() {
	if !n.up() {
		return
	}
	n.life.kill()
	<-n.life.done
	if err := errors.Join(n.life.err, n.region.Close()); err != nil {
		n.site.broken(invariantServe, "%s ended with: %v", n.name, err)
	}
	n.site.setRegion(n, nil, nil)
}

// setRegion changes what racks find when they dial.
func (s *site) setRegion(n *regionNode, r *region.Region, l *life) {
	s.dialing.Lock()
	defer s.dialing.Unlock()
	n.region, n.life = r, l
}

// connect opens a connection of a rack to a region.
func (s *site) connect(n *rackNode, r *regionNode) (rpc.Conn, error) {
	s.dialing.Lock()
	defer s.dialing.Unlock()
	if r.life == nil || r.life.over() || s.cables.parted(n.name, r.name) {
		return nil, rpc.ErrUnavailable
	}
	conn, err := r.region.Dial(n.name)(context.Background())
	if err != nil {
		return nil, err
	}
	return &wire{Conn: conn, cables: s.cables, rack: n, name: between(n.name, r.name), cut: s.cables.whole(n.name, r.name), end: r.life}, nil
}

// rackNode is a host with the rack role.
type rackNode struct {
	site     *site
	name     string
	hall     *hall
	addr     netip.Addr
	node     *boottest.Node
	dir      string
	identity *enrol.Identity
	disk     disk
	late     time.Duration
	ahead    atomic.Int64 // of its wall clock, in nanoseconds
	rack     *rack.Rack
	life     *life // nil = it is down
	sessions int
}

func (n *rackNode) up() bool { return n.life != nil }

// partner returns the other rack of the network; nil = it has none.
func (n *rackNode) partner() *rackNode {
	for _, o := range n.hall.racks {
		if o != n {
			return o
		}
	}
	return nil
}

func (n *rackNode) start() (err error) {
	if n.up() {
		return nil
	}
	l := newLife()
	n.disk.lies = n.site.opts.plant == lyingDisk
	cfg := rack.Config{
		Dir: n.dir, Name: n.name, Dial: n.dialer(l), Files: n.site.files("files"), Loaders: n.site.files("loaders"), Power: power.Config{Registry: power.NewRegistry(n.site.bench())},
		Links: n.links, Leases: mount{&n.disk, l}, Log: n.site.log.With("rack", n.name),
		Clock: func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) },
	}
	cfg.DialRack = n.site.cables.dialRack(n)
	if n.partner() != nil && n.site.opts.plant != loosePartner {
		cfg.Identity = func() *enrol.Identity { return n.identity }
	}
	r, err := rack.New(cfg)
	if err != nil {
		return err
	}
	sockets, err := n.sockets(l)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	n.rack, n.life = r, l
	go func() {
		l.err = r.Serve(l.ctx, sockets)
		close(l.done)
	}()
	return nil
}

func (n *rackNode) links() ([]discovery.Interface, error) {
	return []discovery.Interface{{Name: n.hall.segment.Link, Up: true, Ethernet: true, Addrs: []netip.Prefix{netip.PrefixFrom(n.addr, n.hall.segment.Prefix().Bits())}}}, nil
}

func (n *rackNode) sockets(l *life) (s rack.Sockets, err error) {
	dhcp, err1 := n.node.DHCP()
	tftp, err2 := n.node.ListenPacket("udp", ":69")
	dns, err3 := n.node.ListenPacket("udp", ":53")
	http, err4 := n.node.Listen("tcp", ":5248")
	partner, err5 := n.node.Listen("tcp", fmt.Sprint(":", peer.DefaultPort))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return s, err
	}
	return rack.Sockets{
		DHCP: port{dhcp, n.site.cables, n.name, n.late, l}, TFTP: []net.PacketConn{tftp}, DNSPacket: []net.PacketConn{dns}, HTTP: []net.Listener{http},
		Partner: []net.Listener{partner},
	}, nil
}

// dialer connects the rack to the regions in turn.
func (n *rackNode) dialer(l *life) func(context.Context) (rpc.Conn, error) {
	return func(context.Context) (rpc.Conn, error) {
		n.sessions++ // the rack dials from one goroutine
		r := n.site.regions[n.sessions%len(n.site.regions)]
		conn, err := n.site.connect(n, r)
		if err != nil || l.over() {
			return nil, rpc.ErrUnavailable
		}
		return conn, nil
	}
}

// crash ends the rack as a power failure does: what it has on disk is what it finds at its next
// start.
func (n *rackNode) crash() {
	if !n.up() {
		return
	}
	n.life.kill()
	kept := n.dir + ".kept"
	err := os.CopyFS(kept, os.DirFS(n.dir))
	<-n.life.done
	if err := errors.Join(n.life.err, n.rack.Close()); err != nil && !errors.Is(err, errDead) && !errors.Is(err, errFull) {
		n.site.broken(invariantServe, "%s ended with: %v", n.name, err)
	}
	n.life = nil
	if err = errors.Join(err, os.RemoveAll(n.dir), os.Rename(kept, n.dir)); err != nil {
		panic(err) // the disk of the simulation itself
	}
}
