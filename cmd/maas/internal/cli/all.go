package cli

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
)

// allCmd has a flag for each key of the configuration file.
type allCmd struct {
	Config     string   `help:"Configuration file; flags and MAAS_* variables win over it." type:"existingfile" placeholder:"FILE"`
	Data       string   `help:"Directory for everything that outlives a restart (default ${default_data})." placeholder:"DIR"`
	Interface  string   `help:"Interface to serve, several with commas, or all; may be left out when only one has an IPv4 address." placeholder:"IFACE"`
	Listen     string   `help:"Address and port of the API (default :5240)." placeholder:"ADDR:PORT"`
	TLS        string   `name:"tls" help:"off, self-signed, or files with --tls-cert and --tls-key (default off)."`
	TLSCert    string   `name:"tls-cert" help:"PEM file of the API's certificate with its chain." type:"path" placeholder:"FILE"`
	TLSKey     string   `name:"tls-key" help:"PEM file of its key." type:"path" placeholder:"FILE"`
	Racks      string   `help:"Address and port for racks of other hosts, such as :5250 (default: no such racks)." placeholder:"ADDR:PORT"`
	Address    []string `help:"Host and port at which they reach this daemon; this host's own when left out." placeholder:"HOST:PORT"`
	RackPort   int      `help:"Port of the HTTP boot server (default 5248)." placeholder:"PORT"`
	DHCPRange  string   `name:"dhcp-range" help:"Dynamic range; suggested from what is free when left out." placeholder:"FIRST-LAST"`
	Gateway    string   `help:"Default router of machines; this host's own when left out." placeholder:"ADDR"`
	DHCPForce  bool     `name:"dhcp-force" help:"Serve DHCP although another server answers."`
	NoDHCP     bool     `name:"no-dhcp" help:"Serve no DHCP."`
	DHCPMode   string   `name:"dhcp-mode" help:"Who gives addresses in networks that are new to the site: serve (this), proxy (another server), auto." placeholder:"MODE"`
	Domain     string   `help:"DNS domain of machines (default maas)."`
	Forwarder  []string `help:"Resolver for other names; those of this host when left out." placeholder:"ADDR"`
	DNSPort    int      `name:"dns-port" help:"Port of the DNS server (default 53)." placeholder:"PORT"`
	Kernel     string   `help:"Kernel that machines boot unless told otherwise." type:"path" placeholder:"FILE"`
	Initrd     []string `help:"Its initial RAM disks." type:"path" placeholder:"FILE"`
	Cmdline    string   `help:"Its command line." placeholder:"TEXT"`
	Loaders    string   `help:"Directory of boot loaders; the places of Debian's packages when left out." type:"path" placeholder:"DIR"`
	ProxyPort  int      `help:"Port of the HTTP proxy (default 8000)." placeholder:"PORT"`
	NoProxy    bool     `name:"no-http-proxy" help:"Run no HTTP proxy, until enable_http_proxy is set again."`
	ProxyLog   string   `name:"proxy-log" help:"File for the proxy's access log in common format, or log for the daemon's own." placeholder:"FILE"`
	HTTPParent string   `name:"parent-proxy" help:"Proxy to go through." placeholder:"URL"`
	LogLevel   string   `help:"debug, info, warn or error (default info)."`
	LogFormat  string   `help:"text or json (default text on a terminal, json otherwise)."`
	Trace      string   `name:"trace-endpoint" help:"Collector of OpenTelemetry traces, by OTLP over HTTP, such as http://collector.example:4318 (default none, unless OTEL_EXPORTER_OTLP_ENDPOINT names one)." placeholder:"URL"`
}

// config joins file and flags.
func (c *allCmd) config() (config.Config, error) {
	var base config.Config
	if c.Config != "" {
		var err error
		if base, err = config.Load(c.Config); err != nil {
			return base, err
		}
	}
	cfg := config.Overlay(base, config.Config{
		Data: c.Data, Interface: c.Interface,
		Region: config.Region{Listen: c.Listen, Racks: c.Racks, Addresses: c.Address, TLS: c.TLS, TLSCert: c.TLSCert, TLSKey: c.TLSKey}, Rack: config.Rack{Port: c.RackPort},
		DHCP:  config.DHCP{Range: c.DHCPRange, Gateway: c.Gateway, Force: c.DHCPForce, Disable: c.NoDHCP, Mode: c.DHCPMode},
		DNS:   config.DNS{Domain: c.Domain, Forwarders: c.Forwarder, Port: c.DNSPort},
		Boot:  config.Boot{Kernel: c.Kernel, Initrd: c.Initrd, Cmdline: c.Cmdline, Loaders: c.Loaders},
		Proxy: config.Proxy{Port: c.ProxyPort, Parent: c.HTTPParent, Disable: c.NoProxy, AccessLog: c.ProxyLog},
		Log:   config.Log{Level: c.LogLevel, Format: c.LogFormat},
		Trace: config.Trace{Endpoint: c.Trace},
	})
	return cfg, cfg.Check()
}

// Run is called by the parser when the command was given.
func (c *allCmd) Run(ctx context.Context, io stdio) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	return daemon.All(ctx, cfg, liveLogger(ctx, io.err, cfg.Log, c.config), daemon.Notify(ctx))
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
