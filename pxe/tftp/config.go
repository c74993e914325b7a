package tftp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Config holds the settings of a Server. Only Handler is required.
type Config struct {
	// Handler opens the files.
	Handler Handler

	// BlockSize is the largest block granted, 512-65464 bytes; 0 means 65464. Whatever it says, a
	// block is never larger than fits the path MTU unfragmented, unless AllowFragments is set.
	BlockSize int
	// AllowFragments grants blocks that need IP fragmentation.
	AllowFragments bool
	// WindowSize is the largest window granted, in blocks, 1-65535; 0 means 64 and 1 turns windows
	// off.
	WindowSize int
	// WindowBytes bounds window times block, which must fit the client's receive buffer or the
	// transfer collapses. 0 means 96 KiB for blocks that fit an Ethernet frame and 64 KiB for
	// larger ones, whose buffers waste more: both stay within Linux's default of 208 KiB, overhead
	// included.
	WindowBytes int

	// Silence is the time without a packet of the client after which its transfer ends; 0 means 30
	// s. A client that has acknowledged nothing yet is sent its first packet three times at most,
	// and has three seconds.
	Silence time.Duration
	// MaxTransfers bounds the transfers at a time; 0 means 1,024. Each takes a socket and twice its
	// window of memory, at least 34 KiB and by default at most 200 KiB.
	MaxTransfers int
	// MaxPerClient bounds the transfers at a time of one address; 0 means 32. Up to eight times as
	// many requests wait for them, in order. A request above a bound is not answered, so that the
	// client asks again. The last quarter of MaxTransfers is for files up to 1 MiB, so that a
	// machine's configuration does not wait for the kernels of others.
	//
	// A transfer whose client has acknowledged nothing gives way to a new one when places run out.
	// Clients that have never acknowledged anything have a quarter of the places.
	MaxPerClient int

	// Accept reports whether a client's requests are answered; others are ignored. It is called for
	// each request and must not block. Nil answers all.
	Accept func(client netip.Addr) bool
	// Known reports whether an address is known to belong to its client, such as by a lease of
	// DHCP. Other addresses must repeat a request whose first answer would be more than ten times
	// as large, as the first block of a loader is for a request without options, unless they have
	// acknowledged a transfer lately. It is called for each request and must not block. Nil knows
	// none.
	Known func(client netip.Addr) bool

	// SinglePort answers from the port of the request, for firewalls that do not know TFTP. It is
	// always so for conns that are not a *net.UDPConn.
	SinglePort bool
	// DialUDP opens the socket of a transfer, bound to laddr (port 0) and connected to raddr; nil
	// means net.DialUDP. It lets a server whose sockets live in another network namespace open
	// these there, too.
	DialUDP func(network string, laddr, raddr *net.UDPAddr) (*net.UDPConn, error)

	// Events receives every ended transfer, the failed and the refused ones too, unless its File
	// has Events of its own. It is called from the goroutine of the transfer and must not block
	// long. If nil, transfers are not reported.
	Events func(Transfer)
	// Log receives debug lines per transfer; nil discards.
	Log *slog.Logger
}

// withDefaults checks the config and fills in what is zero.
func (c Config) withDefaults() (Config, error) {
	if c.Handler == nil {
		return c, errors.New("tftp: Config.Handler is nil")
	}
	for _, f := range []struct {
		name      string
		v         *int
		def, a, b int
	}{
		{"BlockSize", &c.BlockSize, maxBlockSize, defaultBlockSize, maxBlockSize},
		{"WindowSize", &c.WindowSize, 64, 1, maxWindowSize},
		{"WindowBytes", &c.WindowBytes, 0, 0, 64 << 20},
		{"MaxTransfers", &c.MaxTransfers, 1024, 1, 1 << 20},
		{"MaxPerClient", &c.MaxPerClient, 32, 1, 1 << 20},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < f.a || *f.v > f.b {
			return c, fmt.Errorf("tftp: Config.%s is %d, want %d to %d", f.name, *f.v, f.a, f.b)
		}
	}
	if c.Silence == 0 {
		c.Silence = 30 * time.Second
	}
	if c.Silence < 0 {
		return c, fmt.Errorf("tftp: Config.Silence is %v, want more than 0", c.Silence)
	}
	if c.DialUDP == nil {
		c.DialUDP = net.DialUDP
	}
	if c.Accept == nil {
		c.Accept = func(netip.Addr) bool { return true }
	}
	if c.Known == nil {
		c.Known = func(netip.Addr) bool { return false }
	}
	if c.Events == nil {
		c.Events = func(Transfer) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
