package pxe_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing/fstest"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// One profile for everyone, asked for as iPXE does.
func Example() {
	server, err := pxe.New(pxe.Config{
		Resolver: pxe.Static(pxe.Profile{
			Name:    "rescue",
			Kernel:  "vmlinuz",
			Initrd:  []string{"initrd.img"},
			Cmdline: "console=ttyS0 BOOTIF={bootif}",
		}),
		Files:  fstest.MapFS{"vmlinuz": {Data: []byte("kernel")}, "initrd.img": {Data: []byte("initrd")}},
		Events: func(e pxe.Event) { fmt.Println(e.Stage, e.MAC, e.Path) },
	})
	if err != nil {
		panic(err)
	}
	// In earnest: server.ServeTFTP(ctx, conn) and server.Serve(ctx, listener).
	web := httptest.NewServer(server.Handler())
	defer web.Close()

	for _, path := range []string{"/boot/52-54-00-12-34-56/script.ipxe", "/boot/52-54-00-12-34-56/kernel/vmlinuz"} {
		resp, err := http.Get(web.URL + path)
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	// Output:
	// config 52:54:00:12:34:56 /boot/52-54-00-12-34-56/script.ipxe
	// kernel 52:54:00:12:34:56 /boot/52-54-00-12-34-56/kernel/vmlinuz
}

// A resolver answers each machine, and says so when it has nothing for one.
func ExampleResolverFunc() {
	machines := map[string]pxe.Profile{
		"52:54:00:12:34:56": {Name: "disk", Kind: pxe.Local},
	}
	resolver := pxe.ResolverFunc(func(_ context.Context, r pxe.Request) (pxe.Profile, error) {
		if p, ok := machines[r.MAC.String()]; ok {
			return p, nil
		}
		return pxe.Profile{}, pxe.ErrNoProfile
	})
	p, err := resolver.Resolve(context.Background(), pxe.Request{MAC: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}})
	fmt.Println(p.Name, err)
	_, err = resolver.Resolve(context.Background(), pxe.Request{})
	fmt.Println(err)
	// Output:
	// disk <nil>
	// pxe: no boot profile: file does not exist
}

// What a machine's loader would read.
func ExampleRender() {
	text, err := pxe.Render(
		pxe.Profile{Name: "off", Kind: pxe.PowerOff},
		pxe.Request{MAC: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}, Config: firmware.IPXE},
		firmware.Endpoint{})
	fmt.Print(text, err)
	// Output:
	// #!ipxe
	// echo maas: poweroff off for 52-54-00-12-34-56
	// poweroff || exit 1
	// <nil>
}
