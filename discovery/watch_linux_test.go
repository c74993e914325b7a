package discovery_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// wire is a rack and hosts, each in a namespace of its own, on one bridge.
type wire struct {
	t      *testing.T
	lab    *netlab.Lab
	sw     *netlab.NS
	rack   *netlab.NS
	events chan discovery.Event
	seen   []discovery.Event
}

// newWire starts a watch of the rack's eth0, which has 192.0.2.1/24 and 2001:db8::1/64.
func newWire(t *testing.T, cfg discovery.Config) *wire {
	t.Helper()
	netlab.Require(t, netlab.Root, netlab.Program("sysctl", "procps"))
	lab := netlab.New(t)
	w := &wire{t: t, lab: lab, sw: lab.NS("switch"), rack: lab.NS("rack"), events: make(chan discovery.Event, 1<<17)}
	w.sw.Bridge("br0")
	w.plug(w.rack, "rack")
	w.rack.Addr("eth0", "192.0.2.1/24")
	w.rack.Addr("eth0", "2001:db8::1/64")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	cfg.Sink = func(e discovery.Event) { w.events <- e }
	opened := make(chan struct{})
	cfg.Log = slog.New(slog.NewTextHandler(&onLine{"started watching interface", sync.OnceFunc(func() { close(opened) })}, nil))
	go func() {
		done <- w.rack.Do(func() error { return discovery.Watch(ctx, cfg) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-opened:
	case err := <-done:
		done <- err
		t.Fatal(err)
	}
	return w
}

// onLine calls seen for each line of a log that has a text.
type onLine struct {
	text string
	seen func()
}

func (l *onLine) Write(b []byte) (int, error) {
	if strings.Contains(string(b), l.text) {
		l.seen()
	}
	return len(b), nil
}

func (w *wire) plug(ns *netlab.NS, name string) {
	w.lab.Veth(ns, "eth0", w.sw, name)
	w.sw.Port("br0", name)
}

// host makes a namespace with an interface on the bridge.
func (w *wire) host(name string) *netlab.NS {
	ns := w.lab.NS(name)
	// Link-local addresses exist at once, for programs that do not wait for them.
	if out, err := ns.Command(w.t.Context(), "sysctl", "-w", "net.ipv6.conf.default.accept_dad=0").CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	w.plug(ns, name)
	return ns
}

// open opens the eth0 of a namespace until the test ends.
func (w *wire) open(ns *netlab.NS, sources discovery.Source) (conn discovery.Conn) {
	w.t.Helper()
	err := ns.Do(func() (err error) {
		conn, err = discovery.OpenPacket("eth0", sources)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// start runs a program in a namespace until the test ends.
func (w *wire) start(ns *netlab.NS, name string, args ...string) {
	w.t.Helper()
	cmd := ns.Command(w.t.Context(), name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("%s: %s", name, out.String())
		}
	})
}

// await returns the first event that is right, and how long it took from now.
func (w *wire) await(what string, right func(discovery.Event) bool) discovery.Device {
	w.t.Helper()
	began := time.Now()
	timeout := time.After(15 * time.Second)
	for i := 0; ; i++ {
		for i >= len(w.seen) {
			select {
			case e := <-w.events:
				w.seen = append(w.seen, e)
			case <-timeout:
				for _, e := range w.seen[:min(len(w.seen), 100)] {
					w.t.Logf("%+v", e)
				}
				w.t.Fatalf("%s was not seen", what)
			}
		}
		if right(w.seen[i]) {
			w.t.Logf("%s was seen after %v: %+v", what, time.Since(began).Round(time.Millisecond), w.seen[i].Device)
			return w.seen[i].Device
		}
	}
}

func at(addr string) func(discovery.Event) bool {
	return func(e discovery.Event) bool { return e.Device.Addr.String() == addr }
}

func TestWatchSeesPingers(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("arping", "arping"), netlab.Program("ping", "iputils-ping"))
	w := newWire(t, discovery.Config{})
	host := w.host("host")
	host.Addr("eth0", "192.0.2.7/24")
	host.Addr("eth0", "2001:db8::7/64")
	w.start(host, "arping", "-i", "eth0", "-c", "3", "192.0.2.1")
	w.await("a host by ARP", at("192.0.2.7"))
	w.start(host, "ping", "-c", "3", "2001:db8::1")
	w.await("a host by neighbour discovery", at("2001:db8::7"))
}

func TestWatchSeesTags(t *testing.T) {
	w := newWire(t, discovery.Config{})
	host := w.host("host")
	conn := w.open(host, discovery.ARP)
	if err := conn.Send(frame(7, "198.51.100.7", 42)); err != nil {
		t.Fatal(err)
	}
	if o := w.await("a tagged frame", at("198.51.100.7")); o.VID != 42 {
		t.Errorf("VID %d", o.VID)
	}
}

func TestWatchSeesAvahi(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("avahi-daemon", "avahi-daemon"))
	w := newWire(t, discovery.Config{})
	host := w.host("host")
	host.Addr("eth0", "192.0.2.7/24")
	host.Addr("eth0", "2001:db8::7/64")
	dir := t.TempDir()
	write(t, dir, "avahi-daemon.conf", `[server]
host-name=printer-7
use-ipv4=yes
use-ipv6=yes
enable-dbus=no
allow-interfaces=eth0
[publish]
publish-workstation=yes
publish-hinfo=no
`)
	w.start(host, "unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run && exec avahi-daemon --no-rlimits --no-drop-root --no-chroot -f `+filepath.Join(dir, "avahi-daemon.conf"))
	w.await("a host by multicast DNS", func(e discovery.Event) bool {
		workstation := func(s discovery.Service) bool { return s.Type == "_workstation._tcp" && s.Port == 9 }
		return at("192.0.2.7")(e) && e.Device.Hostname() == "printer-7" && slices.ContainsFunc(e.Device.Services, workstation)
	})

	// Long after it has announced itself, a sweep learns its name by asking.
	conn := w.open(w.rack, discovery.Scan)
	names := map[string]string{}
	_, err := discovery.Sweep(t.Context(), discovery.SweepConfig{
		Conn: conn, Rate: discovery.FastRate, Prefixes: prefixes("192.0.2.0/28", "2001:db8::/64"), Names: true,
		Sink: func(s discovery.Observation) {
			if s.Info != nil {
				names[s.Addr.String()] = s.Info.Names[0].Name
			}
		},
	})
	if err != nil || names["192.0.2.7"] != "printer-7" || names["2001:db8::7"] != "printer-7" {
		t.Errorf("got %v, %v", names, err)
	}
}

func TestWatchSeesDHCPAndRouters(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dnsmasq", "dnsmasq-base"), netlab.Program("dhclient", "isc-dhcp-client"))
	w := newWire(t, discovery.Config{})
	server, client := w.host("server"), w.host("client")
	server.Addr("eth0", "192.0.2.2/24")
	server.Addr("eth0", "2001:db8::2/64")
	w.start(server, "dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=eth0", "--bind-interfaces", "--leasefile-ro",
		"--dhcp-range=192.0.2.100,192.0.2.110,1h", "--dhcp-range=2001:db8::100,2001:db8::110,64,1h", "--enable-ra", "--ra-param=eth0,4,1800", "--dhcp-authoritative", "--user=root", "--no-ping")
	router := w.await("a router", func(e discovery.Event) bool { return e.Device.Router != nil })
	if r := router.Router; !r.Managed || len(r.Prefixes) != 1 || r.Prefixes[0].String() != "2001:db8::/64" || r.Lifetime == 0 {
		t.Errorf("router %+v", r)
	}
	dir := t.TempDir()
	write(t, dir, "dhclient.conf", "send host-name \"laptop-9\";\nsend vendor-class-identifier \"acme\";\nrequest subnet-mask, routers;\n")
	for _, family := range []string{"-4", "-6"} {
		w.start(client, "dhclient", family, "-d", "-1", "-cf", filepath.Join(dir, "dhclient.conf"), "-lf", filepath.Join(dir, "leases"+family),
			"-pf", filepath.Join(dir, "pid"+family), "-sf", "/bin/true", "eth0")
	}
	o := w.await("a DHCP client", func(e discovery.Event) bool { return e.Device.Hostname() == "laptop-9" })
	if o.VendorClass != "acme" || o.Fingerprint != "1,3" || !strings.HasPrefix(o.Addr.String(), "192.0.2.1") {
		t.Errorf("client %+v", o)
	}
	w.await("a DHCP server", func(e discovery.Event) bool { return at("192.0.2.2")(e) && e.Device.DHCPServer })
	w.await("a DHCPv6 client", func(e discovery.Event) bool {
		return e.Device.Sources.Has(discovery.DHCPv6) && strings.HasPrefix(e.Device.Addr.String(), "2001:db8::1")
	})
}

func TestWatchSeesItsSwitchPort(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("lldpd", "lldpd"))
	w := newWire(t, discovery.Config{})
	// A bridge keeps LLDP to itself unless it is told to pass it on.
	w.sw.IP("link", "set", "br0", "type", "bridge", "group_fwd_mask", "16384")
	host := w.host("host")
	w.start(host, "unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run && exec lldpd -d -s -I eth0 -S "Leaf switch" -p /run/lldpd.pid -u /run/lldpd.socket`)
	o := w.await("a switch", func(e discovery.Event) bool { return e.Device.Switch != nil })
	if o.Switch.Description != "Leaf switch" || o.Switch.System == "" || o.Switch.Port == "" || o.Switch.TTL == 0 {
		t.Errorf("switch %+v", o.Switch)
	}
}

func TestWatchFollowsLinks(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("arping", "arping"))
	w := newWire(t, discovery.Config{}) // all interfaces
	host := w.host("host")
	host.Addr("eth0", "192.0.2.7/24")
	// The cable is pulled, and another one put into an interface of the same name.
	w.rack.IP("link", "del", "eth0")
	w.plug(w.rack, "rack2")
	w.rack.Addr("eth0", "192.0.2.1/24")
	w.start(host, "arping", "-i", "eth0", "192.0.2.1")
	w.await("a host behind the new cable", at("192.0.2.7"))
}

func TestSweepOfRealHosts(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	rack, hosts := lab.NS("rack"), lab.NS("hosts")
	lab.Veth(rack, "eth0", hosts, "eth0")
	rack.Addr("eth0", "192.0.2.1/24")
	rack.Addr("eth0", "2001:db8::1/64")
	hosts.Addr("eth0", "2001:db8::7/64")
	var batch strings.Builder
	for n := range 200 {
		batch.WriteString("addr add 192.0.2." + itoa(n+20) + "/24 dev eth0\n")
	}
	file := write(t, t.TempDir(), "batch", batch.String())
	hosts.IP("-batch", file)
	var conn discovery.Conn
	err := rack.Do(func() (err error) {
		conn, err = discovery.OpenPacket("eth0", discovery.Scan)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	got, err := discovery.Sweep(t.Context(), discovery.SweepConfig{
		Conn: conn, Rate: discovery.FastRate, Prefixes: prefixes("192.0.2.0/24", "2001:db8::/64"),
	})
	t.Logf("%+v in %v", got, time.Since(began))
	if err != nil || got.Found != 201 {
		t.Errorf("found %d, %v", got.Found, err)
	}
}

func TestWatchNamesAMissingInterface(t *testing.T) {
	netlab.Require(t, netlab.Root)
	err := discovery.Watch(t.Context(), discovery.Config{Interfaces: []string{"none0"}, Sink: func(discovery.Event) {}})
	if err == nil || !strings.Contains(err.Error(), "none0") {
		t.Fatalf("got %v", err)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
