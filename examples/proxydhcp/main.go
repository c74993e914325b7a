// Command proxydhcp boots machines beside a DHCP server that gives them their addresses and knows
// nothing of it: it adds what to boot, and serves it by TFTP and HTTP.
//
//	sudo proxydhcp -kernel vmlinuz -initrd initrd.img eth1
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

func main() {
	kernel := flag.String("kernel", "vmlinuz", "kernel to boot")
	initrd := flag.String("initrd", "initrd.img", "its initial RAM disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	files := pxe.FileMap{"kernel": *kernel, "initrd": *initrd}
	if err := files.Check(); err != nil {
		log.Fatal(err)
	}
	// It is asked for each machine; all get one profile here.
	resolver := pxe.ResolverFunc(func(_ context.Context, r pxe.Request) (pxe.Profile, error) {
		log.Println("boots", r.MAC)
		return pxe.Profile{Kernel: "kernel", Initrd: []string{"initrd"}, Cmdline: "console=ttyS0"}, nil
	})
	err := pxedhcp.Serve(ctx, pxedhcp.Site{
		Interfaces: flag.Args(), Proxy: true, Log: slog.Default(),
		Boot: pxe.Config{Resolver: resolver, Files: files},
	})
	if err != nil {
		log.Fatal(err)
	}
}
