package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/store/inventory"
)

// rackCmd is the group `maas rack`.
type rackCmd struct {
	Run    rackRunCmd    `cmd:"" default:"withargs" help:"Run a rack whose region is another process."`
	List   rackListCmd   `cmd:"" help:"List the racks."`
	Show   showCmd       `cmd:"" help:"Show one rack."`
	Update updateCmd     `cmd:"" help:"Move one to another zone."`
	Delete deleteCmd     `cmd:"" help:"Delete racks that are stopped or revoked."`
	Revoke rackRevokeCmd `cmd:"" help:"Revoke a rack's certificate at once, and list the secrets to replace. The rack needs a new token to return."`

	Proposals rackProposalsCmd `cmd:"" help:"List the networks that racks have and were not given."`
	Accept    rackDecideCmd    `cmd:"" help:"Let a rack serve networks that it proposes."`
	Ignore    rackDecideCmd    `cmd:"" help:"Keep networks that a rack proposes from being reported again."`
	Assign    rackAssignCmd    `cmd:"" help:"Give a rack networks to serve, or of BMCs to switch, or take them back."`
	Exposed   rackExposedCmd   `cmd:"" help:"List the secrets that a rack could have been sent."`
	Rotate    rackRotateCmd    `cmd:"" help:"Replace the DNS keys that a rack holds. Prints what parents of zones and holders of keys need."`
}

// rackRunCmd has a flag for each key of the configuration file that a rack reads.
type rackRunCmd struct {
	EnrolFile string `help:"File with a token from maas region token create, to join a site; - reads standard input. Needed once. The variable MAAS_ENROL_TOKEN can have the token instead." placeholder:"FILE"`
	Name      string `help:"Name of this rack (default: the name of the host)."`
	fileFlags
	Interface string `help:"Interface to serve, several separated by commas, or all (default: the only interface with an IPv4 address)." placeholder:"IFACE"`
	RackPort  int    `help:"Port of the HTTP boot server (default 5248)." placeholder:"PORT"`
	bootLogFlags
	DHCPRange string `name:"dhcp-range" help:"Dynamic range, if the network is new to the site (default: suggested from free addresses)." placeholder:"FIRST-LAST"`
	Gateway   string `help:"Default router of machines, if the network is new to the site (default: the router of this host)." placeholder:"ADDR"`
	dhcpFlags
	DNSPort  int      `name:"dns-port" help:"Port of the DNS server (default 53)." placeholder:"PORT"`
	Kernel   string   `help:"File of the kernel that the region names; without it, the region's is fetched." type:"path" placeholder:"FILE"`
	Initrd   []string `help:"Initial RAM disks of the kernel." type:"path" placeholder:"FILE"`
	Loaders  string   `help:"Directory of boot loaders (default: the directories of Debian's packages)." type:"path" placeholder:"DIR"`
	Files    string   `help:"Directory of boot files of this host, which are served before those of the region." type:"path" placeholder:"DIR"`
	Cache    int      `help:"Disk space for boot files of the region, in GiB (default 20)." placeholder:"GIB"`
	ProxyLog string   `name:"proxy-log" help:"File for the proxy's access log in common log format, or log for the daemon's log." placeholder:"FILE"`
	logFlags
}

// Run runs the command.
func (c *rackRunCmd) Run(ctx context.Context, io stdio) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	token, err := enrolToken(c.EnrolFile, cfg.Data)
	if err != nil {
		return err
	}
	log := liveLogger(ctx, io.err, cfg.Log, c.config)
	return daemon.Rack(ctx, cfg, daemon.RackOptions{Enrol: token, Version: Version}, log, daemon.Notify(ctx))
}

// config joins file and flags.
func (c *rackRunCmd) config() (config.Config, error) {
	cfg := config.Config{
		Interface: c.Interface,
		Rack:      config.Rack{Name: c.Name, Port: c.RackPort},
		DHCP:      config.DHCP{Range: c.DHCPRange, Gateway: c.Gateway},
		DNS:       config.DNS{Port: c.DNSPort},
		Boot:      config.Boot{Kernel: c.Kernel, Initrd: c.Initrd, Loaders: c.Loaders, Files: c.Files, Cache: c.Cache},
		Proxy:     config.Proxy{AccessLog: c.ProxyLog},
	}
	c.dhcpFlags.into(&cfg)
	c.logFlags.into(&cfg)
	c.bootLogFlags.into(&cfg)
	return c.join(cfg)
}

// rackListCmd is `maas rack list`; on the region's host it shows more than the API does.
type rackListCmd struct{ remote }

// Run runs the command.
func (c rackListCmd) Run(ctx context.Context, io stdio) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if cl.URL != "" { // only the command socket answers this
		return listCmd{remote: c.remote}.list(ctx, io.out, target{resource: resourceNamed("rack"), client: cl}, nil)
	}
	var racks []region.RackInfo
	if err := c.get(ctx, region.RacksPath, &racks); err != nil {
		return err
	}
	return c.print(io.out, racks, "RACK\tZONE\tSTATE\tVERSION\tREGION\tSERVICES\tWAITING\tHEARD\tADDRESSES\tCERTIFICATE UNTIL", func(row func(...string)) {
		for _, r := range racks {
			state := "away"
			switch {
			case r.Revoked:
				state = "revoked"
			case r.Connected && len(r.Waiting) > 0:
				state = "connected, proposes " + strings.Join(prefixTexts(r.Waiting), " ")
			case r.Connected:
				state = "connected"
			}
			row(r.Name, r.Zone, state, r.Report.Version, r.Region, servicesOf(r.Report), fmt.Sprint(r.Report.Waiting), stamp(r.Heard),
				strings.Join(r.Addresses, " "), stamp(r.Certificate))
		}
	})
}

// servicesOf lists a rack's servers, with the fault of those that have one. It leaves out servers
// that are off.
func servicesOf(r inventory.RackReport) string {
	var out []string
	for _, s := range r.Services {
		switch s.Status {
		case "running":
			out = append(out, s.Name)
		case "off":
		default:
			out = append(out, s.Name+":"+s.Status)
		}
	}
	return strings.Join(out, " ")
}

// rackRevokeCmd is `maas rack revoke`.
type rackRevokeCmd struct {
	remote
	Name string `arg:"" help:"Name of the rack."`
}

// Run runs the command.
func (c rackRevokeCmd) Run(ctx context.Context, io stdio) error {
	var e region.Exposed
	if err := c.post(ctx, region.RacksPath+"/"+url.PathEscape(c.Name)+"/revoke", nil, &e); err != nil {
		return err
	}
	return c.printExposed(io, c.Name, e)
}
