// Command ipamonly gives out the addresses of a network, and keeps in a file who has which.
//
//	ipamonly -network 192.0.2.0/24 addresses next node1
//	ipamonly -network 192.0.2.0/24 addresses release 192.0.2.1
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"

	"github.com/gomaas/maas/ipam"
)

func main() {
	log.SetFlags(0)
	network := flag.String("network", "192.0.2.0/24", "network to give addresses of")
	gateway := flag.String("gateway", "", "address of the gateway, which is not given out")
	flag.Parse()
	ctx := context.Background()
	subnet := ipam.Subnet{}
	var err error
	subnet.Prefix, err = netip.ParsePrefix(*network)
	check(err)
	if *gateway != "" {
		subnet.Gateway, err = netip.ParseAddr(*gateway)
		check(err)
	}

	journal, err := ipam.OpenJournal(flag.Arg(0))
	check(err)
	defer journal.Close()
	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: ipam.Usage{Subnet: subnet}, Ledger: journal})
	check(err)
	switch flag.Arg(1) {
	case "next":
		addr, err := pool.Next(ctx, flag.Arg(2))
		check(err)
		fmt.Println(addr) // on disk by now
	case "release":
		addr, err := netip.ParseAddr(flag.Arg(2))
		check(err)
		check(pool.Release(ctx, addr))
	case "list":
		for addr, err := range journal.Addrs(ctx, subnet.Prefix) {
			check(err)
			key, err := journal.Holder(ctx, addr)
			check(err)
			fmt.Println(addr, key)
		}
	default:
		log.Fatal("write next NAME, release ADDRESS or list after the file")
	}
	fmt.Println(pool.Statistics())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
