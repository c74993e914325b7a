package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/loaders"
)

// Check judges the facts. Findings are in the order of what depends on what.
func Check(f Facts) []Finding {
	var r report
	for _, check := range []func(*report, Facts){
		checkData, checkCapabilities, checkPorts, checkLinks, checkServers, checkLoaders, checkRegion, checkCertificate, checkClock, checkVLANs, checkProposals, checkRoundTrips, checkUpstreams,
	} {
		check(&r, f)
	}
	return r.findings
}

type report struct{ findings []Finding }

func (r *report) fine(check, format string, args ...any) {
	r.findings = append(r.findings, Finding{check, Fine, fmt.Sprintf(format, args...), ""})
}

func (r *report) add(check string, severity Severity, cure, format string, args ...any) {
	r.findings = append(r.findings, Finding{check, severity, fmt.Sprintf(format, args...), cure})
}

// Free space below which there is no room for leases, and for a cache of packages.
const (
	noSpace     = 100 << 20
	littleSpace = 1 << 30
)

// checkData judges the data directory and the room for leases.
func checkData(r *report, f Facts) {
	d := f.Data
	switch {
	case d.Err != nil:
		r.add("store", Bad, "give it to the user that runs the daemon, or choose another directory with --data", "%s cannot be written: %v", d.Path, d.Err)
		return
	case d.Absent:
		r.fine("store", "%s does not exist yet; the daemon creates it", d.Path)
	}
	switch free := megabytes(d.Free); {
	case d.Free < noSpace:
		r.add("store", Bad, "make room: without it leases are not given, since they could not be kept", "%s has %s left", d.Path, free)
	case d.Free < littleSpace:
		r.add("store", Warning, "make room, or shrink the proxy's cache", "%s has %s left", d.Path, free)
	case !d.Absent:
		r.fine("store", "%s can be written and has %s left", d.Path, free)
	}
}

func megabytes(n uint64) string { return fmt.Sprintf("%d MB", n>>20) }

// checkCapabilities judges whether low ports and raw packets are allowed. A region alone needs
// neither.
func checkCapabilities(r *report, f Facts) {
	if len(f.MissingCapabilities) == 0 {
		r.fine("capabilities", "ports below 1024 and raw packets are allowed")
		return
	}
	severity := Bad
	if !f.Rack {
		severity = Warning
	}
	r.add("capabilities", severity, "run it as root, or with AmbientCapabilities="+strings.Join(f.MissingCapabilities, " ")+" in its unit; run maas doctor as root to see all",
		"the capabilities %s are missing", strings.Join(f.MissingCapabilities, ", "))
}

// checkPorts judges whether the ports are the daemon's or free.
func checkPorts(r *report, f Facts) {
	busy := 0
	for _, p := range f.Ports {
		name := fmt.Sprintf("%s: port %d/%s", p.What, p.Port, p.Net)
		switch {
		case f.Daemon && p.Ours, !f.Daemon && len(p.By) == 0:
		case p.Ours:
			r.add("ports", Warning, "name its data directory with --data to look at that one", "%s is used by a maas daemon with another data directory", name)
			busy++
		case len(p.By) == 0:
			r.add("ports", Warning, "see the daemon's log, and whether it was told to leave this out", "%s: the daemon does not serve there", name)
			busy++
		default:
			r.add("ports", Bad, evict(p), "%s is taken by %s", name, strings.Join(p.By, ", "))
			busy++
		}
	}
	if busy == 0 && len(f.Ports) > 0 {
		r.fine("ports", "%d looked at, %s", len(f.Ports), map[bool]string{true: "the daemon's own", false: "free"}[f.Daemon])
	}
}

// evict says how to get a port from programs that usually have it.
func evict(p Port) string {
	for _, by := range p.By {
		switch {
		case strings.Contains(by, "systemd-resolve"):
			return "set DNSStubListener=no in /etc/systemd/resolved.conf, and restart systemd-resolved"
		case strings.Contains(by, "dnsmasq"):
			return "stop dnsmasq: systemctl disable --now dnsmasq; virtual networks of libvirt have one of their own, leave their interfaces out with --interface"
		case strings.Contains(by, "named"), strings.Contains(by, "unbound"):
			return "stop it, or serve DNS elsewhere with --dns-port"
		case strings.Contains(by, "dhcp"), strings.Contains(by, "kea"):
			return "stop that DHCP server, or start with --no-dhcp beside it"
		}
	}
	return "stop that program, or choose another port where there is a flag for it"
}

// smallestMTU is the MTU that the default block sizes of boot transfers fit into.
const smallestMTU = 1500

// checkLinks judges the interfaces that machines are served on.
func checkLinks(r *report, f Facts) {
	if !f.Rack {
		return
	}
	serving := 0
	for _, l := range f.Links {
		switch {
		case !l.Up:
			r.add("interfaces", Warning, "ip link set "+l.Name+" up", "%s is down", l.Name)
			continue
		case l.MTU < smallestMTU:
			r.add("mtu", Warning, "ip link set "+l.Name+" mtu 1500, or set the MTU of its VLAN to "+fmt.Sprint(l.MTU), "%s carries packets of %d bytes only", l.Name, l.MTU)
		}
		if l.RPMode == 1 && len(f.Links) > 1 {
			r.add("rp_filter", Warning, "sysctl -w net.ipv4.conf."+l.Name+".rp_filter=2 (and net.ipv4.conf.all.rp_filter=2)",
				"%s drops packets of networks that are reached another way (rp_filter is strict): relayed requests get lost", l.Name)
		}
		if len(l.Addrs) > 0 {
			serving++
		}
	}
	if serving == 0 {
		r.add("interfaces", Bad, "give one an address: ip addr add 192.0.2.1/24 dev NAME", "no interface has an address to serve machines from")
		return
	}
	r.fine("interfaces", "%d can serve machines", serving)
}

// checkServers reports DHCP servers of others.
func checkServers(r *report, f Facts) {
	if f.ServersErr != nil {
		r.add("dhcp", Warning, "run maas doctor as root", "other DHCP servers could not be looked for: %v", f.ServersErr)
		return
	}
	others := 0
	for _, s := range f.Servers {
		if s.Ours {
			continue
		}
		others++
		r.add("dhcp", Warning, "stop it, or let the VLAN be served beside it: maas vlan update VLAN dhcp_mode=proxy", "another DHCP server, %s (%s), answers on %s", s.Addr, s.MAC, s.Link)
	}
	if others == 0 && f.Searched {
		r.fine("dhcp", "no other DHCP server answers")
	}
}

// usual are the loaders that most machines need.
var usual = []string{"undionly.kpxe", "shimx64.efi", "grubx64.efi"}

// checkLoaders judges the boot loaders. Only the usual ones are missed: no site needs all of them.
func checkLoaders(r *report, f Facts) {
	if !f.Rack {
		return
	}
	var there []string
	for _, l := range f.Loaders {
		switch {
		case l.Err != nil && slices.Contains(usual, l.Name):
			r.add("loaders", Warning, "install the package that it names, or name a directory with --loaders", "%v", l.Err)
		case l.Err != nil:
		case l.Damage != nil:
			r.add("loaders", Warning, "put the right file there; maas loader list shows all of them", "%v", l.Damage)
		case l.Secure && !l.Signed:
			r.add("loaders", Warning, "install the signed one (shim-signed, grub-efi-amd64-signed), or switch Secure Boot off", "%s is not signed: machines with Secure Boot refuse it", l.Name)
		default:
			there = append(there, l.Name)
		}
	}
	if len(there) > 0 {
		r.fine("loaders", "found %s", strings.Join(there, ", "))
	}
	checkAuthorities(r, f)
}

// checkAuthorities judges whether there is a shim for firmware of each of Microsoft's authorities:
// firmware of before 2023 trusts the older one, and some newer firmware the newer one alone.
func checkAuthorities(r *report, f Facts) {
	shims, old, current := 0, false, false
	for _, l := range f.Loaders {
		if l.Secure && l.Err == nil && l.Damage == nil && strings.Contains(l.Name, "shim") {
			shims++
			old = old || slices.Contains(l.CAs, string(loaders.Microsoft2011))
			current = current || slices.Contains(l.CAs, string(loaders.Microsoft2023))
		}
	}
	missing := ""
	switch {
	case shims == 0 || old == current: // none at all is a site with keys of its own
		return
	case !old:
		missing = string(loaders.Microsoft2011)
	default:
		missing = string(loaders.Microsoft2023)
	}
	r.add("loaders", Warning, "put a shim that it signed, and the loader that it starts, into a directory of the loaders directory",
		"no shim is signed by %s: firmware with Secure Boot that trusts no other authority boots nothing", missing)
}

// checkRegion judges whether the rack reaches its region.
func checkRegion(r *report, f Facts) {
	switch {
	case !f.Region.Known:
	case f.Region.Err != nil:
		r.add("region", Bad, "see that the region runs and that no firewall is between; the rack goes on with what it was told last",
			"no region is reached at %s: %v", strings.Join(f.Region.Tried, ", "), f.Region.Err)
	default:
		r.fine("region", "is reached at %s", strings.Join(f.Region.Tried, ", "))
	}
}

// renewal is the remaining lifetime at which a certificate should have been renewed.
const renewal = 14 * 24 * time.Hour

// checkCertificate judges the rack's certificate.
func checkCertificate(r *report, f Facts) {
	c := f.Certificate
	left := c.Expires.Sub(c.Now)
	const again = "enrol it again: maas region token create on the region, then maas rack run --enrol-file FILE"
	switch {
	case !c.Known:
	case c.Err != nil:
		r.add("certificate", Bad, again, "the rack's certificate cannot be read: %v", c.Err)
	case left <= 0:
		r.add("certificate", Bad, again, "the rack's certificate ended on %s: no region lets it in", c.Expires.Format(time.DateOnly))
	case left < renewal:
		r.add("certificate", Warning, "see why the rack does not reach its region, which renews it", "the rack's certificate ends on %s", c.Expires.Format(time.DateOnly))
	default:
		r.fine("certificate", "the rack's is good until %s", c.Expires.Format(time.DateOnly))
	}
}

// Differences of clocks that mix up what happened when, and that make keys and certificates void.
const (
	mixedUp = 5 * time.Second
	void    = 2 * time.Minute
)

// checkClock judges the difference between the clocks of this host and the region.
func checkClock(r *report, f Facts) {
	off := f.Clock.Ahead.Abs()
	way := map[bool]string{true: "ahead of", false: "behind"}[f.Clock.Ahead > 0]
	const cure = "keep both in step: apt install chrony"
	switch {
	case !f.Clock.Known:
	case off > void:
		r.add("clock", Bad, cure, "this host's clock is %s %s the region's: keys and certificates are refused", off.Round(time.Second), way)
	case off > mixedUp:
		r.add("clock", Warning, cure, "this host's clock is %s %s the region's", off.Round(time.Second), way)
	default:
		r.fine("clock", "agrees with the region's")
	}
}

// checkProposals judges what racks have and were not given.
func checkProposals(r *report, f Facts) {
	for _, p := range f.Proposals {
		r.add("racks", Warning, fmt.Sprintf("maas rack accept %s %s, or maas rack ignore %s %s", p.Rack, p.Network, p.Rack, p.Network),
			"rack %s has %s on %s, was not given it, and does not serve it", p.Rack, p.Network, p.Link)
	}
}

// checkVLANs judges whether the VLANs that give addresses can do so.
func checkVLANs(r *report, f Facts) {
	for _, v := range f.VLANs {
		switch {
		case !v.Ranges:
			r.add("vlans", Warning, "maas iprange create FIRST-LAST type=dynamic", "VLAN %s gives addresses, and has no dynamic range: only known machines get one", v.Name)
		case len(v.Racks) == 0 && v.Relay == "":
			r.add("vlans", Bad, "maas vlan update "+v.Name+" primary_rack=RACK, or relay_vlan=VLAN", "VLAN %s gives addresses, and no rack serves it", v.Name)
		case !v.Near && v.Relay == "":
			r.add("relay", Warning, "give the rack an address there, or name the VLAN that its router relays to: maas vlan update "+v.Name+" relay_vlan=VLAN",
				"VLAN %s is served, and no rack has an address in it: its machines are heard through a relay only", v.Name)
		}
		for _, l := range f.Links {
			if v.Near && v.MTU > l.MTU && slices.ContainsFunc(l.Addrs, func(p prefix) bool { return slices.Contains(v.Subnets, p.Masked().String()) }) {
				r.add("mtu", Warning, fmt.Sprintf("ip link set %s mtu %d, or maas vlan update %s mtu=%d", l.Name, v.MTU, v.Name, l.MTU),
					"VLAN %s tells machines to send %d bytes, and %s takes %d", v.Name, v.MTU, l.Name, l.MTU)
			}
		}
	}
}

// checkUpstreams judges the resolvers for other names.
func checkUpstreams(r *report, f Facts) {
	var answering []string
	for _, u := range f.Upstreams {
		if u.Err != nil {
			r.add("upstream dns", Warning, "maas settings set upstream_dns with resolvers that answer", "the resolver %s does not answer: %v; machines wait seconds for other names", u.Addr, u.Err)
			continue
		}
		answering = append(answering, u.Addr)
	}
	if len(answering) > 0 {
		r.fine("upstream dns", "%s answers", strings.Join(answering, ", "))
	}
}

// checkRoundTrips reports the servers that did not answer.
func checkRoundTrips(r *report, f Facts) {
	for _, t := range f.RoundTrips {
		if t.Err != nil {
			r.add("round trip", Bad, "see the daemon's log, and whether a firewall is on this host: nft list ruleset", "%s at %s: %v", t.What, t.At, t.Err)
			continue
		}
		r.fine("round trip", "%s at %s answers in %s", t.What, t.At, t.Took.Round(10*time.Microsecond))
	}
}
