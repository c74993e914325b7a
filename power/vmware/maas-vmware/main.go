// Command maas-vmware serves virtual machines of VMware vSphere as BMCs, for maas and for any other
// client of Redfish or of MAAS' webhook:
//
//	maas-vmware -file machines.json -listen 192.0.2.1:8443 -cert cert.pem -key key.pem
//
// The file names machines with the parameters of the power type vmware, and accounts:
//
//	{"accounts": [{"User": "maas", "Password": "..."}],
//	 "machines": {"web-1": {"power_address": "vcenter.example", "power_user": "...",
//	  "power_pass": "...", "power_vm_name": "web-1"}}}
//
// In maas, such a machine has the power type redfish with node_id=web-1, or webhook with the URLs
// https://192.0.2.1:8443/machines/web-1/on, /off and /state.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/bmcserve"
	"github.com/gomaas/maas/power/vmware"
)

type file struct {
	Accounts []bmcserve.Account      `json:"accounts"`
	Machines map[string]power.Params `json:"machines"`
}

func main() {
	path, listen := flag.String("file", "machines.json", "file with machines and accounts"), flag.String("listen", "127.0.0.1:8080", "address to listen at")
	cert, key := flag.String("cert", "", "file with the TLS certificate"), flag.String("key", "", "file with its key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *path, *listen, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, "maas-vmware:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path, listen, cert, key string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	server, err := newServer(f, log)
	if err != nil {
		return err
	}
	defer server.Close()
	var config *tls.Config
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	} else if at, err := netip.ParseAddrPort(listen); err != nil || !at.Addr().IsLoopback() {
		return errors.New("without -cert and -key only an address of loopback is listened at, since passwords would cross the network in the clear")
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	log.Info("machines served", "address", ln.Addr().String(), "count", len(f.Machines))
	return server.Serve(ctx, ln, config)
}

func newServer(f file, log *slog.Logger) (*bmcserve.Server, error) {
	kind := vmware.Kind()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(kind), Log: log})
	if err != nil {
		return nil, err
	}
	var targets []power.Target
	var names []string
	for name, params := range f.Machines {
		if _, err := kind.Check(params); err != nil {
			return nil, fmt.Errorf("machine %s: %w", name, err)
		}
		names, targets = append(names, name), append(targets, power.Target{Name: name, Kind: kind.Name, Params: params})
	}
	return bmcserve.New(bmcserve.Config{
		Power: bmcserve.Local(c, targets...), Machines: names, Accounts: f.Accounts, Log: log,
		Audit: func(e bmcserve.Entry) {
			log.Info("BMC request", "proto", e.Protocol, "user", e.Account, "client", e.Source, "machine", e.Machine, "task", e.Action, "err", e.Err)
		},
	})
}
