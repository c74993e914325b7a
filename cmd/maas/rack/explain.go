package rack

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// maxPlaces bounds the networks in the answer to one question.
const maxPlaces = 64

// Explain returns what this rack would answer, and why. It changes nothing.
func (r *Rack) Explain(ctx context.Context, q explain.Query) (a explain.Answer, err error) {
	ctx = context.WithValue(ctx, silently{}, true)
	mac, err := q.HardwareAddr()
	if err != nil {
		return a, err
	}
	places := r.places(q)
	if mac != nil {
		for _, place := range places {
			a.DHCP = append(a.DHCP, r.explainDHCP(ctx, q, mac, place))
		}
	}
	if q.Boot {
		boot := r.explainBoot(ctx, q, mac, a.DHCP, places)
		a.Boot = &boot
	}
	if lease, ok := r.dhcp.Lookup(q.Addr); ok {
		a.Lease = &explain.Lease{
			MAC: lease.MAC.String(), Hostname: lease.Hostname, State: lease.State.String(), Subnet: lease.Subnet, Start: lease.Start, End: lease.End,
		}
	}
	return a, nil
}

// places returns the networks in which the machine may be: one subnet of each interface, and each
// subnet behind a relay.
func (r *Rack) places(q explain.Query) (out []dhcpsrv.Subnet) {
	snapshot := r.snapshot.Load()
	if snapshot == nil {
		return nil
	}
	for _, s := range snapshot.Subnets {
		known := s.Link != "" && slices.ContainsFunc(out, func(o dhcpsrv.Subnet) bool { return o.Link == s.Link })
		elsewhere := len(q.Subnets) > 0 && !slices.Contains(q.Subnets, s.Prefix)
		if known || elsewhere || s.Prefix.Addr().Is6() != q.IPv6 || q.IPv6 && s.Link == "" || len(out) == maxPlaces {
			continue
		}
		out = append(out, s)
	}
	return out
}

// explainDHCP explains the answer on each network.
func (r *Rack) explainDHCP(ctx context.Context, q explain.Query, mac net.HardwareAddr, place dhcpsrv.Subnet) explain.DHCP {
	packet := explain.Packet(q, mac, place)
	var x dhcpsrv.Explanation
	if q.IPv6 {
		x = r.dhcp.Explain6(ctx, packet)
	} else {
		x = r.dhcp.Explain(ctx, packet)
	}
	out := explain.DHCP{
		Link: place.Link, Message: x.Message, Reply: x.Reply, Steps: x.Steps, Segment: x.SharedNetwork, Subnet: x.Subnet, Pool: x.Pool,
		Reservation: x.Reservation, Mode: x.Mode.String(), ModeBy: x.ModeBy, Addr: x.Addr, AddrBy: x.AddrBy, Lease: x.Lease, Probe: x.Probe,
		NextServer: x.Next, BootFile: x.BootFile, Options: explain.Readable(x.Options, q.IPv6),
	}
	if place.Link == "" {
		out.Relay = packet.Src.Addr().String()
	}
	if x.Reason != 0 {
		out.Reason = x.Reason.String()
	}
	return out
}

// explainBoot resolves and renders the boot as the boot server does.
func (r *Rack) explainBoot(ctx context.Context, q explain.Query, mac net.HardwareAddr, dhcp []explain.DHCP, places []dhcpsrv.Subnet) (b explain.Boot) {
	machine, known := r.table.Machine(mac)
	b.Known, b.Own = known, known && machine.Profile != nil
	request := pxe.Request{MAC: mac, Arch: firmware.ArchUnknown, Config: firmware.IPXE}
	at := firmware.Endpoint{HTTPPort: r.cfg.HTTPPort, SyslogPort: r.cfg.Ports.Syslog}
	for i, place := range places {
		if at.Addr = place.Server; i < len(dhcp) && dhcp[i].Addr.IsValid() {
			request.Addr = dhcp[i].Addr
			break
		}
	}
	b.Addr, request.Server, at.Others = request.Addr, at.Addr, r.table.Servers(request.Addr)
	if q.Arch != nil {
		request.Arch = *q.Arch
		choice, client := r.table.LoaderOf(request), firmware.Client{MAC: mac, Arch: []firmware.Arch{*q.Arch}, VendorClass: explain.VendorClass(*q.Arch)}
		if offer, ok := firmware.Select(firmware.Prefer(firmware.Methods(), choice.Loader), client, at); ok {
			b.Method, b.Loader = offer.Method.Name, offer.File
			if offer.Method.Loader != "" {
				b.Loader = strings.TrimSuffix(offer.File, offer.Method.Loader) + r.trials.Peek(client, offer, choice)
			}
			request.Method, request.Config = offer.Method.Name, offer.Method.Config
		}
	}
	profile, err := r.table.Resolve(ctx, request)
	if err != nil {
		b.Error = err.Error()
		return b
	}
	b.Profile, b.Language = &profile, request.Config
	if !at.Addr.IsValid() {
		at.Addr = netip.IPv4Unspecified()
	}
	ready, err := pxe.Prepare(profile, r.bootFiles())
	if err != nil {
		b.Error = err.Error()
		return b
	}
	if b.Script, err = pxe.Render(ready, request, at); err != nil {
		b.Error = err.Error()
	}
	return b
}
