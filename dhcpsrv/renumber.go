package dhcpsrv

import (
	"bytes"
	"net/netip"
)

// formerly is the server's identity before its address changed. Clients that were just offered an
// address under it still mean this server.
type formerly struct {
	server netip.Addr
	duid   []byte
	until  int64 // Unix nanoseconds
}

func (f *formerly) is(server netip.Addr, now int64) bool { return now < f.until && f.server == server }

func (f *formerly) isDUID(duid []byte, now int64) bool {
	return now < f.until && bytes.Equal(f.duid, duid)
}

// inherit keeps the identity of the previous snapshot for as long as an offer holds.
func (c *serving) inherit(was *serving, was6 *serving6, until int64) {
	for _, sub := range c.subnets {
		former := was.byName[sub.Name]
		switch {
		case former == nil || former.Server == sub.PartnerServer:
		case former.Server == sub.Server:
			sub.formerly = former.formerly
		default:
			sub.formerly = formerly{server: former.Server, until: until}
		}
	}
	for _, sub := range c.v6.subnets {
		former := was6.byName[sub.Name]
		switch {
		case former == nil || former.Server == sub.PartnerServer:
		case bytes.Equal(former.seg.duid, sub.seg.duid):
			sub.formerly = former.formerly
		default:
			sub.formerly = formerly{duid: former.seg.duid, until: until}
		}
	}
}
