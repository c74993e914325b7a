package wire6_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// What is written can be read by another implementation.
func TestWriter(t *testing.T) {
	var w wire6.Writer
	w.Header(wire6.Reply, [3]byte{1, 2, 3})
	w.Option(wire6.OptServerID, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1})
	w.Open(wire6.OptIANA)
	w.Uint32(7)
	w.Uint32(300)
	w.Uint32(480)
	w.IAAddr(netip.MustParseAddr("2001:db8::7"), 500, 600)
	w.Status(wire6.StatusSuccess, "done")
	w.Close()
	w.Option(wire6.OptDomains, wire6.Domains([]string{"a.test.", "b..test"}))
	m, err := dhcpv6.MessageFromBytes(w.B)
	if err != nil {
		t.Fatal(err)
	}
	ia := m.Options.OneIANA()
	if ia.IaId != [4]byte{0, 0, 0, 7} || ia.Options.OneAddress().ValidLifetime.Seconds() != 600 || ia.Options.Status().StatusMessage != "done" {
		t.Errorf("IA %v", ia)
	}
	if diff := cmp.Diff([]string{"a.test", "b.test"}, m.Options.DomainSearchList().Labels); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := []byte{1, 0, 0, 0}
	for range 12 {
		var w wire6.Writer
		w.RelayHeader(&wire6.Relay{})
		w.B[0] = byte(wire6.RelayForward)
		w.Option(wire6.OptRelayMessage, deep)
		deep = w.B
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": {1, 2, 3}, "cut option header": {1, 0, 0, 0, 0, 1, 0}, "cut option": {1, 0, 0, 0, 0, 1, 0, 9, 1},
		"short relay": {12, 0, 0, 0, 0}, "relay of nothing": append([]byte{12}, make([]byte, 33)...), "too many relays": deep,
	} {
		if err := new(wire6.Msg).Parse(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
