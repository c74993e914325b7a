package dnssrv_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// A record is answered within milliseconds of its change, beside many others and while others ask.
func TestChangesAreAnsweredAtOnce(t *testing.T) {
	s := dnssrv.New(dnssrv.Config{})
	c := dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}}
	for i := range 100_000 {
		c.Set = append(c.Set, set(fmt.Sprintf("host%d.maas", i), "A", netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()))
	}
	update(t, s, c)
	server := serve(t, s)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		conn, err := net.Dial("udp", server)
		if err != nil {
			return
		}
		defer conn.Close()
		q, _ := new(dns.Msg).SetQuestion("host7.maas.", dns.TypeA).Pack()
		for buf := make([]byte, 1500); ; {
			select {
			case <-stop:
				return
			default:
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = conn.Write(q)
			_, _ = conn.Read(buf)
		}
	}()
	conn, err := dns.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var took []time.Duration
	for i := range 300 {
		name := fmt.Sprintf("new%d.maas", i)
		started := time.Now()
		update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set(name, "A", "192.0.2.9")}})
		if err := conn.WriteMsg(new(dns.Msg).SetQuestion(name+".", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		if m, err := conn.ReadMsg(); err != nil || len(m.Answer) != 1 {
			t.Fatalf("%s is not answered at once: %v, %v", name, m, err)
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	t.Logf("from change to answer: median %v, p99 %v", took[len(took)/2], took[len(took)*99/100])
}
