package dhcpsrv_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/internal/smalldisk"
)

// diskSide gives clients of one family addresses until that fails.
type diskSide struct {
	t    *testing.T
	s    *dhcpsrv.Server
	talk talk
	last uint32
	held map[uint32]netip.Addr // what was acknowledged
}

func (d *diskSide) handle(b []byte) ([]byte, bool) {
	p := dhcpsrv.Packet{Data: b, Link: "eth0"}
	handle := d.s.Handle
	if _, six := d.talk.(talk6); six {
		p.Src = netip.MustParseAddrPort("[fe80::9]:546")
		handle = d.s.Handle6
	}
	r, ok := handle(context.Background(), p)
	return r.Data, ok
}

// grant gets a new client a lease, or reports that the server is silent.
func (d *diskSide) grant() bool {
	d.t.Helper()
	d.last++
	offer, ok := d.handle(d.talk.discover(d.last))
	if !ok {
		return false
	}
	ack, ok := d.handle(d.talk.request(d.last, offer))
	if !ok {
		return false
	}
	if _, _, a := d.talk.read(ack); a.IsValid() {
		d.held[d.last] = a
		return true
	}
	return false
}

// recalled fails for each client that the server has forgotten.
func (d *diskSide) recalled() {
	d.t.Helper()
	for client, a := range d.held {
		b, ok := d.handle(d.talk.recall(client, a))
		if _, _, got := d.talk.read(b); !ok || got != a {
			d.t.Errorf("client %d held %v, and is told %v, %t", client, a, got, ok)
		}
	}
}

// On a full disk no client gets an address that would be forgotten, and with room again clients are
// served without a restart. A restart, even on a read-only disk that becomes writable later, finds
// all that was acknowledged.
func TestFullDisk(t *testing.T) {
	smalldisk.Run(t, 256<<10, func(disk smalldisk.Disk) {
		path := filepath.Join(disk.Dir, "leases")
		sides := []*diskSide{{t: t, talk: talk4{}, held: map[uint32]netip.Addr{}}, {t: t, talk: talk6{}, held: map[uint32]netip.Addr{}}}
		start := func() *journal.Journal {
			j, err := journal.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, dhcpsrv.Config{Store: j}, vast())
			for _, side := range sides {
				side.s = s
			}
			return j
		}
		j := start()
		for round := range 3 {
			for _, side := range sides {
				for range 20 {
					if !side.grant() {
						t.Fatalf("round %d: no lease with room on the disk", round)
					}
				}
			}
			disk.Fill()
			refused := 0
			for range 200 { // some still fit into the last page of the file
				for _, side := range sides {
					if !side.grant() {
						refused++
					}
				}
			}
			if refused == 0 {
				t.Fatalf("round %d: leases are given on a full disk", round)
			}
			if round == 1 { // as after a crash
				j.Close()
				j = start()
			}
			disk.Empty()
			for _, side := range sides {
				if !side.grant() {
					t.Errorf("round %d: no lease with room again", round)
				}
				side.recalled()
			}
		}
		j.Close()
		disk.ReadOnly(func() {
			if _, err := journal.Open(path); err == nil {
				t.Error("a journal opens that cannot be written")
			}
		})
		defer func() { j.Close() }()
		j = start()
		for _, side := range sides {
			side.recalled()
		}
	})
}
