package siteverify

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"
)

// FuzzParseAnswer6 reads what servers send: it never panics, and keeps nothing of the buffer.
func FuzzParseAnswer6(f *testing.F) {
	q := Question{six: true, kind: request6, mac: net.HardwareAddr{2, 0, 0x5e, 0, 0, 10}, Relay: netip.MustParseAddr("2001:db8:1::1")}
	f.Add(q.packet6(7, Answer{Addr: netip.MustParseAddr("2001:db8:1::20"), Options: map[byte][]byte{opt6Server: {0, 3}}}))
	f.Add(answered(q, "2001:db8:1::20", 60))
	f.Fuzz(func(t *testing.T, b []byte) {
		xid, a, ok := parseAnswer6(b)
		if !ok {
			return
		}
		before := hex.EncodeToString(a.Options[opt6Server])
		for i := range b {
			b[i] ^= 0xff
		}
		if xid > 0xffffff || hex.EncodeToString(a.Options[opt6Server]) != before {
			t.Errorf("transaction %x, server %s", xid, before)
		}
	})
}

// answered is the answer of a server to a question, as its relay gets it.
func answered(q Question, addr string, lease byte) []byte {
	ia := append(make([]byte, 12), option6(nil, opt6Addr, append(netip.MustParseAddr(addr).AsSlice(), 0, 0, 0, 0, 0, 0, 0, lease))...)
	inner := option6(option6([]byte{reply6, 0, 0, 7}, opt6IA, ia), opt6BootURL, []byte("http://x"))
	relay := append(append([]byte{relayReply, 0}, q.Relay.AsSlice()...), netip.MustParseAddr("fe80::1").AsSlice()...)
	return option6(relay, opt6Relayed, inner)
}

func TestParseAnswer6(t *testing.T) {
	q := Question{Relay: netip.MustParseAddr("2001:db8:1::1")}
	b := answered(q, "2001:db8:1::20", 200)
	xid, a, ok := parseAnswer6(b)
	if !ok || xid != 7 || a.Type != reply6 || a.Addr.String() != "2001:db8:1::20" || a.Lease != 200 || a.File != "http://x" || a.typeName(true) != "REPLY" {
		t.Errorf("%d %+v %v", xid, a, ok)
	}
	for n := range b {
		if _, got, ok := parseAnswer6(bytes.Clone(b[:n])); ok {
			t.Errorf("%d bytes of %d are an answer: %+v", n, len(b), got)
		}
	}
}
