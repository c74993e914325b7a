package cli

import (
	"context"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
)

// allCmd has a flag for each key of the configuration file.
type allCmd struct {
	fileFlags
	Interface string `help:"Interface to serve, several separated by commas, or all (default: the only interface with an IPv4 address)." placeholder:"IFACE"`
	apiFlags
	Racks    string   `help:"Address and port for racks on other hosts, such as :5250 (default: none)." placeholder:"ADDR:PORT"`
	Address  []string `help:"Host and port at which those racks reach this daemon (default: the addresses of this host)." placeholder:"HOST:PORT"`
	RackPort int      `help:"Port of the HTTP boot server (default 5248)." placeholder:"PORT"`
	bootLogFlags
	DHCPRange string `name:"dhcp-range" help:"Dynamic range (default: suggested from free addresses)." placeholder:"FIRST-LAST"`
	Gateway   string `help:"Default router of machines (default: the router of this host)." placeholder:"ADDR"`
	dhcpFlags
	nameFlags
	DNSPort    int      `name:"dns-port" help:"Port of the DNS server (default 53)." placeholder:"PORT"`
	Kernel     string   `help:"Kernel of the default boot profile." type:"path" placeholder:"FILE"`
	Initrd     []string `help:"Initial RAM disks of the kernel." type:"path" placeholder:"FILE"`
	Cmdline    string   `help:"Command line of the kernel." placeholder:"TEXT"`
	Loaders    string   `help:"Directory of boot loaders (default: the directories of Debian's packages)." type:"path" placeholder:"DIR"`
	Files      string   `help:"Directory of your own boot files, which profiles name by their paths in it." type:"path" placeholder:"DIR"`
	Cache      int      `help:"Disk space for boot files of the region, in GiB (default 20)." placeholder:"GIB"`
	ProxyPort  int      `help:"Port of the HTTP proxy (default 8000)." placeholder:"PORT"`
	NoProxy    bool     `name:"no-http-proxy" help:"Do not run the HTTP proxy until enable_http_proxy is set again."`
	ProxyLog   string   `name:"proxy-log" help:"File for the proxy's access log in common log format, or log for the daemon's log." placeholder:"FILE"`
	HTTPParent string   `name:"parent-proxy" help:"Upstream proxy of the HTTP proxy." placeholder:"URL"`
	logFlags
}

// config joins file and flags.
func (c *allCmd) config() (config.Config, error) {
	cfg := config.Config{
		Interface: c.Interface,
		Region:    config.Region{Racks: c.Racks, Addresses: c.Address},
		Rack:      config.Rack{Port: c.RackPort},
		DHCP:      config.DHCP{Range: c.DHCPRange, Gateway: c.Gateway},
		DNS:       config.DNS{Port: c.DNSPort},
		Boot:      config.Boot{Kernel: c.Kernel, Initrd: c.Initrd, Cmdline: c.Cmdline, Loaders: c.Loaders, Files: c.Files, Cache: c.Cache},
		Proxy:     config.Proxy{Port: c.ProxyPort, Parent: c.HTTPParent, Disable: c.NoProxy, AccessLog: c.ProxyLog},
	}
	c.apiFlags.into(&cfg)
	c.dhcpFlags.into(&cfg)
	c.nameFlags.into(&cfg)
	c.logFlags.into(&cfg)
	c.bootLogFlags.into(&cfg)
	return c.join(cfg)
}

// Run runs the command.
func (c *allCmd) Run(ctx context.Context, io stdio) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	return daemon.All(ctx, cfg, Version, liveLogger(ctx, io.err, cfg.Log, c.config), daemon.Notify(ctx))
}
