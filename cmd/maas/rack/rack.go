// Package rack is the rack role: it composes the servers that machines meet, serves them from the state that a region sent
// and reports what it saw.
//
// New puts the parts together and loads what is on disk, [Listen] opens the sockets, and Serve runs until its context ends.
// Nothing here decides about packets; the packages it composes do.
package rack

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/pxedhcp"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/peer"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// Config is what a rack is made of.
type Config struct {
	// Dir holds leases, state, facts and the proxy's cache. It is made when missing.
	Dir string
	// Dial connects to the region.
	Dial func(context.Context) (rpc.Conn, error)
	// Connected runs beside each session with a region; see rpc.RackConfig. Nil does nothing.
	Connected func(ctx context.Context, conn rpc.Conn) error
	// Topics are further state that the rack subscribes to.
	Topics []rpc.Topic
	// Files holds kernels and initrds; Loaders the boot loaders, nil for those of Debian's packages.
	Files, Loaders fs.FS
	// HTTPPort is where machines reach the HTTP boot server. Zero means 5248.
	HTTPPort int
	// Interfaces are the names of interfaces whose addresses are served at Ports, as they appear and
	// disappear, besides the sockets that Serve gets; the proxy has ports of its own. Serve opens the
	// sockets when it gets none. Ports.DHCP includes DHCPv6 from the first IPv6 address on, if Serve
	// got no socket for it. If empty, no addresses are followed.
	Interfaces []string
	// Ports are the ports of Interfaces. The zero value means [DefaultPorts].
	Ports Ports
	// Watch lists interfaces on which devices are discovered by listening. It takes CAP_NET_RAW. None discovers nothing.
	Watch []string
	// WatchAll discovers on all interfaces that suit, instead, as they come and go.
	WatchAll bool
	// Links and OpenLink are for networks in memory, whose interfaces Watch names. Nil means those of this host.
	Links    func() ([]discovery.Link, error)
	OpenLink func(name string, sources discovery.Source) (discovery.Conn, error)
	// Identity is who this rack is to the other rack of a VLAN, see [peer.Config]. Nil works without the other one.
	Identity func() *enrol.Identity
	// Revoked says why a certificate of the other rack is no good any more. Nil takes all of the site's.
	Revoked func(*x509.Certificate) error
	// PartnerPort is where racks listen for each other. Zero means [peer.DefaultPort].
	PartnerPort int
	// Prober asks whether an address is in use before it is offered. Nil does not ask.
	Prober dhcpsrv.Prober
	// ListenProxy opens the proxy's sockets when the region moves it to another port. Nil leaves it on those that Serve got.
	ListenProxy func(ctx context.Context, port int) ([]net.Listener, error)
	// AccessLog hears of each request to the proxy. Nil hears nothing.
	AccessLog func(proxy.Access)
	// Power says which kinds of BMC the rack drives for the region (Registry), and how. With a nil
	// Registry it offers no power calls; a nil Log means the rack's.
	Power power.Config
	// Tracer receives spans of what the rack does. If nil, none are made.
	Tracer oteltrace.TracerProvider
	// Meter receives the rack as a collector, from New until Close. If nil, only the page /metrics of
	// the HTTP boot server has its numbers.
	Meter prometheus.Registerer
	// Name is the rack's name, for traces. If empty, they do not name it.
	Name string
	// Version is the version of the program, for the region's list of racks. May be empty.
	Version string
	// Log receives what operators should see.
	Log *slog.Logger
}

// A Rack is a composed rack.
type Rack struct {
	cfg           Config
	log           *slog.Logger
	journal       *journal.Journal
	replica       *rpc.Replica
	outbox        *rpc.Outbox
	dhcp          *dhcpsrv.Server
	radv          *radv.Server
	peer          *peer.Peer // nil without an identity
	boot          *pxe.Server
	dns           *dnssrv.Server
	proxy         *proxy.Proxy
	proxying      *proxyServer
	cache         *proxy.Cache // nil when the disk refuses it
	table         pxerpc.Table
	snapshot      atomic.Pointer[dhcpsrv.Snapshot] // what dhcp serves from
	clients       pxe.Clients
	names         *names
	facts         *facts
	discover      *discoverer
	protocol      *rpc.Rack
	methods       rpc.Methods
	health        health
	subscriptions map[string]*subscription // by topic

	transfers   transfers
	unregister  func()        // from the meter
	retransmits atomic.Uint64 // of TFTP
	sessions    atomic.Int64  // with regions
	region      regionLink
	trace       *tracing.Tracer // nil: none
	boots       *bootTraces     // nil: none

	came6  chan struct{} // closed by first6
	first6 func()        // called for each IPv6 address that comes
}

// New composes a rack and loads its disk; it opens no socket and starts nothing.
func New(cfg Config) (*Rack, error) {
	if cfg.Ports == (Ports{}) && len(cfg.Interfaces) > 0 {
		cfg.Ports = DefaultPorts()
	}
	r := &Rack{cfg: cfg, log: cfg.Log, trace: tracing.New(cfg.Tracer), transfers: newTransfers(), unregister: func() {}, came6: make(chan struct{})}
	r.first6 = sync.OnceFunc(func() { close(r.came6) })
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.compose(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	remove, err := metrics.Register(cfg.Meter, r)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.unregister = remove
	return r, nil
}

// open loads what outlives a restart.
func (r *Rack) open() (err error) {
	if err := os.MkdirAll(r.cfg.Dir, 0o700); err != nil {
		return err
	}
	if r.journal, err = journal.Open(filepath.Join(r.cfg.Dir, "leases")); err != nil {
		return err
	}
	if repaired := r.journal.Recovered(); repaired != (journal.Recovery{}) {
		r.log.Warn("lease journal repaired", "torn", repaired.Torn, "skipped", repaired.Skipped)
	}
	if r.replica, err = rpc.OpenReplica(filepath.Join(r.cfg.Dir, "state")); err != nil {
		return err
	}
	r.outbox, err = rpc.OpenOutbox(rpc.OutboxConfig{
		Path: filepath.Join(r.cfg.Dir, "outbox"), Droppable: []string{discoveryrpc.FactKind, pxerpc.FactKind},
	})
	return err
}

func (r *Rack) compose() (err error) {
	serials, err := dnssrv.OpenSerials(filepath.Join(r.cfg.Dir, "serials"))
	if err != nil {
		return err
	}
	r.dns = dnssrv.New(dnssrv.Config{Serials: serials, Updates: dnsrpc.Updater{Region: &r.region}, Log: r.log.With("component", "dns")})
	r.names = newNames(r.dns, r.nameOf)
	r.facts = newFacts(r.outbox, r.log)
	r.discover = newDiscoverer(r.cfg, r.facts.seen, r.log.With("component", "discovery"))
	selecting := pxedhcp.Config{
		HTTPPort: r.cfg.HTTPPort, Servers: func(q dhcpsrv.BootQuery) []netip.Addr { return r.table.Servers(q.Client) },
	}
	selector := boots{silent: pxedhcp.New(selecting)}
	selecting.Seen = r.offered
	selector.heard = pxedhcp.New(selecting)
	r.dhcp, err = dhcpsrv.New(dhcpsrv.Config{
		Store: r.journal, Boot: selector, Events: r.leaseEvent, Prober: r.cfg.Prober, ClientRate: clientRate,
		FindServers: dhcplink.FindServers,
		Log:         r.log.With("component", "dhcp"),
	})
	if err != nil {
		return err
	}
	if r.radv, err = radv.New(radv.Config{Log: r.log.With("component", "radv")}); err != nil {
		return err
	}
	if err := r.newPeer(); err != nil {
		return err
	}
	r.boot, err = pxe.New(pxe.Config{
		Resolver: &r.table, Files: r.cfg.Files, Loaders: r.cfg.Loaders, Identify: pxe.IdentifierFunc(r.macOf),
		Servers:  func(q pxe.Request) []netip.Addr { return r.table.Servers(q.Addr) },
		Describe: r.clients.Describe, Events: r.booted, Also: r.pages(), HTTPPort: r.cfg.HTTPPort, Log: r.log.With("component", "boot"),
	})
	if err != nil {
		return err
	}
	r.boots = newBootTraces(r.trace, r.cfg.Name, r.nameOf)
	r.openCache()
	r.proxy = proxy.New(proxy.Config{Cache: r.cache, Access: tracedAccess(r.cfg, r.trace), Log: r.log.With("component", "proxy")})
	r.proxying = newProxyServer(r.proxy, r.cfg.ListenProxy, r.log.With("component", "proxy"))
	if err := r.offer(&r.methods); err != nil {
		return err
	}
	r.trace.Watch(&r.methods, r.cfg.Name)
	r.subscriptions = r.subscribe()
	var topics []rpc.Topic
	for _, name := range slices.Sorted(maps.Keys(r.subscriptions)) {
		topics = append(topics, r.drive(r.subscriptions[name]))
	}
	r.protocol, err = rpc.NewRack(rpc.RackConfig{
		Replica: r.replica, Outbox: r.outbox, Dial: r.cfg.Dial, Methods: &r.methods, Topics: topics,
		Connected: r.connected,
		Log:       r.log.With("component", "rpc"),
	})
	return err
}

// clientRate is how many DHCP packets of one client are handled in a second: several times what any firmware sends, and too
// few for one host to keep the server from the others.
const clientRate = 50

// Serve serves what is on disk at once, and then whatever the region sends, until ctx ends. It returns nil then, after the
// sockets are closed, the requests in progress have ended and the facts are on disk.
func (r *Rack) Serve(ctx context.Context, sockets Sockets) error {
	if sockets.empty() && len(r.cfg.Interfaces) > 0 {
		var err error
		if sockets, err = r.listen(ctx); err != nil {
			return err
		}
	}
	if err := r.protocol.Restore(ctx); err != nil {
		sockets.Close()
		return err
	}
	// Facts come from the servers, so their writer ends after them.
	factsDone := make(chan struct{})
	factsCtx, stopFacts := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(factsDone)
		r.facts.run(factsCtx, r.merged)
	}()
	g, serveCtx := errgroup.WithContext(ctx)
	for _, task := range r.tasks(sockets) {
		g.Go(func() error {
			r.wait(serveCtx, task.after)
			end := r.health.begin(task.name)
			err := task.run(serveCtx)
			end(err)
			if err != nil {
				return fmt.Errorf("%s: %w", task.name, err)
			}
			return nil
		})
	}
	err := g.Wait()
	stopFacts()
	<-factsDone
	return err
}

// task is one long-running part.
type task struct {
	name  string
	run   func(context.Context) error
	after string // the topic it serves from and waits for; empty: it begins at once
}

func (r *Rack) tasks(s Sockets) []task {
	tasks := []task{{name: "rpc", run: r.protocol.Serve}, {name: "dns notify", run: r.dns.SendNotifies}}
	if s.DHCP != nil {
		tasks = append(tasks, task{name: "dhcp", run: func(ctx context.Context) error { return r.dhcp.Serve(ctx, s.DHCP) }})
	}
	tasks = append(tasks, r.servePartners(s.Partner)...)
	if s.DHCPBoot != nil {
		tasks = append(tasks, task{name: "dhcp boot server", run: func(ctx context.Context) error { return r.dhcp.ServeBoot(ctx, s.DHCPBoot) }})
	}
	tasks = append(tasks, r.dhcp6Tasks(s)...)
	if s.Advertise != nil {
		tasks = append(tasks, task{name: "router advertisements", run: func(ctx context.Context) error { return r.radv.Serve(ctx, s.Advertise) }})
	}
	tasks = append(tasks, r.addressTasks(s)...)
	if len(r.cfg.Interfaces) > 0 {
		tasks = append(tasks, task{name: "new addresses", run: func(ctx context.Context) error { return r.follow(ctx, &s) }})
	}
	if r.boots != nil {
		tasks = append(tasks, task{name: "traces of boots", run: r.boots.run})
	}
	tasks = append(tasks, task{name: "discovery", run: r.discover.run})
	proxying := func(ctx context.Context) error { return r.proxying.run(ctx, s.Proxy) }
	return append(tasks, task{name: "proxy", run: proxying, after: proxyrpc.Topic})
}

// addressTasks serve what has a socket for each address.
func (r *Rack) addressTasks(s Sockets) (tasks []task) {
	for _, conn := range s.TFTP {
		tasks = append(tasks, task{name: "tftp", run: func(ctx context.Context) error { return r.boot.ServeTFTP(ctx, conn) }})
	}
	for _, ln := range s.HTTP {
		tasks = append(tasks, task{name: "http", run: func(ctx context.Context) error { return r.boot.Serve(ctx, ln) }})
	}
	for _, conn := range s.DNSPacket {
		tasks = append(tasks, task{"dns", func(ctx context.Context) error { return r.dns.ServePacket(ctx, conn) }, dnsrpc.Topic})
	}
	for _, ln := range s.DNSStream {
		tasks = append(tasks, task{"dns", func(ctx context.Context) error { return r.dns.ServeStream(ctx, ln) }, dnsrpc.Topic})
	}
	return tasks
}

// DNS is the rack's DNS server, for callers that serve it on further sockets.
func (r *Rack) DNS() *dnssrv.Server { return r.dns }

// DHCP is the rack's DHCP server, for callers that ask what it would answer.
func (r *Rack) DHCP() *dhcpsrv.Server { return r.dhcp }

// Profiles is what the rack's machines boot.
func (r *Rack) Profiles() pxe.Resolver { return &r.table }

// Close closes the files. Serve must have returned.
func (r *Rack) Close() error {
	r.unregister()
	var errs []error
	if r.cache != nil {
		errs = append(errs, r.cache.Close())
	}
	if r.journal != nil {
		errs = append(errs, r.journal.Close())
	}
	if r.replica != nil {
		errs = append(errs, r.replica.Close())
	}
	if r.outbox != nil {
		errs = append(errs, r.outbox.Close())
	}
	return errors.Join(errs...)
}

func (r *Rack) macOf(addr netip.Addr) (net.HardwareAddr, bool) {
	lease, ok := r.dhcp.Lookup(addr.Unmap())
	return lease.MAC, ok && len(lease.MAC) > 0
}

// nameOf is the host name of a machine, empty for one that the region does not know.
func (r *Rack) nameOf(mac net.HardwareAddr) string {
	m, _ := r.table.Machine(mac)
	return m.Name
}
