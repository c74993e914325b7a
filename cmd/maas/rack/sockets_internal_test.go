package rack

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

// An address that several servers share is named once: what is opened for each address would find its
// own port taken.
func TestSocketsNameEachAddressOnce(t *testing.T) {
	var s Sockets
	defer s.Close()
	for _, addr := range []string{"127.0.0.1:0", "127.0.0.2:0"} {
		packets, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		s.TFTP, s.HTTP = append(s.TFTP, packets), append(s.HTTP, stream)
	}
	want := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	if got := s.addresses(); !slices.Equal(got, want) {
		t.Errorf("the addresses are %v, want %v", got, want)
	}
}
