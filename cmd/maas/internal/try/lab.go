package try

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/store/inventory"
)

// lab is a site whose networks are simulated.
type lab struct {
	dir             string
	log             *slog.Logger
	region          *region.Region
	stopRegion      func() error
	api             string // loopback address of the region, for looking around
	client          client.Client
	vlans           []*vlan
	racks           []*station
	bmcs            []*powersim.BMC
	machines        []*boottest.Machine
	images, loaders fs.FS
	kernel, initrd  *boottest.Content // what machines should run
}

// newLab starts a region and racks. Networks are dealt to the racks in turn.
func newLab(ctx context.Context, dir string, cfg Config, log *slog.Logger) (l *lab, err error) {
	l = &lab{dir: dir, log: log}
	if err := l.simulatedFiles(cfg.initrd); err != nil {
		return nil, err
	}
	for i := range cfg.Racks {
		l.racks = append(l.racks, &station{name: fmt.Sprint("rack-", i+1)})
	}
	for i := range cfg.VLANs {
		v := newVLAN(i)
		l.vlans = append(l.vlans, v)
		r := l.racks[i%len(l.racks)]
		r.vlans = append(r.vlans, v)
	}
	if l.region, err = region.Open(ctx, region.Config{Dir: dir, Kinds: kinds.All(), Files: map[string]fs.FS{".": l.images}, OpenPage: true, Log: log}); err != nil {
		return nil, err
	}
	// After an interrupt there is still something to end.
	if err := errors.Join(l.bootstrap(ctx), l.start(context.WithoutCancel(ctx))); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// bootstrap describes the networks to the region: each is a fabric of its own, with DHCP by its
// rack.
func (l *lab) bootstrap(ctx context.Context) error {
	inv := l.region.Inventory()
	for i, v := range l.vlans {
		if i > 0 { // the first one is in the default fabric
			if err := addFabric(ctx, inv, v); err != nil {
				return err
			}
		}
		first, last := v.dynamic()
		_, err := inv.Bootstrap(ctx, inventory.Bootstrap{
			Rack: l.racks[i%len(l.racks)].name, Link: v.segment.Link, Address: v.address(), DynamicFirst: first, DynamicLast: last,
		})
		if err != nil {
			return err
		}
	}
	return inv.Profiles.SetDefault(ctx, &pxe.Profile{
		Name: "demonstration", Kernel: kernelName, Initrd: []string{initrdName}, Cmdline: "console=ttyS0 quiet maas.done={done}",
	})
}

func addFabric(ctx context.Context, inv *inventory.Inventory, v *vlan) error {
	fabric, err := inv.Fabrics.Create(ctx, ipam.Fabric{Name: "fabric-" + v.segment.Link})
	if err != nil {
		return err
	}
	untagged, err := inv.DefaultVLAN(ctx, fabric.ID)
	if err != nil {
		return err
	}
	_, err = inv.Subnets.Create(ctx, ipam.Subnet{Prefix: v.segment.Prefix(), VLANID: untagged.ID})
	return err
}

// start has the region and the racks serve until close.
func (l *lab) start(ctx context.Context) error {
	sockets, err := l.regionSockets(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- l.region.Serve(ctx, sockets) }()
	l.stopRegion = func() error {
		cancel()
		return <-ended
	}
	for _, r := range l.racks {
		if err := l.newStation(r); err != nil {
			return err
		}
		if err := r.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) regionSockets(ctx context.Context) (s region.Sockets, err error) {
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.API = []net.Listener{api}
	l.api = api.Addr().String()
	l.client.Socket = daemon.SocketPath(l.dir)
	if s.Local, err = daemon.ListenLocal(ctx, l.client.Socket); err != nil {
		return s, errors.Join(err, api.Close())
	}
	return s, nil
}

// close switches the machines off and ends everything that was started.
func (l *lab) close() error {
	for _, m := range l.machines {
		m.PowerOff()
	}
	var errs []error
	for _, b := range l.bmcs {
		errs = append(errs, b.Close())
	}
	for _, r := range l.racks {
		if r.stop != nil {
			errs = append(errs, r.stop())
		}
		if r.rack != nil {
			errs = append(errs, r.rack.Close())
		}
	}
	if l.stopRegion != nil {
		errs = append(errs, l.stopRegion())
	}
	return errors.Join(append(errs, l.region.Close())...)
}

// intro describes the site in a line.
func (l *lab) intro(cfg Config) string {
	first, last := l.vlans[0].segment.Prefix(), l.vlans[len(l.vlans)-1].segment.Prefix()
	text := fmt.Sprintf("A region and %s serve %s", count(cfg.Racks, "rack"), first)
	if cfg.VLANs > 1 {
		text += fmt.Sprintf(" to %s", last)
	}
	text += fmt.Sprintf("; %s", count(cfg.Machines, "machine"))
	if cards := cfg.BMCs - cfg.Machines; cards > 0 {
		text += " and " + count(cards, "card")
	}
	return text + " are switched on through their BMCs.\n"
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "a " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// explain prints what can be looked at while everything is up.
func (l *lab) explain(w io.Writer, machines []*machine) {
	program := "maas"
	if exe, err := os.Executable(); err == nil {
		program = exe
	}
	host, port, _ := net.SplitHostPort(l.racks[0].dns)
	name := machines[0].name
	fmt.Fprintf(w, `
Everything is still up. The page is http://%[7]s/

In another terminal:

  %[1]s machine list --data %[2]s
  %[1]s machine power cycle %[3]s --data %[2]s
  %[1]s events %[3]s --data %[2]s
  %[1]s subnet list --data %[2]s
  dig @%[4]s -p %[5]s %[3]s.maas
  curl --unix-socket %[6]s http://maas/MAAS/api/2.0/machines/
  curl http://%[7]s/MAAS/api/2.0/version/

Ctrl-C ends it.
`, program, l.dir, name, host, port, l.client.Socket, l.api)
}

// open opens the page in a browser of the desktop. Where there is none, the address is printed for
// the user to open.
func (l *lab) open(w io.Writer) {
	page := "http://" + l.api + "/boots"
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	browser := exec.Command(program, page)
	if err := browser.Start(); err != nil {
		fmt.Fprintf(w, "No browser was opened (%v). The page is %s\n\n", err, page)
		return
	}
	// A browser may stay open longer than the demonstration, so that its end is not waited for.
	go func() { _ = browser.Wait() }()
	fmt.Fprintf(w, "The page is %s\n\n", page)
}
