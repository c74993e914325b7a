// Command netboot boots whatever asks on the interfaces that it is given: DHCP, TFTP and HTTP in
// one small program.
//
//	sudo netboot -kernel vmlinuz -initrd initrd.img eth1
//
// It gives addresses out while no other DHCP server answers there.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

func main() {
	kernel := flag.String("kernel", "vmlinuz", "kernel to boot")
	initrd := flag.String("initrd", "initrd.img", "its initial RAM disk")
	cmdline := flag.String("cmdline", "console=ttyS0", "its command line")
	proxy := flag.Bool("proxy", false, "leave addresses to another DHCP server")
	flag.Parse()
	files := pxe.FileMap{"kernel": *kernel, "initrd": *initrd}
	if err := files.Check(); err != nil {
		log.Fatal(err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := pxedhcp.Serve(ctx, pxedhcp.Site{
		Interfaces: flag.Args(),
		Proxy:      *proxy,
		Boot: pxe.Config{
			Resolver: pxe.Static(pxe.Profile{Kernel: "kernel", Initrd: []string{"initrd"}, Cmdline: *cmdline}),
			Files:    files,
			Events:   func(e pxe.Event) { log.Println(e.MAC, e.Stage, e.Path, e.Err) },
		},
		Log: slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
}
