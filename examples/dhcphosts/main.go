// Command dhcphosts gives addresses to the machines of a file with lines of "MAC address name", and
// ignores all others. The file is read anew for each client, as a database would be.
//
//	sudo dhcphosts -interface eth1 -address 192.0.2.1/24 hosts
package main

import (
	"bufio"
	"context"
	"flag"
	"log"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
)

// hosts is a file. It implements dhcpsrv.Hosts: other clients do not wait while it is read.
type hosts string

func (h hosts) LookupHost(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
	f, err := os.Open(string(h))
	if err != nil {
		return dhcpsrv.Host{}, err // the client gets no answer, and the log has the error
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 || !strings.EqualFold(words[0], q.MAC.String()) {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		return dhcpsrv.Host{Addr: addr, Hostname: words[2], Keep: time.Minute}, err
	}
	return dhcpsrv.Host{Action: dhcpsrv.HostIgnore}, nil
}

func main() {
	link := flag.String("interface", "eth1", "interface to serve")
	address := flag.String("address", "192.0.2.1/24", "address of the interface")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	prefix, err := netip.ParsePrefix(*address)
	check(err)
	server, err := dhcpsrv.New(dhcpsrv.Config{Hosts: hosts(flag.Arg(0)), Log: slog.Default()})
	check(err)
	check(server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "lab", Prefix: prefix.Masked(), Link: *link, Server: prefix.Addr(),
	}}}))
	conn, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{*link}})
	check(err)
	check(server.Serve(ctx, conn))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
