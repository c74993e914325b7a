package netlab_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func TestVethCarriesPackets(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("bash", "bash"))
	lab := netlab.New(t)
	a, b := lab.NS("a"), lab.NS("b")
	lab.Veth(a, "eth0", b, "eth0")
	a.Addr("eth0", "192.0.2.1/24")
	b.Addr("eth0", "192.0.2.2/24")

	var ln net.Listener
	if err := a.Do(func() (err error) { ln, err = net.Listen("tcp", "192.0.2.1:7"); return err }); err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan []byte, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			done <- nil
			return
		}
		defer conn.Close()
		buf := make([]byte, 16)
		n, _ := conn.Read(buf)
		done <- buf[:n]
	}()
	if out, err := b.Command(t.Context(), "bash", "-c", "printf hello >/dev/tcp/192.0.2.1/7").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := <-done; !bytes.Equal(got, []byte("hello")) {
		t.Fatalf("got %q", got)
	}
}
