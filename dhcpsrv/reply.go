package dhcpsrv

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// Ports of RFC 2131.
const (
	serverPort = 67
	clientPort = 68
)

// reply builds the answer that a decision asks for.
func (s *Server) reply(d *decision, r *request, buf []byte) Reply {
	var w wire.Writer
	asked := r.Option(wire.OptParameterList)
	// Absent means 576 bytes, which every client must accept (RFC 2131 section 2).
	size, _ := r.Uint16(wire.OptMaxSize)
	reserve := 0
	// Room for option 82, which must return unchanged and last (RFC 3046 section 2.2).
	if r.relayAgent != nil {
		reserve = 2 + len(r.relayAgent)
	}
	w.Reset(buf, &r.Msg, wire.SizeLimit(size), reserve)
	// A BOOTP client knows neither message types nor server identifiers.
	if r.kind != wire.BOOTP {
		w.Byte(wire.OptMessageType, byte(d.reply))
		w.Addr(wire.OptServerID, d.serverID(r))
	}
	if id := r.Option(wire.OptClientID); id != nil { // RFC 6842
		w.Option(wire.OptClientID, clip(id, 255))
	}
	if d.reply == wire.Nak {
		// The reason helps a person with a packet capture; clients show it in their logs.
		w.Option(wire.OptMessage, []byte(d.reason.String()))
		if r.giaddr != 0 {
			w.SetBroadcast() // the relay must not send it to an address that is wrong (RFC 2131 section 4.3.2)
		}
		return s.address(d, r, w.Finish(r.relayAgent))
	}
	body(&w, d, r, asked)
	return s.address(d, r, w.Finish(r.relayAgent))
}

// serverID returns the identifier to which the client sends its renewals: this server's address or,
// if the relay asks for it, the relay's (RFC 5107).
func (d *decision) serverID(r *request) netip.Addr {
	if r.override.IsValid() {
		return r.override
	}
	return d.sub.Server
}

// body writes addresses, lease times, boot data and options of an OFFER or ACK.
func body(w *wire.Writer, d *decision, r *request, asked []byte) {
	w.SetSIAddr(d.sub.Server)
	// Only an ACK repeats ciaddr; in an OFFER it is zero (RFC 2131 table 3).
	if d.reply == wire.Ack && r.kind != wire.Discover {
		w.SetCIAddr(r.CIAddr())
	}
	if d.addr != 0 {
		w.SetYIAddr(d.addr.addr())
		// T1 and T2 are sent although they have defaults: old clients compute them from option 51
		// in odd ways.
		if !d.bootp {
			secs := uint32(d.lease / time.Second)
			w.Uint32(wire.OptLeaseTime, secs)
			w.Uint32(wire.OptT1, secs/2)
			w.Uint32(wire.OptT2, uint32(uint64(secs)*7/8))
		}
	}
	if d.rapid {
		w.Option(wire.OptRapidCommit, nil)
	}
	if v := r.Option(wire.OptSubnetSelect); r.selected() != 0 {
		w.Option(wire.OptSubnetSelect, v) // clients discard replies without their copy (RFC 3011 section 2)
	}
	if r.vssOwn { // what was used is returned (RFC 6607 section 7)
		w.Option(wire.OptVSS, r.vss)
	}
	writeFQDN(w, d, r)
	var extra Options
	if d.booting {
		extra = bootOptions(w, d, d.boot, r)
	}
	if d.bootOnly {
		extra = proxyOptions(extra, d, r)
	}
	writeOptions(w, d, extra, asked)
}

// selectBoot asks the embedder what the client shall load.
func (s *Server) selectBoot(ctx context.Context, d *decision, r *request) (a BootAnswer, ok bool) {
	by := d.host.bootBy(s.cfg.Boot)
	if by == nil {
		return BootAnswer{}, false
	}
	// The selector is code of the embedder; its panic costs the boot options of this one reply.
	defer s.recovered("boot selector")
	return by.SelectBoot(ctx, bootQuery(d, r))
}

func bootQuery(d *decision, r *request) BootQuery {
	q := BootQuery{
		MAC: net.HardwareAddr(r.CHAddr()), Client: r.held.addr(), Server: d.sub.Server, Subnet: d.sub.Name, Link: r.pkt.Link,
		VendorClass: string(r.Option(wire.OptVendorClass)), UserClasses: userClasses(r.Option(wire.OptUserClass)),
		NDI: r.Option(wire.OptClientNDI), HasIPXE: r.Has(wire.OptIPXE), IPXE: r.Option(wire.OptIPXE), RequestedOptions: r.Option(wire.OptParameterList),
		Proxy: d.bootOnly,
	}
	if d.addr != 0 {
		q.Client = d.addr.addr()
	}
	if r.giaddr != 0 {
		q.Relay = r.giaddr.addr()
	}
	q.CircuitID, q.RemoteID = wire.SubOption(r.relayAgent, 1), wire.SubOption(r.relayAgent, 2)
	// A list of types in the order of preference (RFC 4578 section 2.1).
	for v := r.Option(wire.OptClientArch); len(v) >= 2; v = v[2:] {
		q.Arch = append(q.Arch, binary.BigEndian.Uint16(v))
	}
	if len(q.Arch) == 0 {
		q.Arch = archOfClass(q.VendorClass)
	}
	q.HasIPXE = q.HasIPXE || slices.Contains(q.UserClasses, "iPXE")
	// Type 0 is a GUID, the only type that is defined (RFC 4578 section 2.3).
	if v := r.First(wire.OptClientUUID); len(v) == 17 && v[0] == 0 {
		q.ClientUUID = v[1:]
	}
	return q
}

// userClasses reads option 77: a list of length-prefixed classes (RFC 3004), or bare text as iPXE
// sends it. Text that happens to be a list does not occur: its first letter would be its length.
func userClasses(v []byte) (classes []string) {
	list := v
	for len(list) > 0 && list[0] > 0 && int(list[0]) < len(list) {
		n := 1 + int(list[0])
		classes = append(classes, string(list[1:n]))
		list = list[n:]
	}
	if text := bytes.TrimRight(v, "\x00"); len(list) > 0 && len(text) > 0 {
		return []string{string(text)}
	}
	return classes
}

// archOfClass returns the architecture in a vendor class such as PXEClient:Arch:00007:UNDI:003000.
// Firmware without option 93, or with a short one, still has it there (PXE 2.1 section 2.2.1).
func archOfClass(class string) []uint16 {
	text, isPXE := strings.CutPrefix(class, "PXEClient:Arch:")
	if !isPXE {
		var isHTTP bool
		if text, isHTTP = strings.CutPrefix(class, "HTTPClient:Arch:"); !isHTTP {
			return nil
		}
	}
	digits, _, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil
	}
	return []uint16{uint16(n)}
}

// bootOptions writes the boot data that has header fields and returns the rest as options.
func bootOptions(w *wire.Writer, d *decision, a BootAnswer, r *request) Options {
	next := a.NextServer
	if !next.IsValid() {
		next = d.sub.Server
	}
	w.SetSIAddr(next)
	extra := a.Options
	if a.VendorClass != "" {
		extra = append(extra[:len(extra):len(extra)], Option{Code: wire.OptVendorClass, Data: []byte(a.VendorClass), Always: true})
	}
	if a.File != "" {
		// The header field holds 127 bytes. Longer names, such as URLs, are in option 67 alone,
		// which is then sent without being asked for.
		fits := w.SetFile(a.File)
		extra = append(extra[:len(extra):len(extra)],
			Option{Code: wire.OptBootFile, Data: []byte(a.File), Always: !fits},
			Option{Code: wire.OptTFTPServer, Data: []byte(next.String())})
	}
	// PXE firmware drops replies without its own UUID (PXE 2.1 section 2.2.1).
	if uuid := r.First(wire.OptClientUUID); uuid != nil {
		w.Option(wire.OptClientUUID, clip(uuid, 255))
	}
	return extra
}

// levels holds the options for one client, the most specific level first: boot answer, host, pool,
// class, subnet with site.
type levels [5]Options

// find returns the option of the most specific level with a code, or nil.
func (l *levels) find(code uint8) *Option {
	for _, level := range l {
		if o := level.find(code); o != nil {
			return o
		}
	}
	return nil
}

// all returns every option that no more specific level overrides.
func (l *levels) all() iter.Seq[*Option] {
	return func(yield func(*Option) bool) {
		for _, level := range l {
			for i := range level {
				if o := &level[i]; l.find(o.Code) == o && !yield(o) {
					return
				}
			}
		}
	}
}

// levels returns the options that apply to the client of a decision.
func (d *decision) levels(boot Options) levels {
	if d.bootOnly {
		return levels{boot}
	}
	l := levels{boot, nil, nil, nil, d.sub.options}
	if d.class != nil {
		l[3] = d.class.Options
	}
	if d.res != nil {
		l[1] = d.res.Options
	}
	if d.addr != 0 {
		if _, pool, ok := d.sub.space.index(d.addr); ok {
			l[2] = d.sub.poolOpts[pool]
		}
	}
	return l
}

// writeOptions writes the options that are always sent, then the requested ones in the order of the
// request, then, while there is room, the rest.
func writeOptions(w *wire.Writer, d *decision, boot Options, asked []byte) {
	l := d.levels(boot)
	for o := range l.all() {
		// First those that clients need but do not ask for, while there is room.
		if o.Always {
			w.Option(o.Code, o.Data)
		}
	}
	// RFC 2132 section 9.8: the order of the request is the client's order of preference.
	for _, code := range asked {
		if o := l.find(code); o != nil {
			w.Option(o.Code, o.Data)
		} else if code == wire.OptHostname && d.res != nil && d.res.Hostname != "" {
			w.Option(code, []byte(d.res.Hostname))
		}
	}
	for o := range l.all() {
		w.Option(o.Code, o.Data)
	}
}

// address sets where the reply goes (RFC 2131 section 4.1).
func (s *Server) address(d *decision, r *request, b []byte) Reply {
	reply := Reply{Data: b, Link: r.pkt.Link, Src: d.sub.Server}
	toClient := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, clientPort) }
	switch {
	case r.pkt.Port == BootServerPort:
		return r.bootServerReply(b, d.sub.Server)
	// The relay finds the client by its own state and option 82.
	case r.giaddr != 0:
		port := uint16(serverPort)
		if wire.SubOption(r.relayAgent, 19) != nil { // RFC 8357: the relay listens on the port it sent from
			port = r.pkt.Src.Port()
		}
		reply.Dst, reply.Link = netip.AddrPortFrom(r.giaddr.addr(), port), ""
		reply.Src = netip.Addr{}
	// The client may have an address of another network, so that only a broadcast is sure to
	// arrive.
	case d.reply == wire.Nak && !r.routed():
		reply.Dst = toClient(limitedBroadcast)
	case r.held != 0:
		reply.Dst = toClient(r.held.addr())
		if d.sub.Link != r.pkt.Link || !d.sub.contains(r.held) {
			reply.Link, reply.Src = "", netip.Addr{}
		}
	// Windows sends INFORM without ciaddr, from its own address.
	case r.kind == wire.Inform && r.pkt.Src.Addr().Is4() && !r.pkt.Src.Addr().IsUnspecified():
		reply.Dst = toClient(r.pkt.Src.Addr())
	// Frames by link address are possible for Ethernet only.
	case r.Broadcast() || d.addr == 0 || len(r.CHAddr()) != 6:
		reply.Dst = toClient(limitedBroadcast)
	default:
		reply.Dst = toClient(d.addr.addr())
		reply.HW = net.HardwareAddr(r.CHAddr())
	}
	return reply
}
