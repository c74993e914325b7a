// Command allinone is a whole site with a logger, mux, listener and power kind of its own; the API
// is below /maas/.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"

	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// plug is a power driver that only logs.
type plug struct{ *slog.Logger }

func (plug) PowerState(context.Context) (power.State, error) { return power.Unknown, nil }
func (p plug) SetPower(_ context.Context, state power.State) error {
	p.Info("switched", "to", state)
	return nil
}

func main() {
	iface, dir, log := os.Args[1], os.Args[2], slog.New(slog.NewJSONHandler(os.Stderr, nil)) // eth0, /var/lib/allinone
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	kinds := power.NewRegistry(power.Kind{Name: "plug", Title: "Plug", Open: func(context.Context, power.Params) (power.Driver, error) { return plug{log}, nil }})
	site, err := region.Open(ctx, region.Config{Dir: dir, Base: "/maas", Kinds: kinds, Log: log})
	check(err)
	defer site.Close()
	link, err := rack.FindLink(iface)
	check(err)
	_, err = site.Inventory().Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: iface, Address: link.Prefixes[0]})
	check(err)
	servers, err := rack.New(rack.Config{Name: "rack", Dir: dir + "/rack", Dial: site.Dial("rack"), Interfaces: []string{iface}, Power: power.Config{Registry: kinds}, Log: log})
	check(err)
	defer servers.Close()
	mux := http.NewServeMux()
	mux.Handle("/maas/", site.Handler())
	api := http.Server{Addr: ":8080", Handler: mux}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return site.Serve(ctx, region.Sockets{}) })
	g.Go(func() error { return servers.Serve(ctx, rack.Sockets{}) })
	g.Go(func() error { <-ctx.Done(); return api.Close() })
	g.Go(api.ListenAndServe)
	check(g.Wait())
}

func check(err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		panic(err)
	}
}
