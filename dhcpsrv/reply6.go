package dhcpsrv

import (
	"cmp"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Ports of RFC 8415 section 7.2.
const (
	serverPort6 = 547
	clientPort6 = 546
)

// enterpriseIntel is the enterprise under which UEFI firmware has its vendor class (UEFI 2.10
// section 24.7).
const enterpriseIntel = 343

// reply6 builds the answer that a decision asks for, inside the envelopes of the relays on its way
// back.
func (s *Server) reply6(ctx context.Context, w *wire6.Writer, d *decision6, r *request6) Reply {
	w.Reset()
	for i := range r.Relays {
		relay := &r.Relays[i]
		w.RelayHeader(relay)
		// A relay finds the client's interface by its own Interface-ID, which must return (RFC 8415
		// section 21.18).
		for _, code := range []uint16{wire6.OptInterfaceID, wire6.OptRelaySource} {
			if v := relay.Options.Find(code); v != nil {
				w.Option(code, v)
			}
		}
		if i == r.vssFrom { // RFC 6607 section 7: what was used is returned to the relay that sent it
			w.Option(wire6.OptVSS, relay.Options.Find(wire6.OptVSS))
		}
		w.Open(wire6.OptRelayMessage)
	}
	s.body6(ctx, w, d, r)
	// The envelopes close from the inside out.
	for range r.Relays {
		w.Close()
	}
	return r.address(w.B)
}

// address sets where the reply goes: back to the sender of the packet.
func (r *request6) address(b []byte) Reply {
	src, port := r.pkt.Src.Addr(), uint16(clientPort6)
	if len(r.Relays) > 0 {
		port = serverPort6
		if r.Relays[0].Options.Has(wire6.OptRelaySource) { // RFC 8357
			port = r.pkt.Src.Port()
		}
	}
	reply := Reply{Data: b, Link: r.pkt.Link, Dst: netip.AddrPortFrom(src, port)}
	if !src.IsLinkLocalUnicast() {
		reply.Link = "" // by the routes of the host
	}
	return reply
}

// body6 writes the message itself.
func (s *Server) body6(ctx context.Context, w *wire6.Writer, d *decision6, r *request6) {
	w.Header(d.reply, r.XID)
	if r.duid != nil {
		w.Option(wire6.OptClientID, r.duid)
	}
	w.Option(wire6.OptServerID, d.sub.seg.duid)
	if d.status != noStatus {
		w.Status(d.status, "")
	}
	// Nothing but the status may be in such a reply (RFC 8415 section 18.4).
	if d.status == wire6.StatusUseMulticast {
		return
	}
	if r.vss != nil && r.vssFrom < 0 {
		w.Option(wire6.OptVSS, r.vss)
	}
	if d.rapid {
		w.Option(wire6.OptRapidCommit, nil)
	}
	if a, _ := d.first(); d.reply == wire6.Advertise && !d.sub.NotAuthoritative && a.IsValid() {
		// no other server serves here: the client need not wait for more offers
		w.Option(wire6.OptPreference, []byte{255})
	}
	for i := range d.ias {
		d.ias[i].write(w)
	}
	for i := range d.pds {
		d.pds[i].writePrefix(w)
	}
	for i := range r.foreign {
		if r.foreign[i].Code == wire6.OptIAPD && len(d.pds) > 0 {
			continue
		}
		writeForeign(w, &r.foreign[i], r.Type)
	}
	if d.reason == 0 && r.Type != wire6.Confirm && r.Type != wire6.Release && r.Type != wire6.Decline {
		s.writeOptions6(ctx, w, d, r)
	}
}

// writeForeign answers an association that this server does not serve. Without an answer, clients
// wait for one: routers never ask the server that delegates prefixes (RFC 8415 sections 18.3.1 to
// 18.3.8).
func writeForeign(w *wire6.Writer, ia *wire6.IA, message wire6.Type) {
	status := uint16(wire6.StatusNoBinding)
	switch message {
	case wire6.Confirm:
		return // CONFIRM is about the link, and its reply has no associations
	case wire6.Solicit, wire6.Request:
		if status = wire6.StatusNoAddrsAvail; ia.Code == wire6.OptIAPD {
			status = wire6.StatusNoPrefix
		}
	}
	w.Open(ia.Code)
	w.Uint32(ia.ID)
	if ia.Code == wire6.OptIAPD {
		w.Uint32(0)
		w.Uint32(0)
	}
	w.Status(status, "")
	w.Close()
}

// write writes the association with T1 and T2 at 0.5 and 0.8 of the lease (RFC 8415 section 21.4).
func (ia *ia6) write(w *wire6.Writer) {
	secs := uint32(ia.lease / time.Second)
	w.Open(wire6.OptIANA)
	w.Uint32(ia.id)
	w.Uint32(secs / 2)
	w.Uint32(uint32(uint64(secs) * 4 / 5))
	if ia.addr.IsValid() {
		w.IAAddr(ia.addr, secs, secs)
	}
	// Lifetimes of zero make the client drop these addresses at once (RFC 8415 section 18.3.4).
	for _, a := range ia.gone {
		w.IAAddr(a, 0, 0)
	}
	if ia.status != noStatus {
		w.Status(ia.status, "")
	}
	w.Close()
}

// writeOptions6 writes the options that are always sent and the requested ones.
func (s *Server) writeOptions6(ctx context.Context, w *wire6.Writer, d *decision6, r *request6) {
	l := d.levels(s.boot6(ctx, d, r))
	var done [4]uint64 // by code
	if _, sub := d.first(); l.find(wire6.OptFQDN) == nil {
		writeFQDN6(w, d, r, sub)
	}
	for o := range l.all() {
		if o.Always {
			w.Option(uint16(o.Code), o.Data)
			done[o.Code>>6] |= 1 << (o.Code & 63)
		}
	}
	for code := range r.Requested() {
		if code > 255 || done[code>>6]&(1<<(code&63)) != 0 {
			continue
		}
		if o := l.find(uint8(code)); o != nil {
			w.Option(code, o.Data)
			done[code>>6] |= 1 << (code & 63)
		}
	}
}

// levels returns the options that apply to the client of a decision.
func (d *decision6) levels(boot Options) levels {
	addr, sub := d.first()
	l := levels{boot, nil, nil, nil, sub.options}
	if d.class != nil {
		l[3] = d.class.Options6
	}
	if d.reserved().IsValid() || d.host != nil {
		l[1] = d.res.Options
	}
	if n := sub.pool(addr); n >= 0 {
		l[2] = sub.Pools[n].Options
	}
	return l
}

// boot6 asks the embedder what the client loads and returns it as options.
func (s *Server) boot6(ctx context.Context, d *decision6, r *request6) (opts Options) {
	by := d.host.bootBy(s.cfg.Boot)
	if by == nil {
		return nil
	}
	defer s.recovered("boot selector")
	q := r.bootQuery(d)
	a, ok := by.SelectBoot(ctx, q)
	if !ok {
		return nil
	}
	for _, o := range a.Options6 {
		if !ownOption6(o.Code) && len(o.Data) <= 1024 {
			opts = append(opts, o)
		}
	}
	url := ""
	if a.File != "" {
		url = bootURL(a, q.Server)
		opts = append(opts, Option{Code: wire6.OptBootURL, Data: []byte(url)})
	}
	if params := wire6.Texts(a.Params, maxBootParams); len(params) > 0 {
		opts = append(opts, Option{Code: wire6.OptBootParam, Data: params})
	}
	if class := cmp.Or(a.VendorClass, httpClass(q.VendorClass, url)); class != "" {
		data := wire6.Texts([]string{class}, maxBootParams)
		opts = append(opts, Option{Code: wire6.OptVendorClass, Data: append(binary.BigEndian.AppendUint32(nil, enterpriseIntel), data...), Always: true})
	}
	return opts
}

// maxBootParams bounds the parameters of a boot file, in bytes.
const maxBootParams = 1024

// httpClass returns the vendor class that firmware requires for HTTP boot, or "" for other clients:
// without it firmware does not treat the offer as one for HTTP (UEFI 2.10 section 24.7.2).
func httpClass(client, url string) string {
	const class = "HTTPClient"
	if strings.HasPrefix(client, class) && (strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")) {
		return class
	}
	return ""
}

// bootURL returns the file as a URL: DHCPv6 has no field for the server (RFC 5970 section 3.1).
func bootURL(a BootAnswer, server netip.Addr) string {
	if strings.Contains(a.File, "://") {
		return a.File
	}
	if is6(a.NextServer) {
		server = a.NextServer
	}
	return "tftp://[" + server.String() + "]/" + strings.TrimPrefix(a.File, "/")
}

// bootQuery returns the question to the boot selector, with the first address of the reply.
func (r *request6) bootQuery(d *decision6) BootQuery {
	addr, sub := d.first()
	q := BootQuery{
		Client: addr, Server: sub.Server, Subnet: sub.Name, Link: r.pkt.Link,
		VendorClass: string(vendorClass6(r.Options)), UserClasses: userClasses6(r.Options.Find(wire6.OptUserClass)),
		NDI: r.Options.Find(wire6.OptClientNII),
	}
	q.Relay, q.CircuitID = r.linkAddress(), r.circuitID()
	if relay := r.relay(); relay != nil {
		q.RemoteID = relay.Options.Find(wire6.OptRemoteID)
	}
	if len(r.macs) > 0 {
		q.MAC = net.HardwareAddr(r.macs[0])
	}
	for v := r.Options.Find(wire6.OptClientArch); len(v) >= 2; v = v[2:] {
		q.Arch = append(q.Arch, binary.BigEndian.Uint16(v))
	}
	if len(q.Arch) == 0 {
		q.Arch = archOfClass(q.VendorClass)
	}
	for code := range r.Requested() {
		if code < 256 {
			q.RequestedOptions = append(q.RequestedOptions, byte(code))
		}
	}
	// A DUID-UUID of firmware is the machine's own UUID (RFC 6355 section 2).
	if len(r.duid) == 18 && r.duid[0] == 0 && r.duid[1] == 4 {
		q.ClientUUID = r.duid[2:]
	}
	q.HasIPXE = slices.Contains(q.UserClasses, "iPXE")
	return q
}

// userClasses6 reads option 15: texts with their length before them (RFC 8415 section 21.15), or
// bare text.
func userClasses6(v []byte) (classes []string) {
	list := v
	for len(list) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(list))
		if n > len(list) {
			break
		}
		classes = append(classes, string(list[2:n]))
		list = list[n:]
	}
	if len(list) > 0 {
		return []string{string(v)}
	}
	return classes
}
