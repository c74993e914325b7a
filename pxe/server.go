package pxe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/tftp"
)

// Config holds the settings of a Server. Only Resolver is required.
type Config struct {
	// Resolver chooses the profile of each machine.
	Resolver Resolver
	// Files holds kernels, initrds and images, served below /images/; nil serves none.
	Files fs.FS
	// Loaders holds shim, GRUB, iPXE and the like by the names of LoaderNames; nil means
	// DebianLoaders().
	Loaders fs.FS
	// Beside returns the path of the loader that a machine was handed in DHCP. What the machine
	// then asks for by a bare name is looked for beside that loader first: some firmware does not
	// show shim its own path, so that shim loads the next loader from the top. It must not block;
	// nil looks at the top only.
	Beside func(mac net.HardwareAddr) string
	// Methods is the table of boot methods; nil means Methods().
	Methods []firmware.Method
	// Quirks are the oddities of firmware that are allowed for; nil means Quirks().
	Quirks []firmware.Quirk
	// Identify finds machines by address; nil identifies only those that name themselves.
	Identify Identifier
	// Describe returns the description that a machine gave of itself in DHCP, such as
	// Clients.Describe. It completes Request.Arch, UUID and Method for loaders that do not send
	// them; nil leaves them unknown. It must not block.
	Describe func(mac net.HardwareAddr) (firmware.Client, bool)
	// Events receives every finished request, from many goroutines at once. It must not block long.
	// Nil drops them.
	Events func(Event)
	// Servers lists the boot servers that a machine can reach, in the order to try them, such as
	// both racks of its subnet. Scripts try the server that sent them first, then go on with the
	// others, see Endpoint.Others. It must not block; nil means that there are no others.
	Servers func(Request) []netip.Addr
	// Also are answers by pattern, for paths that are no boot files: "/metrics", "/metadata/" or
	// "/metadata/{mac}/user-data". Handlers see requests of all methods. A pattern is a path as in
	// http.ServeMux, without method and host. It is matched before boot files, against paths
	// without doubled slashes and dots only, so that the redirects of ServeMux never reach
	// firmware. Nil has none.
	Also map[string]http.Handler
	// ReportKey keys the nonces of {done}, by which reports of started systems are known to come
	// from a machine that was sent its script, see Event.Claimed. Empty means a random key, so that
	// after a restart the reports of earlier scripts are claims.
	ReportKey []byte
	// HTTPPort is the port clients reach Handler on; 0 means 5248. It is written into the scripts
	// of clients that came by TFTP.
	HTTPPort int
	// SyslogPort is the UDP port of this server that takes what machines log, such as one of package
	// bootlog; {syslog} in command lines names it. 0 means that none does, and {syslog} is empty.
	SyslogPort int

	// TFTPBlockSize, TFTPWindowSize and TFTPWindowBytes bound what is negotiated, see tftp.Config;
	// 0 means its defaults.
	TFTPBlockSize, TFTPWindowSize, TFTPWindowBytes int
	// TFTPSinglePort answers TFTP from the port of the request.
	TFTPSinglePort bool
	// TFTPAccept reports whether a client's TFTP requests are answered; nil answers all. See
	// tftp.Config.
	TFTPAccept func(client netip.Addr) bool
	// DialUDP opens the socket of a TFTP transfer; nil means net.DialUDP.
	DialUDP func(network string, laddr, raddr *net.UDPAddr) (*net.UDPConn, error)

	// MaxHTTP bounds the HTTP requests served at a time; further ones wait in order, a minute at
	// most. 0 means 512.
	MaxHTTP int
	// MaxHTTPPerClient bounds the requests of one address, so that clients whose connections are
	// stuck do not keep all places; 0 means 32. Machines behind one address, as of a proxy, share
	// them.
	MaxHTTPPerClient int
	// MaxConns bounds the connections of one listener of Serve, and MaxConnsPerClient those of one
	// address; an IPv6 /64 has half of all. At a bound, the connection that is idle longest is
	// closed. 0 means 4,096 and 256.
	MaxConns, MaxConnsPerClient int
	// HTTPRate paces each connection of Serve, in bytes per second; 0 does not. Some network cards
	// lose packets that iPXE's drivers never recover from when they come at line speed. Linux only,
	// by the kernel, at no cost.
	HTTPRate int
	// Log receives one line per refused or failed request, and debug lines; nil discards.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Resolver == nil {
		return c, errors.New("pxe: Config.Resolver is nil; pxe.Static(profile) serves one profile to all")
	}
	if c.HTTPPort == 0 {
		c.HTTPPort = firmware.DefaultHTTPPort
	}
	if c.MaxHTTP == 0 {
		c.MaxHTTP = 512
	}
	if c.MaxHTTPPerClient == 0 {
		c.MaxHTTPPerClient = 32
	}
	if c.MaxConns == 0 {
		c.MaxConns = 4096
	}
	if c.MaxConnsPerClient == 0 {
		c.MaxConnsPerClient = 256
	}
	if c.Quirks == nil {
		c.Quirks = firmware.Quirks()
	}
	if c.Methods == nil {
		c.Methods = firmware.Methods()
	}
	if c.Loaders == nil {
		c.Loaders = DebianLoaders()
	}
	if c.Events == nil {
		c.Events = func(Event) {}
	}
	if c.Identify == nil {
		c.Identify = IdentifierFunc(anonymous)
	}
	if c.Describe == nil {
		c.Describe = new(Clients).Describe
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, c.check()
}

// check reports the first field that is out of its range.
func (c Config) check() error {
	for _, q := range c.Quirks {
		if err := q.Check(); err != nil {
			return err
		}
	}
	if c.HTTPPort < 0 || c.HTTPPort > 65535 {
		return fmt.Errorf("pxe: Config.HTTPPort is %d, want 1 to 65535", c.HTTPPort)
	}
	if c.SyslogPort < 0 || c.SyslogPort > 65535 {
		return fmt.Errorf("pxe: Config.SyslogPort is %d, want 0 to 65535", c.SyslogPort)
	}
	if c.HTTPRate < 0 {
		return fmt.Errorf("pxe: Config.HTTPRate is %d, want 0 or more", c.HTTPRate)
	}
	if c.MaxHTTP < 0 {
		return fmt.Errorf("pxe: Config.MaxHTTP is %d, want 1 or more", c.MaxHTTP)
	}
	if c.MaxHTTPPerClient < 0 {
		return fmt.Errorf("pxe: Config.MaxHTTPPerClient is %d, want 1 or more", c.MaxHTTPPerClient)
	}
	if c.MaxConns < 0 || c.MaxConnsPerClient < 0 {
		return fmt.Errorf("pxe: Config.MaxConns is %d and MaxConnsPerClient is %d, want 1 or more", c.MaxConns, c.MaxConnsPerClient)
	}
	return nil
}

// failLines is the rate of log lines about failed requests, of which any host may send as many as
// it likes.
var failLines = bounds.Rate{Burst: 100, Every: time.Second}

// Server boots machines. Its methods may be used from many goroutines.
type Server struct {
	cfg   Config
	log   *slog.Logger
	fails *bounds.Log // of requests
	tftp  *tftp.Server
	http  *queue
	also  *also

	reports reporting
	files   fileCache
	media   media
}

// New checks cfg and makes a server; it opens and starts nothing.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Log, fails: bounds.NewLog(cfg.Log, failLines), http: newQueue(cfg.MaxHTTP, cfg.MaxHTTPPerClient), reports: newReporting(cfg.ReportKey)}
	if s.also, err = newAlso(cfg.Also); err != nil {
		return nil, err
	}
	s.tftp, err = tftp.New(tftp.Config{
		Handler:     tftp.HandlerFunc(s.openTFTP),
		BlockSize:   cfg.TFTPBlockSize,
		WindowSize:  cfg.TFTPWindowSize,
		WindowBytes: cfg.TFTPWindowBytes,
		SinglePort:  cfg.TFTPSinglePort,
		DialUDP:     cfg.DialUDP,
		Accept:      cfg.TFTPAccept,
		Known:       s.holds,
		Events:      s.dropped,
		Log:         cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("pxe: %w", err)
	}
	return s, nil
}

// holds reports whether an address is known to belong to a machine.
func (s *Server) holds(client netip.Addr) bool {
	_, ok := s.cfg.Identify.MACOf(client)
	return ok
}

// finish sends an event and logs what went wrong.
func (s *Server) finish(e *Event, err error) {
	e.Time = time.Now()
	if err != nil && !e.Absent {
		e.Err = err.Error()
		s.fails.Warn("boot request failed", "mac", e.MAC.String(), "ip", e.Addr, "proto", e.Proto, "path", e.Path, "err", err)
	} else if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.log.Debug("boot request", "mac", e.MAC.String(), "ip", e.Addr, "proto", e.Proto, "path", e.Path,
			"bytes", e.Bytes, "took", e.Duration, "result", map[bool]string{false: "ok", true: "absent"}[e.Absent])
	}
	s.cfg.Events(*e)
}
