// Command discoverprint prints the devices that it hears on the network, with their makers.
//
//	sudo discoverprint eth0          # no interface: all that are suitable
//	discoverprint -read lab.pcap     # what was on the wire when the capture was made
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/oui"
)

func main() {
	capture := flag.String("read", "", "capture of tcpdump or Wireshark to read")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := discovery.Config{Interfaces: flag.Args(), Sink: func(e discovery.Event) {
		d := e.Device
		fmt.Printf("%-9s %-8s %-39s %s %-30s %s\n", e.Kind, d.Interface, d.Addr, d.MAC, oui.Lookup(d.MAC[:]), d.Hostname())
	}}
	err := error(nil)
	if *capture != "" {
		err = replay(*capture, cfg)
	} else {
		err = discovery.Watch(ctx, cfg)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func replay(path string, cfg discovery.Config) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return discovery.Replay(f, cfg)
}
