// Command zonefile serves the names of a hosts file, forward and reverse.
//
//	zonefile -listen 127.0.0.1:5353 -domain lab.example hosts
package main

import (
	"bufio"
	"context"
	"flag"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"

	"github.com/gomaas/maas/dnssrv"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5353", "address and port")
	domain := flag.String("domain", "lab.example", "domain of the hosts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	change, err := read(flag.Arg(0), *domain)
	if err != nil {
		log.Fatal(err)
	}
	server := dnssrv.New(dnssrv.Config{})
	if err := server.Update(change); err != nil {
		log.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Println("serving", conn.LocalAddr())
	if err := server.ServePacket(ctx, conn); err != nil {
		log.Fatal(err)
	}
}

// read turns lines of "address name" into zones and records.
func read(file, domain string) (dnssrv.Change, error) {
	change := dnssrv.Change{Zones: []dnssrv.Zone{{Name: domain}}}
	f, err := os.Open(file)
	if err != nil {
		return change, err
	}
	defer f.Close()
	zones := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		addr, err := netip.ParseAddr(strings.Join(words[:min(1, len(words))], ""))
		if err != nil || len(words) < 2 {
			continue
		}
		kind := "AAAA"
		if addr.Is4() {
			kind = "A"
		}
		name := words[1] + "." + domain
		for _, zone := range dnssrv.ReverseZones(netip.PrefixFrom(addr, addr.BitLen())) {
			if !zones[zone] {
				zones[zone] = true
				change.Zones = append(change.Zones, dnssrv.Zone{Name: zone})
			}
		}
		change.Set = append(change.Set, dnssrv.RRset{Name: name, Type: kind, Data: []string{addr.String()}},
			dnssrv.RRset{Name: dnssrv.PTRName(addr), Type: "PTR", Data: []string{name}})
	}
	return change, nil
}
