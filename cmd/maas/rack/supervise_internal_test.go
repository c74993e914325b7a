package rack

import (
	"net"
	"testing"
)

// A socket opens again at its own address; one in memory cannot.
func TestReopen(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets.Close()
	streams.Close()
	conn, err := reopenPacket(packets)(t.Context())
	if err != nil || conn.LocalAddr().String() != packets.LocalAddr().String() {
		t.Fatalf("%v %v", conn, err)
	}
	conn.Close()
	ln, err := reopenStream(streams)(t.Context())
	if err != nil || ln.Addr().String() != streams.Addr().String() {
		t.Fatalf("%v %v", ln, err)
	}
	ln.Close()
	if _, err := again(nil, listenDHCPBoot)(t.Context()); err == nil {
		t.Error("without interfaces: no error")
	}
}
