// Package rack composes the servers that machines meet into the rack role: DHCP, TFTP and HTTP
// boot, DNS, the proxy, discovery and power. A rack serves the state that a region sent and reports
// what it saw.
//
//	r, err := rack.New(rack.Config{
//		Dir:        "/var/lib/gomaas",
//		Dial:       site.Dial("rack-1"), // a region.Region in this process, or a dialer of rpc/wire
//		Interfaces: []string{"eth1"},
//		Log:        slog.Default(),
//	})
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	return r.Serve(ctx, rack.Sockets{}) // opens the sockets of Interfaces
//
// New puts the parts together and loads the state on disk. [Listen] opens sockets for callers that
// drop privileges before Serve. Serve returns nil when its context has ended.
//
// Nothing here decides about packets; the composed packages do. The methods of a Rack may be called
// concurrently, except Close, which is called after Serve has returned.
package rack

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/internal/supervise"
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
	"github.com/gomaas/maas/pxe/bootlog"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/pxe/loaders"
	"github.com/gomaas/maas/pxe/pxedhcp"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/imagesrpc"
	"github.com/gomaas/maas/rpc/metadatarpc"
	"github.com/gomaas/maas/rpc/peer"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// Config configures a rack. Dir and Dial are required.
type Config struct {
	// Dir is the directory of leases, state, facts and the proxy's cache. New creates it if it does
	// not exist.
	Dir string
	// Dial connects to the region. The rack calls it again, with growing pauses, when the
	// connection ends.
	Dial func(context.Context) (rpc.Conn, error)
	// Connected runs beside each session with a region; see rpc.RackConfig. If nil, nothing runs.
	Connected func(ctx context.Context, conn rpc.Conn) error
	// Topics are further topics of the region to which the rack subscribes.
	Topics []rpc.Topic
	// Files holds boot files of this host, which go before those of the region; if nil, there are
	// none. Loaders holds the boot loaders; if nil, the loaders of Debian's packages are used.
	Files, Loaders fs.FS
	// ImageCache bounds the boot files that are kept of the region, in bytes. Zero means 20 GiB.
	ImageCache int64
	// HTTPPort is the port at which machines reach the HTTP boot server. Zero means 5248.
	HTTPPort int
	// Interfaces are the names of the interfaces to serve. Addresses that appear later are served
	// too, at Ports, and addresses that disappear are dropped; the proxy has its own port. If Serve
	// gets no sockets, it opens those of Interfaces. If Ports.DHCP is set and Serve got no socket
	// for DHCPv6, DHCPv6 starts with the first IPv6 address. If empty, Serve uses the given sockets
	// only.
	Interfaces []string
	// Ports are the ports of Interfaces. The zero value means [DefaultPorts].
	Ports Ports
	// Watch lists the interfaces on which discovery listens, which needs CAP_NET_RAW. If empty,
	// discovery is off, unless WatchAll is set.
	Watch []string
	// WatchAll makes discovery listen on all suitable interfaces in place of Watch, including those
	// that appear later.
	WatchAll bool
	// Links and OpenLink replace the interfaces of the host, for networks in memory; Watch names
	// them. If nil, the host's are used.
	Links    func() ([]discovery.Interface, error)
	OpenLink func(name string, sources discovery.Source) (discovery.Conn, error)
	// Identity returns the certificate that this rack presents to its failover partners, see
	// [peer.Config]. If nil, the rack has no partners.
	Identity func() *enrol.Identity
	// Revoked returns an error for a partner's certificate that was revoked. If nil, all
	// certificates of the site are accepted.
	Revoked func(*x509.Certificate) error
	// PartnerPort is the port on which partners listen for each other. Zero means
	// [peer.DefaultPort].
	PartnerPort int
	// DialRack connects to other racks: to partners, and to neighbors for boot files. If nil, it is
	// DialContext of a net.Dialer.
	DialRack func(ctx context.Context, network, address string) (net.Conn, error)
	// Leases keeps the leases of DHCP. If nil, it is a journal in Dir.
	Leases dhcpsrv.LeaseStore
	// Clock reads the wall clock by which leases are stored. If nil, it is time.Now.
	Clock func() time.Time
	// Prober asks whether an address is in use before DHCP offers it, and before the region assigns
	// it. If nil, addresses are not probed.
	Prober dhcpsrv.Prober
	// ListenProxy opens the proxy's sockets when the region moves the proxy to another port. If
	// nil, the proxy keeps the sockets that Serve got.
	ListenProxy func(ctx context.Context, port int) ([]net.Listener, error)
	// AccessLog receives each request to the proxy. If nil, requests are not logged.
	AccessLog func(proxy.Access)
	// Power configures the power drivers that the rack offers to the region. If its Registry is
	// nil, the rack offers no power calls; if its Log is nil, the rack's Log is used.
	Power power.Config
	// Tracer receives spans of boots, calls and state changes. If nil, no spans are made.
	Tracer oteltrace.TracerProvider
	// Meter registers the rack as a collector, from New until Close. If nil, the metrics are only
	// on the page /metrics of the HTTP boot server.
	Meter prometheus.Registerer
	// Name is the rack's name in traces. If empty, traces do not name the rack.
	Name string
	// Version is the version of the program, shown in the region's list of racks. It may be empty.
	Version string
	// Log receives state changes and errors. If nil, they are discarded.
	Log *slog.Logger
}

// A Rack is the composed servers of one rack. Create it with [New].
type Rack struct {
	cfg           Config
	log           *slog.Logger
	journal       *journal.Journal
	disk          disk // errors of writes
	replica       *rpc.Replica
	outbox        *rpc.Outbox
	dhcp          *dhcpsrv.Server
	radv          *radv.Server
	peer          *peer.Peer // nil without an identity
	boot          *pxe.Server
	dns           *dnssrv.Server
	proxy         *proxy.Proxy
	denying       *proxyrpc.Guard // what the proxy denies by name
	proxying      *proxyServer
	cache         *proxy.Cache       // nil if the disk failed
	consoles      *powerrpc.Consoles // nil without power
	table         pxerpc.Table
	images        *images.Cache                // nil if the disk failed
	neighbors     atomic.Pointer[[]netip.Addr] // racks to ask for boot files
	toRacks       *http.Client                 // fetches from them
	metadata      metadatarpc.Table
	wellKnown     atomic.Bool                      // metadata is served at its well-known address, too
	snapshot      atomic.Pointer[dhcpsrv.Snapshot] // what dhcp serves
	clients       pxe.Clients
	bootLog       *bootlog.Server
	trials        loaders.Trials // of boot loaders, by machine
	names         *names
	foreign       *foreignDNS
	facts         *facts
	bootFacts     bootLimit
	discover      *discoverer
	protocol      *rpc.Rack
	methods       rpc.Methods
	health        health
	damaged       []string                 // files that were moved aside
	subscriptions map[string]*subscription // by topic

	transfers   transfers
	unregister  func()        // removes the collector from Config.Meter
	retransmits atomic.Uint64 // of TFTP blocks
	sessions    atomic.Int64  // open sessions with regions
	region      regionLink
	trace       *tracing.Tracer // nil without Config.Tracer
	boots       *bootTraces     // nil without Config.Tracer

	came6  chan struct{} // closed by first6
	first6 func()        // called for each IPv6 address that appears
}

// New composes a rack and loads its state from disk. It opens no socket and starts nothing.
func New(cfg Config) (*Rack, error) {
	if cfg.Ports == (Ports{}) && len(cfg.Interfaces) > 0 {
		cfg.Ports = DefaultPorts()
	}
	r := &Rack{cfg: cfg, log: cfg.Log, trace: tracing.New(cfg.Tracer), transfers: newTransfers(), unregister: func() {}, came6: make(chan struct{})}
	r.toRacks = imagesrpc.NewClient(cfg.DialRack)
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

// open opens the files that outlive a restart.
func (r *Rack) open() (err error) {
	if err := os.MkdirAll(r.cfg.Dir, 0o700); err != nil {
		return err
	}
	if r.cfg.Leases == nil {
		if err := r.openJournal(); err != nil {
			return err
		}
	}
	if r.replica, err = rpc.OpenReplica(filepath.Join(r.cfg.Dir, "state")); err != nil {
		return err
	}
	r.outbox, err = rpc.OpenOutbox(rpc.OutboxConfig{
		Path: filepath.Join(r.cfg.Dir, "outbox"), Droppable: []string{discoveryrpc.FactKind, pxerpc.FactKind},
	})
	return err
}

// openJournal opens the leases on disk.
func (r *Rack) openJournal() (err error) {
	if r.journal, err = journal.Open(filepath.Join(r.cfg.Dir, "leases")); err != nil {
		return err
	}
	if repaired := r.journal.Recovered(); repaired != (journal.Recovery{}) {
		r.log.Warn("lease journal repaired", "torn", repaired.Torn, "skipped", repaired.Skipped)
	}
	r.cfg.Leases = leaseStore{r.journal, &r.disk}
	return nil
}

// compose makes the servers. The order is that of their dependencies: names need DNS, DHCP needs
// the boot selector, and topics need all servers.
func (r *Rack) compose() (err error) {
	serials, err := dnssrv.OpenSerials(filepath.Join(r.cfg.Dir, "serials"))
	if err != nil {
		return err
	}
	r.moved(append(r.replica.Damaged(), r.outbox.Damaged(), serials.Damaged())...)
	r.dns = dnssrv.New(dnssrv.Config{
		Serials: serials, Updates: dnsrpc.Updater{Region: &r.region}, Log: r.log.With("component", "dns"),
		ResponseRate: dnssrv.DefaultResponseRate,
		Notified:     func(zone string, from netip.Addr) bool { return r.foreign.notified(zone, from) },
	})
	r.names = newNames(r.dns, r.nameOf)
	r.foreign = newForeignDNS(r.names, r.leases, r.dns, r.log.With("component", "dns"))
	r.names.taken = func(label string) bool { return r.table.HasName(label) || strings.EqualFold(label, r.cfg.Name) }
	r.facts, r.bootFacts = newFacts(r.outbox, &r.disk, r.log), newBootLimit()
	r.discover = newDiscoverer(r.cfg, r.heard, r.facts.seen, r.log.With("component", "discovery"))
	if err := r.newDHCP(); err != nil {
		return err
	}
	if r.radv, err = radv.New(radv.Config{Log: r.log.With("component", "radv")}); err != nil {
		return err
	}
	if err := r.newPeer(); err != nil {
		return err
	}
	if err := r.newBootLog(); err != nil {
		return err
	}
	if err := r.newBoot(); err != nil {
		return err
	}
	r.boots = newBootTraces(r.trace, r.cfg.Name, r.nameOf)
	r.openCache()
	r.proxy = proxy.New(proxy.Config{Cache: r.cache, Access: tracedAccess(r.cfg, r.trace), Log: r.log.With("component", "proxy")})
	r.denying = proxyrpc.NewGuard(r.proxy, func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	})
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

// newDHCP makes the DHCP server with the selector of boot files.
func (r *Rack) newDHCP() (err error) {
	selecting := pxedhcp.Config{
		HTTPPort: r.cfg.HTTPPort, Servers: func(q dhcpsrv.BootQuery) []netip.Addr { return r.table.Servers(q.Client) },
		Loader: pxedhcp.LoaderOf(&r.table), Pick: r.trials.Peek,
	}
	selector := boots{silent: pxedhcp.New(selecting)}
	selecting.Seen, selecting.Pick = r.offered, r.trials.Next
	selector.heard = pxedhcp.New(selecting)
	r.dhcp, err = dhcpsrv.New(dhcpsrv.Config{
		Store: r.cfg.Leases, Clock: r.cfg.Clock, Boot: selector, Events: r.leaseEvent, Prober: r.cfg.Prober, ClientRate: clientRate,
		FindServers: dhcplink.FindServers, Watched: r.watched,
		Log: r.log.With("component", "dhcp"),
	})
	return err
}

// newBoot makes the server of boot files.
func (r *Rack) newBoot() error {
	key, err := r.reportKey()
	if err != nil {
		return err
	}
	metadata, err := r.newMetadata()
	if err != nil {
		return err
	}
	also := r.pages()
	maps.Copy(also, metadata.Patterns())
	r.openImages(also)
	r.boot, err = pxe.New(pxe.Config{
		ReportKey: key, Resolver: resolver{r}, Files: r.bootFiles(), Loaders: r.cfg.Loaders, Identify: pxe.IdentifierFunc(r.macOf),
		Servers: func(q pxe.Request) []netip.Addr { return r.table.Servers(q.Addr) },
		Beside:  r.trials.Handed, Describe: r.clients.Describe, Events: r.booted, Also: also, HTTPPort: r.cfg.HTTPPort, SyslogPort: r.cfg.Ports.Syslog,
		Log: r.log.With("component", "boot"),
	})
	return err
}

// moved reports the files that were damaged and moved aside; empty names are none. All of them are
// copies, or made again.
func (r *Rack) moved(files ...string) {
	for _, file := range files {
		if file != "" {
			r.log.Error("damaged file moved aside", "file", file)
			r.damaged = append(r.damaged, file)
		}
	}
}

// clientRate is the number of DHCP packets per second that the server handles for one client.
// Firmware sends a fraction of this; a host that sends more must not keep the server from the
// others.
const clientRate = 50

// Serve serves the state on disk at once, and the state of the region as it arrives, until ctx
// ends. It then returns nil, after the sockets are closed, requests in progress have ended and the
// facts are on disk. A server that fails is started again, and Report shows it meanwhile.
func (r *Rack) Serve(ctx context.Context, sockets Sockets) error {
	if sockets.empty() && len(r.cfg.Interfaces) > 0 {
		var err error
		if sockets, err = r.listen(ctx); err != nil {
			return err
		}
	}
	r.wellKnown.Store(slices.Contains(sockets.addresses(), wellKnownMetadata.Addr()))
	if err := r.protocol.Restore(ctx); err != nil {
		sockets.Close()
		return err
	}
	// The servers produce facts until they end, so the writer of facts ends last.
	factsDone := make(chan struct{})
	factsCtx, stopFacts := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(factsDone)
		r.facts.run(factsCtx, func() iter.Seq[dhcpsrv.Lease] { return r.merged(ctx) })
	}()
	var serving sync.WaitGroup
	for _, task := range r.tasks(sockets) {
		serving.Go(func() {
			r.wait(ctx, task.after)
			r.supervise(ctx, task)
		})
	}
	serving.Wait()
	sockets.Close() // those that no server took; the others are closed
	stopFacts()
	<-factsDone
	return nil
}

// tasks returns what runs during Serve.
func (r *Rack) tasks(s Sockets) []task {
	tasks := []task{newTask("rpc", r.protocol.Serve), newTask("dns notify", r.dns.SendNotifies)}
	names := r.cfg.Interfaces
	if s.DHCP != nil {
		tasks = append(tasks, onSocket("dhcp", "", s.DHCP, r.dhcp.Serve, again(names, func(names []string) (dhcpsrv.Conn, error) {
			return listenDHCP(names, r.cfg.Ports.DHCP)
		})))
	}
	tasks = append(tasks, r.servePartners(s.Partner)...)
	if s.DHCPBoot != nil {
		tasks = append(tasks, onSocket("dhcp boot server", "", s.DHCPBoot, r.dhcp.ServeBoot, again(names, listenDHCPBoot)))
	}
	tasks = append(tasks, r.dhcp6Tasks(s)...)
	if s.Advertise != nil {
		tasks = append(tasks, onSocket("router advertisements", "", s.Advertise, r.radv.Serve, again(names, listenAdvertise)))
	}
	tasks = append(tasks, r.addressTasks(s)...)
	tasks = append(tasks, r.bootLogTasks(s.addresses()...)...)
	tasks = append(tasks, newTask("lines of boots", r.bootLog.Run))
	if len(names) > 0 {
		tasks = append(tasks, newTask("new addresses", func(ctx context.Context) error { return r.follow(ctx, &s) }))
	}
	if r.boots != nil {
		tasks = append(tasks, newTask("traces of boots", r.boots.run))
	}
	tasks = append(tasks, newTask("discovery", r.discover.run), newTask("dns updates", r.foreign.update), newTask("dns catalogs", r.foreign.follow))
	tasks = append(tasks, newTask("boot loaders", r.watchLoaders))
	if r.images != nil {
		tasks = append(tasks, newTask("boot files", r.images.Serve))
	}
	proxying := func(ctx context.Context) error { return r.proxying.run(ctx, s.Proxy) }
	return append(tasks, task{supervise.Task{Name: "proxy", Run: proxying}, proxyrpc.Topic}, newTask("names denied by the proxy", r.denying.Run))
}

// addressTasks returns the tasks of the servers that have a socket for each address.
func (r *Rack) addressTasks(s Sockets) (tasks []task) {
	for _, conn := range s.TFTP {
		tasks = append(tasks, onSocket("tftp", "", conn, r.boot.ServeTFTP, reopenPacket(conn)))
	}
	for _, ln := range s.HTTP {
		tasks = append(tasks, onSocket("http", "", ln, r.boot.Serve, reopenStream(ln)))
	}
	for _, conn := range s.DNSPacket {
		tasks = append(tasks, onSocket("dns", dnsrpc.Topic, conn, r.dns.ServePacket, reopenPacket(conn)))
	}
	for _, ln := range s.DNSStream {
		tasks = append(tasks, onSocket("dns", dnsrpc.Topic, ln, r.dns.ServeStream, reopenStream(ln)))
	}
	return tasks
}

// DNS returns the rack's DNS server, for callers that serve it on further sockets.
func (r *Rack) DNS() *dnssrv.Server { return r.dns }

// DHCP returns the rack's DHCP server, for callers that ask what it would answer.
func (r *Rack) DHCP() *dhcpsrv.Server { return r.dhcp }

// Profiles returns the resolver of the machines' boot profiles.
func (r *Rack) Profiles() pxe.Resolver { return &r.table }

// Close closes the files. The caller must wait for Serve to return first.
func (r *Rack) Close() error {
	r.unregister()
	var errs []error
	if r.consoles != nil {
		errs = append(errs, r.consoles.Close())
	}
	if r.cache != nil {
		errs = append(errs, r.cache.Close())
	}
	if r.images != nil {
		errs = append(errs, r.images.Close())
	}
	r.toRacks.CloseIdleConnections()
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

// macOf returns the link address that holds an address, by the lease.
func (r *Rack) macOf(addr netip.Addr) (net.HardwareAddr, bool) {
	lease, ok := r.dhcp.Lookup(addr.Unmap())
	return lease.MAC, ok && len(lease.MAC) > 0
}

// nameOf returns the host name of a machine, or "" for a machine that the region does not know.
func (r *Rack) nameOf(mac net.HardwareAddr) string {
	m, _ := r.table.Machine(mac)
	return m.Name
}
