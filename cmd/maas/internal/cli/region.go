package cli

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/region"
)

// regionCmd is the group `maas region`.
type regionCmd struct {
	Run   regionRunCmd `cmd:"" default:"withargs" help:"Run a region, without a rack."`
	Token tokenCmd     `cmd:"" help:"Manage the tokens with which racks join."`
}

// regionRunCmd has a flag for each key of the configuration file that a region reads.
type regionRunCmd struct {
	fileFlags
	Name string `help:"Name of this region within the site (default: the name of the host)." placeholder:"NAME"`
	apiFlags
	Racks    string   `help:"Address and port for racks (default :5250)." placeholder:"ADDR:PORT"`
	Address  []string `help:"Host and port at which racks reach this region (default: the addresses of this host)." placeholder:"HOST:PORT"`
	Database string   `help:"Database, such as postgres://maas@db/maas for several regions (default: a file in the data directory)." placeholder:"URL"`
	nameFlags
	Kernel     string   `help:"Kernel of the default boot profile. Racks fetch it." type:"path" placeholder:"FILE"`
	Initrd     []string `help:"Initial RAM disks of the kernel." type:"path" placeholder:"FILE"`
	Cmdline    string   `help:"Command line of the kernel." placeholder:"TEXT"`
	Files      string   `help:"Directory of your own boot files, which profiles name by their paths in it." type:"path" placeholder:"DIR"`
	ProxyPort  int      `help:"Port of the HTTP proxy of racks (default 8000)." placeholder:"PORT"`
	NoProxy    bool     `name:"no-http-proxy" help:"Do not run the HTTP proxy until enable_http_proxy is set again."`
	HTTPParent string   `name:"parent-proxy" help:"Upstream proxy of the HTTP proxy." placeholder:"URL"`
	logFlags
}

// Run runs the command.
func (c *regionRunCmd) Run(ctx context.Context, io stdio) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	return daemon.Region(ctx, cfg, liveLogger(ctx, io.err, cfg.Log, c.config), daemon.Notify(ctx))
}

// config joins file and flags.
func (c *regionRunCmd) config() (config.Config, error) {
	cfg := config.Config{
		Region: config.Region{Name: c.Name, Racks: c.Racks, Addresses: c.Address, Database: c.Database},
		Boot:   config.Boot{Kernel: c.Kernel, Initrd: c.Initrd, Cmdline: c.Cmdline, Files: c.Files},
		Proxy:  config.Proxy{Port: c.ProxyPort, Parent: c.HTTPParent, Disable: c.NoProxy},
	}
	c.apiFlags.into(&cfg)
	c.nameFlags.into(&cfg)
	c.logFlags.into(&cfg)
	return c.join(cfg)
}

// tokenCmd is the group `maas region token`, which only the region's host may use.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Create a token and print it. One rack can join with it, once."`
	List   tokenListCmd   `cmd:"" help:"List all tokens, including used and expired ones."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token. A rack that has joined with it stays."`
}

// tokenCreateCmd is `maas region token create`.
type tokenCreateCmd struct {
	remote
	Zone string        `help:"Availability zone of the rack (default the first one)."`
	Rack string        `help:"The only rack name that may join with the token (default: any unused name)." placeholder:"NAME"`
	TTL  time.Duration `name:"ttl" default:"1h" help:"Lifetime of the token."`

	Network        []netip.Prefix `help:"Network that the rack may serve; may be repeated." placeholder:"CIDR"`
	BMC            []netip.Prefix `name:"bmc" help:"Network of BMCs that the rack switches, and whose passwords it is sent; may be repeated." placeholder:"CIDR"`
	AcceptNetworks bool           `help:"Let the rack serve all networks that its host has when it joins. Later ones wait for maas rack accept."`
}

// Run runs the command.
func (c tokenCreateCmd) Run(ctx context.Context, io stdio) error {
	var t region.TokenInfo
	form := url.Values{
		"zone": {c.Zone}, "rack": {c.Rack}, "ttl": {c.TTL.String()}, "network": prefixTexts(c.Network), "bmc_network": prefixTexts(c.BMC),
		"open": {strconv.FormatBool(c.AcceptNetworks)},
	}
	if err := c.post(ctx, region.TokensPath, form, &t); err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, t, "", nil)
	}
	_, err := fmt.Fprintln(io.out, t.Token)
	return err
}

// tokenListCmd is `maas region token list`.
type tokenListCmd struct{ remote }

// Run runs the command.
func (c tokenListCmd) Run(ctx context.Context, io stdio) error {
	var tokens []region.TokenInfo
	if err := c.get(ctx, region.TokensPath, &tokens); err != nil {
		return err
	}
	return c.print(io.out, tokens, "ID\tZONE\tFOR RACK\tNETWORKS\tEXPIRES\tUSED BY", func(row func(...string)) {
		for _, t := range tokens {
			networks := strings.Join(prefixTexts(t.Networks), " ")
			if t.Open {
				networks = strings.TrimSpace(networks + " as registered")
			}
			row(fmt.Sprint(t.ID), t.Zone, t.Rack, networks, stamp(t.Expires), t.UsedBy)
		}
	})
}

// prefixTexts returns networks as text.
func prefixTexts(networks []netip.Prefix) (out []string) {
	for _, n := range networks {
		out = append(out, n.String())
	}
	return out
}

// stamp formats a time. The zero time is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// tokenRevokeCmd is `maas region token revoke`.
type tokenRevokeCmd struct {
	remote
	ID int64 `arg:"" help:"ID of the token, as listed."`
}

// Run runs the command.
func (c tokenRevokeCmd) Run(ctx context.Context) error {
	return c.call(ctx, "DELETE", fmt.Sprintf("%s/%d", region.TokensPath, c.ID), nil, "", nil)
}
