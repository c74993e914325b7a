package daemon

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/gomaas/maas/cmd/maas/rack"
)

// passed are the listening sockets that the service manager opened for this process, as
// sd_listen_fds(3) has it: clients wait in them while it starts or restarts, and are not refused.
var passed = sync.OnceValues(activation.Listeners)

// listenTCP opens a socket, or takes the one for this address that the service manager opened.
func listenTCP(ctx context.Context, what, address string) (net.Listener, error) {
	all, err := passed()
	if err != nil {
		return nil, err
	}
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, rack.ExplainPort(err, what, "tcp", address)
	}
	for _, ln := range all {
		if ln == nil {
			continue // of another kind
		}
		if have, is := ln.Addr().(*net.TCPAddr); is && sameSocket(have.AddrPort(), want.AddrPort()) {
			return ln, nil
		}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, rack.ExplainPort(err, what, "tcp", address)
	}
	return ln, nil
}

// sameSocket reports whether two addresses are one to listen on. That of all addresses has several
// forms.
func sameSocket(a, b netip.AddrPort) bool {
	all := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	return a.Port() == b.Port() && (a.Addr().Unmap() == b.Addr().Unmap() || all(a.Addr()) && all(b.Addr()))
}
