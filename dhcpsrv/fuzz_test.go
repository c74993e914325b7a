package dhcpsrv_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
)

// FuzzHandle gives the whole server sequences of packets. Nothing panics, no reply exceeds what the client takes, an ACK
// with a lease is never sent without a commit of just that lease, a DISCOVER never commits a grant, and an explanation says
// what is then done.
func FuzzHandle(f *testing.F) {
	_, packets := firmwarePackets(f, "testdata/firmware.txt")
	for i, p := range packets {
		f.Add(joinPackets(p))
		if i > 0 {
			f.Add(joinPackets(packets[i-1], p))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		store := &recordingStore{}
		s := newServer(t, dhcpsrv.Config{Store: store, Boot: dhcpsrv.BootSelectorFunc(bootByFirmware)}, lab())
		beside := lab()
		for i := range beside.Subnets {
			beside.Subnets[i].Mode = dhcpsrv.ModeProxy
		}
		proxy := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(bootByFirmware)}, beside)
		for n := 0; len(data) > 2 && n < 8; n++ {
			size := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			p := dhcpsrv.Packet{Data: data[2 : 2+size], Link: "eth0", Src: netip.MustParseAddrPort("10.77.0.9:68")}
			data = data[2+size:]
			checkProxy(t, proxy, p)
			store.batch = nil
			x := s.Explain(context.Background(), p)
			r, ok := s.Handle(context.Background(), p)
			if ok != (x.Reply != "") {
				t.Fatalf("answered %v, explained as %q because %v", ok, x.Reply, x.Reason)
			}
			if ok {
				checkReply(t, &x, r, store.batch)
			}
		}
		if st := s.Stats(); st.Panics != 0 {
			t.Fatalf("%d panics", st.Panics)
		}
	})
}

func joinPackets(packets ...[]byte) (b []byte) {
	for _, p := range packets {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

// recordingStore notes what the last packet committed.
type recordingStore struct {
	dhcpsrv.MemStore
	batch []dhcpsrv.Lease
}

func (r *recordingStore) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	r.batch = append(r.batch, batch...)
	return r.MemStore.Commit(ctx, batch)
}

func checkReply(t *testing.T, x *dhcpsrv.Explanation, r dhcpsrv.Reply, committed []dhcpsrv.Lease) {
	if len(r.Data) > 1472 || len(r.Data) < 300 {
		t.Fatalf("reply of %d bytes", len(r.Data))
	}
	bound := false
	for _, l := range committed {
		bound = bound || l.State == dhcpsrv.Bound && l.Addr == x.Addr
	}
	if want := x.Reply == "ACK" && x.Addr.IsValid() && x.Message != "BOOTP"; bound != want && x.Message != "BOOTP" {
		t.Fatalf("%s %v: committed %v", x.Reply, x.Addr, bound)
	}
	if x.Message == "DISCOVER" && x.Reply != "OFFER" {
		t.Fatalf("%s for a DISCOVER", x.Reply)
	}
}

// checkProxy gives a packet to a proxy, on both of its ports: it never tells an address nor a lease time.
func checkProxy(t *testing.T, s *dhcpsrv.Server, p dhcpsrv.Packet) {
	for _, p.Port = range []uint16{67, dhcpsrv.BootServerPort} {
		x := s.Explain(context.Background(), p)
		r, ok := s.Handle(context.Background(), p)
		if ok != (x.Reply != "") {
			t.Fatalf("proxy on port %d answered %v, explained as %q because %v", p.Port, ok, x.Reply, x.Reason)
		}
		if ok && (string(r.Data[16:20]) != "\x00\x00\x00\x00" || x.Lease != 0 || len(r.Data) > 1472) {
			t.Fatalf("proxy on port %d: %+v", p.Port, x)
		}
	}
	if st := s.Stats(); st.Panics != 0 || st.Committed != 0 {
		t.Fatalf("proxy: %+v", st)
	}
}
