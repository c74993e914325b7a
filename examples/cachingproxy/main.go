// Command cachingproxy is an HTTP proxy for the machines of some networks. It keeps packages and
// images in a directory, and fetches each once however many ask at the same time.
//
//	cachingproxy -listen :8000 -cache /var/cache/proxy 192.0.2.0/24
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"github.com/gomaas/maas/proxy"
)

func main() {
	listen := flag.String("listen", ":8000", "address and port")
	dir := flag.String("cache", "cache", "directory to keep objects in")
	local := flag.String("allow-local", "", "loopback or link-local network that may be reached, for trials")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var policy proxy.Policy // all other clients are refused
	for _, text := range flag.Args() {
		network, err := netip.ParsePrefix(text)
		check(err)
		policy.Allow = append(policy.Allow, network)
	}
	if *local != "" {
		network, err := netip.ParsePrefix(*local)
		check(err)
		policy.AllowLocal = append(policy.AllowLocal, network)
	}
	check(os.MkdirAll(*dir, 0o750))
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: *dir})
	check(err)
	defer cache.Close()
	p := proxy.New(proxy.Config{Cache: cache, Log: slog.Default()})
	check(p.Update(policy))
	l, err := net.Listen("tcp", *listen)
	check(err)
	log.Println("serving", l.Addr())
	server := http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
