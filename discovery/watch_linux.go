package discovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sync/errgroup"
)

// onlyARP makes the kernel drop everything else before it is copied. The socket is bound to ARP already; the filter also
// cuts frames that are too short, and what is longer than an ARP packet needs.
var onlyARP = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherARP, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 64},
}

// Watch listens until ctx ends and then returns nil. It returns an error when an interface cannot be opened or is lost.
func Watch(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	conns := make([]*packet.Conn, 0, len(cfg.Interfaces))
	for _, name := range cfg.Interfaces {
		conn, err := open(name)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return err
		}
		conns = append(conns, conn)
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, conn := range conns {
		g.Go(func() error { return watch(ctx, cfg, cfg.Interfaces[i], conn) })
	}
	return g.Wait()
}

func open(name string) (*packet.Conn, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("discovery: interface %s: %w", name, err)
	}
	filter, err := bpf.Assemble(onlyARP)
	if err != nil {
		return nil, err
	}
	conn, err := packet.Listen(ifi, packet.Raw, etherARP, &packet.Config{Filter: filter})
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("discovery: interface %s: %w; listening needs root or CAP_NET_RAW", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("discovery: interface %s: %w", name, err)
	}
	return conn, nil
}

func watch(ctx context.Context, cfg Config, name string, conn *packet.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	buf := make([]byte, 128)
	for {
		n, _, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("discovery: interface %s: %w", name, err)
		}
		s, err := DecodeARP(buf[:n])
		if err != nil {
			cfg.Log.Debug("frame ignored", "interface", name, "err", err)
			continue
		}
		if event, ok := cfg.Table.See(name, s, time.Now()); ok {
			cfg.Sink(event)
		}
	}
}
