package wol_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/wol"
)

func TestPacketArrives(t *testing.T) {
	listener, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	target := power.Target{Kind: wol.Name, Params: power.Params{
		"mac_address": "52:54:00:12:34:56", "power_address": listener.LocalAddr().String(), "power_pass": "01:02:03:04:05:06",
	}}
	result, err := powertest.Controller(t, wol.Kind()).Ensure(t.Context(), target, power.On, power.Options{})
	if err != nil || result.State != power.Unknown {
		t.Fatalf("%+v, %v", result, err)
	}
	mac := []byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	want := append(append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...), 1, 2, 3, 4, 5, 6)
	for range 3 {
		b := make([]byte, 200)
		_ = listener.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := listener.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:n], want) {
			t.Fatalf("% x, %v", b[:n], err)
		}
	}
}

func TestOnlyOn(t *testing.T) {
	target := power.Target{Kind: wol.Name, Params: power.Params{"mac_address": "52:54:00:12:34:56"}}
	if _, err := powertest.Controller(t, wol.Kind()).Ensure(t.Context(), target, power.Off, power.Options{}); power.ClassOf(err) != power.Unsupported {
		t.Errorf("off: %v", err)
	}
	target.Params["mac_address"] = "52:54"
	if _, err := powertest.Controller(t, wol.Kind()).Query(t.Context(), target); power.ClassOf(err) != power.Settings {
		t.Errorf("bad MAC: %v", err)
	}
}

func ExamplePacket() {
	packet := wol.Packet(net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}, nil)
	fmt.Printf("%d octets: % x ...\n", len(packet), packet[:12])
	// Output: 102 octets: ff ff ff ff ff ff 52 54 00 12 34 56 ...
}

func ExampleKind() {
	registry := power.NewRegistry(wol.Kind())
	c, err := power.NewController(power.Config{Registry: registry})
	if err != nil {
		fmt.Println(err)
		return
	}
	state, err := c.Query(context.Background(), power.Target{Kind: "wol", Params: power.Params{"mac_address": "52:54:00:12:34:56"}})
	fmt.Println(state, err)
	// Output: unknown <nil>
}
