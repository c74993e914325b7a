package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
)

// prefix is short for the checks.
type prefix = netip.Prefix

// Config says what to look at.
type Config struct {
	Data   string        // data directory of the daemon
	Client client.Client // the daemon's, or a region's; it may not answer
	// Interfaces that machines are served on; none = all that have an IPv4 address.
	Interfaces []string
	Loaders    fs.FS
	// HTTPPort, DNSPort and SyslogPort are the rack's; 0 means 5248, 53 and 5247.
	HTTPPort, DNSPort, SyslogPort int
	// Quick leaves out what takes seconds: the search for other DHCP servers.
	Quick bool
}

// searchTime is the time that DHCP servers have to answer. dnsmasq pings an address for 3 s before
// it offers it.
const searchTime = 4 * time.Second

// askTime bounds each of the other questions.
const askTime = 3 * time.Second

// Gather looks. It takes some seconds, and ends with ctx.
func Gather(ctx context.Context, cfg Config) Facts {
	if cfg.HTTPPort == 0 {
		cfg.HTTPPort = 5248
	}
	if cfg.DNSPort == 0 {
		cfg.DNSPort = 53
	}
	if cfg.SyslogPort == 0 {
		cfg.SyslogPort = 5247
	}
	f := Facts{Data: lookAtData(cfg.Data), Links: lookAtLinks(cfg.Interfaces), Loaders: lookAtLoaders(cfg.Loaders)}
	f.Daemon = answers(filepath.Join(cfg.Data, "maas.sock"))
	identity := filepath.Join(cfg.Data, "rack", "identity.pem")
	remote := exists(identity)
	f.Rack = exists(filepath.Join(cfg.Data, "rack")) || f.Data.Absent || !exists(filepath.Join(cfg.Data, "maas.db"))
	f.Daemon = f.Daemon || remote && locked(filepath.Join(cfg.Data, "rack", "lock"))
	f.Ports = lookAtPorts(cfg, f, remote)
	if !f.Daemon {
		f.MissingCapabilities = missingCapabilities("/proc/self/status")
	}
	own := map[netip.Addr]bool{}
	for _, l := range f.Links {
		for _, p := range l.Addrs {
			own[p.Addr()] = true
		}
	}
	var work sync.WaitGroup
	if f.Searched = f.Rack && !cfg.Quick; f.Searched {
		work.Go(func() { f.Servers, f.ServersErr = lookForServers(ctx, f.Links, own) })
	}
	work.Go(func() { f.Certificate, f.Region = lookAtIdentity(ctx, identity, cfg.Data) })
	work.Go(func() { f.Upstreams = askUpstreams(ctx, cfg.Client) })
	work.Go(func() { f.VLANs, f.Proposals, f.Clock = lookAtSite(ctx, cfg.Client) })
	if f.Daemon && f.Rack {
		work.Go(func() { f.RoundTrips = roundTrips(ctx, cfg, f) })
	}
	work.Wait()
	return f
}

// exists reports whether a path exists.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// answers reports whether a daemon accepts connections at a socket.
func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// locked reports whether a daemon has the file.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == unix.EWOULDBLOCK
}

// lookAtData tries to write in the data directory, or looks at the one in which it will be created.
func lookAtData(path string) Dir {
	d := Dir{Path: path}
	at := path
	for !exists(at) && filepath.Dir(at) != at {
		d.Absent, at = true, filepath.Dir(at)
	}
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		d.Err = fmt.Errorf("%s is no directory", at)
		return d
	}
	var stat unix.Statfs_t
	if d.Err = unix.Statfs(at, &stat); d.Err == nil {
		d.Free = stat.Bavail * uint64(stat.Bsize)
	}
	if d.Err == nil && !d.Absent {
		f, err := os.CreateTemp(path, ".doctor-")
		if d.Err = err; err == nil {
			f.Close()
			d.Err = os.Remove(f.Name())
		}
	}
	return d
}

// lookAtLinks takes interfaces that are wanted or, without any, all that are no loopback and have
// an IPv4 address.
func lookAtLinks(wanted []string) (out []Link) {
	all, _ := net.Interfaces() // without any there is a finding
	for _, ifi := range all {
		l := Link{Name: ifi.Name, MTU: ifi.MTU, Up: ifi.Flags&net.FlagUp != 0, RPMode: max(rpFilter("all"), rpFilter(ifi.Name))}
		addrs, _ := ifi.Addrs() // as above
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				l.Addrs = append(l.Addrs, p)
			}
		}
		chosen := len(wanted) == 0 && ifi.Flags&net.FlagLoopback == 0 && len(l.Addrs) > 0
		for _, name := range wanted {
			chosen = chosen || name == ifi.Name
		}
		if chosen {
			out = append(out, l)
		}
	}
	return out
}

// rpFilter reads the reverse path filter of an interface, 0 if there is none.
func rpFilter(link string) int {
	data, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + link + "/rp_filter")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data))) // the kernel writes numbers
	return n
}

// capabilities that a rack needs, by bit.
var capabilities = []struct {
	name string
	bit  uint
}{{"CAP_NET_BIND_SERVICE", unix.CAP_NET_BIND_SERVICE}, {"CAP_NET_RAW", unix.CAP_NET_RAW}}

// missingCapabilities reads the capabilities in force from a status file of /proc.
func missingCapabilities(status string) (out []string) {
	data, err := os.ReadFile(status)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		text, found := strings.CutPrefix(line, "CapEff:")
		bits, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if !found || err != nil {
			continue
		}
		for _, c := range capabilities {
			if bits&(1<<c.bit) == 0 {
				out = append(out, c.name)
			}
		}
	}
	return out
}

// lookForServers searches all interfaces at once.
func lookForServers(ctx context.Context, links []Link, own map[netip.Addr]bool) (out []Server, err error) {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, l := range links {
		work.Go(func() {
			found, ferr := dhcplink.FindServers(ctx, l.Name)
			mu.Lock()
			defer mu.Unlock()
			if ferr != nil {
				err = ferr
			}
			for _, s := range found {
				out = append(out, Server{Link: l.Name, Addr: s.Addr, MAC: s.MAC.String(), Ours: own[s.Addr] || own[s.ID]})
			}
		})
	}
	work.Wait()
	return out, err
}
