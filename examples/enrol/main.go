// Command enrol lets racks into a site by a token, and keeps their certificates fresh.
//
//	enrol region 192.0.2.1:5250     # prints a token
//	enrol rack DIR NAME TOKEN       # on another host
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch {
	case len(os.Args) == 3 && os.Args[1] == "region":
		region(ctx, os.Args[2])
	case len(os.Args) == 5 && os.Args[1] == "rack":
		rack(ctx, os.Args[2], os.Args[3], os.Args[4])
	default:
		log.Fatal("write region ADDRESS:PORT, or rack DIR NAME TOKEN")
	}
}

// region forgets its racks when it ends: a lasting one keeps the CA, and has a Book in its
// database.
func region(ctx context.Context, listen string) {
	listener, err := net.Listen("tcp", listen)
	check(err)
	ca, err := enrol.NewCA()
	check(err)
	book, methods := new(enrol.MemBook), new(rpc.Methods)
	addresses := func(context.Context) ([]string, error) { return []string{listener.Addr().String()}, nil }
	authority, err := enrol.NewAuthority(enrol.AuthorityConfig{CA: ca, Book: book, Regions: addresses})
	check(err)
	authority.Offer(methods)
	rpc.Offer(methods, "hello", func(ctx context.Context, _ struct{}) (string, error) { return "hello, " + rpc.CallingRack(ctx), nil })
	server, err := wire.NewServer(authority.ServerConfig(rpc.NewRegion(rpc.RegionConfig{Methods: methods})))
	check(err)
	token, err := authority.NewToken(ctx, time.Now().Add(time.Hour))
	check(err)
	book.Add(token)
	fmt.Println(token)
	check(server.Serve(ctx, listener))
}

func rack(ctx context.Context, dir, name, text string) {
	token, err := enrol.ParseToken(text)
	check(err)
	identity, regions, err := enrol.Join(ctx, token, name)
	check(err)
	keeper, err := enrol.Keep(filepath.Join(dir, "identity.pem"), identity)
	check(err)
	keeper.Log = slog.Default()
	dialer := &wire.Dialer{Regions: func() []string { return regions }, TLS: keeper.TLS}
	region, err := dialer.Dial(ctx)
	check(err)
	answer, err := rpc.Do[string](ctx, region, "hello", struct{}{})
	check(err)
	fmt.Println(answer)
	_ = keeper.Run(ctx, region) // in a daemon, Connected of rpc.RackConfig, which dials again
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
