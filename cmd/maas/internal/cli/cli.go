// Package cli is the command line of maas: it reads flags, and calls the daemon package, the
// demonstration, or a running daemon's API.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/try"
)

// Version is the version that `maas version` prints. The linker sets it for releases.
var Version = "development"

// commands are all commands with their flags. Every flag is also a MAAS_* variable.
type commands struct {
	All       allCmd       `cmd:"" help:"Run a region and a rack on one interface of this host."`
	Region    regionCmd    `cmd:"" help:"Run a region, or manage the tokens with which racks join."`
	Rack      rackCmd      `cmd:"" help:"Run a rack, or manage the racks of a region."`
	Try       tryCmd       `cmd:"" help:"Demonstrate maas: boot simulated machines from real servers on this host, without root."`
	Simulate  simulateCmd  `cmd:"" help:"Simulate sites in virtual time, with faults, and check what must hold."`
	Config    configCmd    `cmd:"" help:"Check configuration files."`
	Login     loginCmd     `cmd:"" help:"Log in to a site. Later commands use that site."`
	Logout    logoutCmd    `cmd:"" help:"Log out of a site."`
	Logins    loginsCmd    `cmd:"" help:"List the logged-in sites, or choose the site for later commands."`
	Machine   machineCmd   `cmd:"" help:"List, add, change and power machines."`
	BMC       bmcCmd       `cmd:"" name:"bmc" help:"Serve machines as BMCs."`
	Subnet    allVerbs     `cmd:"" help:"List, add and change subnets, named by CIDR, name or number."`
	Lease     leaseCmd     `cmd:"" help:"List the leases of DHCP, and keep their addresses for their clients."`
	Profile   profileCmd   `cmd:"" name:"boot-profile" help:"Manage boot profiles of machines, tags, subnets and the site."`
	UserData  userDataCmd  `cmd:"" name:"user-data" help:"Manage what machines read when their system first starts, such as cloud-config."`
	Image     imageCmd     `cmd:"" help:"Manage images of boot files: kernels and initrds by name."`
	Loader    loaderCmd    `cmd:"" help:"Show the boot loaders that firmware is handed."`
	Discovery discoveryCmd `cmd:"" help:"Show, scan for and add devices on the racks' networks."`
	Proxy     proxyCmd     `cmd:"" help:"Show, change and purge the HTTP proxy for machines."`
	Status    statusCmd    `cmd:"" help:"Show the site on one screen: racks, subnets, machines and recent warnings."`
	Events    eventsCmd    `cmd:"" help:"Show recent events, or follow new ones."`
	Doctor    doctorCmd    `cmd:"" help:"Check whether this host can serve machines, and print the cure of each problem."`
	Explain   explainCmd   `cmd:"" help:"Show what machines would get, and why."`
	Timeline  timelineCmd  `cmd:"" help:"Show a machine's boot step by step, and its state."`
	Apply     applyCmd     `cmd:"" help:"Apply a site document: all of it, or nothing."`
	Export    exportCmd    `cmd:"" help:"Write the site as a document for maas apply."`
	Import    importCmds   `cmd:"" help:"Translate the configuration of another server into a document for maas apply."`
	Settings  settingsCmd  `cmd:"" help:"List, read and change settings of the site."`
	Admin     adminCmd     `cmd:"" name:"createadmin" help:"Create an administrator. The daemon may run or not."`
	APIKey    apiKeyCmd    `cmd:"" name:"apikey" help:"Create, list or revoke the API keys of a user. The daemon may run or not."`
	Backup    backupCmd    `cmd:"" help:"Write all data of the site to a file. The daemon may run or not."`
	Restore   restoreCmd   `cmd:"" help:"Replace all data of the site with a backup. The daemon may run or not."`
	Rekey     rekeyCmd     `cmd:"" help:"Seal the secrets of the site with a new key while no region runs, even if the old key is lost."`
	Docs      docsCmd      `cmd:"" help:"Show a guide, list the guides, or search them."`
	Version   versionCmd   `cmd:"" help:"Show the version."`

	ShowVersion kong.VersionFlag `name:"version" env:"-" help:"Show the version."`

	Completion completionCmd `cmd:"" help:"Write a completion script for a shell."`
	Complete   completeCmd   `cmd:"" hidden:"" name:"__complete" passthrough:"" help:"Answer a shell's completion request."`
	Man        manCmd        `cmd:"" hidden:"" help:"Write the manual page."`
}

// stdio holds the outputs of a command. The parser passes it to Run methods.
type stdio struct{ out, err io.Writer }

// Main runs one command line and returns the exit status: 0 for success, 1 for a failure, 2 for a
// wrong command line.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	status := -1
	parser, err := newParser(kong.Writers(stdout, stderr), kong.Exit(func(code int) { status = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(stdio{stdout, stderr}))
	if err != nil {
		fmt.Fprintln(stderr, "maas:", err)
		return 1
	}
	if err := refuseSecrets(args); err != nil {
		fmt.Fprintln(stderr, "maas:", err)
		return 2
	}
	kctx, err := parser.Parse(args)
	if status >= 0 { // help was asked for
		return status
	}
	if err != nil {
		fmt.Fprintf(stderr, "maas: %s\n", misread(err))
		return 2
	}
	if err := kctx.Run(parser.Model); err != nil {
		fmt.Fprintln(stderr, "maas:", oneLine(err))
		return 1
	}
	return 0
}

// Parse returns, for each command line, why it is none of maas; nil if it is one. Nothing runs. The
// page of a site and the guides name commands, and their tests parse them. One parser reads all
// lines, since it takes long to make, and a line that it refuses is read by another one: a parser
// remembers flags that exclude others.
func Parse(lines ...[]string) []error {
	fresh := func() (*kong.Kong, error) {
		return newParser(kong.Exit(func(int) {}), kong.Writers(io.Discard, io.Discard))
	}
	errs := make([]error, len(lines))
	shared, err := fresh()
	for i, args := range lines {
		if errs[i] = err; err != nil {
			continue
		}
		if _, errs[i] = shared.Parse(args); errs[i] != nil {
			var again *kong.Kong
			if again, errs[i] = fresh(); errs[i] == nil {
				_, errs[i] = again.Parse(args)
			}
		}
	}
	return errs
}

// newParser builds the parser of all commands. Options of kong may be added, as tests do.
func newParser(more ...kong.Option) (*kong.Kong, error) {
	options := append(resourceCommands(), kong.Name("maas"),
		kong.Description("Provision bare metal: DHCP, network boot, DNS, power and the rest of the network's side."),
		kong.Vars(defaultVars()), kong.DefaultEnvars("MAAS"), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	parser, err := kong.New(&commands{}, append(options, more...)...)
	if err != nil {
		return nil, err
	}
	for _, r := range resources() {
		tellFields(parser.Model.Node, r)
	}
	addExamples(parser.Model.Node)
	return parser, nil
}

// tellFields adds the fields of a resource to the help of the commands that set them.
func tellFields(root *kong.Node, r *resource) {
	n := child(root, r.name)
	for _, verb := range []string{"create", "update"} {
		if n == nil || child(n, verb) == nil || len(r.fields) == 0 {
			continue
		}
		child(n, verb).Detail = "Names of values: " + strings.Join(r.fields, ", ") + "."
	}
}

// misread returns the error of a wrong command line and the command whose help explains it.
func misread(err error) string {
	text, command := oneLine(err), "maas"
	if bad := (*kong.ParseError)(nil); errors.As(err, &bad) && bad.Context != nil {
		if n := bad.Context.Selected(); n != nil {
			command = n.FullPath()
		} else if n := deepest(bad.Context); n != nil {
			command = n.FullPath()
		}
	}
	return text + "; see " + command + " --help"
}

// deepest returns the last command that was parsed, or nil.
func deepest(k *kong.Context) (n *kong.Node) {
	for _, p := range k.Path {
		if p.Command != nil {
			n = p.Command
		}
	}
	return n
}

// oneLine returns the error's text on one line, since scripts read messages by lines.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// versionCmd is `maas version`.
type versionCmd struct{}

// Run runs the command.
func (versionCmd) Run(io stdio) error {
	_, err := fmt.Fprintln(io.out, "maas", Version)
	return err
}

// configCmd is the group `maas config`.
type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Report the first mistake in a configuration file, with its line."`
}

// configCheckCmd is `maas config check`.
type configCheckCmd struct {
	File string `arg:"" help:"Configuration file." type:"path"`
}

// Run runs the command.
func (c configCheckCmd) Run(io stdio) error {
	if _, err := config.Load(c.File); err != nil {
		return err
	}
	_, err := fmt.Fprintln(io.out, c.File, "is fine")
	return err
}

// tryCmd is `maas try`.
type tryCmd struct {
	Machines int           `default:"3" help:"Number of machines to boot, up to 10,000."`
	BMCs     int           `name:"bmcs" help:"Number of BMCs, at least one for each machine. Behind each further one is a network card that starts from its own flash."`
	Racks    int           `help:"Number of rack controllers. Default: 1."`
	VLANs    int           `name:"vlans" help:"Number of networks, up to 32. Default: as many as the machines need."`
	Endure   time.Duration `help:"Afterwards keep a mixed load for that long: renewals, boots, names, proxy and changes. Shows whether memory, database and goroutines grow."`
	Clients  int           `default:"2000" help:"Number of further hosts that renew their leases during --endure, up to 30,000."`
	Keep     bool          `help:"Keep everything running afterwards, for exploration, and print the address of the page."`
	Open     bool          `help:"Open the page in a browser at once, and keep everything running."`
	JSON     bool          `name:"json" help:"Print a summary as JSON instead of a timeline: times by stage, failures, processor time and memory."`
}

// Run runs the command.
func (c tryCmd) Run(ctx context.Context, io stdio) error {
	return try.Run(ctx, try.Config{
		Machines: c.Machines, BMCs: c.BMCs, Racks: c.Racks, VLANs: c.VLANs, Endure: c.Endure, Clients: c.Clients, Keep: c.Keep || c.Open, Open: c.Open, Out: io.out, JSON: c.JSON,
	})
}
