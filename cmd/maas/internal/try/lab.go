package try

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/store/inventory"
)

// The simulated network.
var (
	network    = netip.MustParsePrefix("172.30.0.0/20")
	rackAddr   = netip.MustParseAddr("172.30.0.1")
	rackHTTP   = 5248
	regionPort = "127.0.0.1:0"
)

// lab is a site whose only network is simulated.
type lab struct {
	dir      string
	segment  *boottest.Segment
	region   *region.Region
	rack     *rack.Rack
	client   client.Client
	dns, api string // loopback addresses, for looking around
	bmcs     []*powersim.BMC
	machines []*boottest.Machine
	stop     func() error
	sums     func() (map[string]string, error) // of the images, computed once
}

// newLab starts region and rack. Simulated files stand for loaders, kernel and initrd; the
// simulated machines load them but never run them.
func newLab(ctx context.Context, dir string, log *slog.Logger) (*lab, error) {
	images, loaders, err := simulatedFiles(dir)
	if err != nil {
		return nil, err
	}
	l := &lab{
		dir: dir, segment: boottest.NewSegment(network), sums: sync.OnceValues(func() (map[string]string, error) { return imageSums(dir) }),
	}
	if l.region, err = region.Open(ctx, region.Config{Dir: dir, Kinds: kinds.All(), Files: map[string]fs.FS{".": images}, OpenPage: true, Log: log}); err != nil {
		return nil, err
	}
	if err := l.bootstrap(ctx); err != nil {
		return nil, errors.Join(err, l.region.Close())
	}
	l.rack, err = rack.New(rack.Config{
		Dir: filepath.Join(dir, "rack"), Dial: l.region.Dial(rackName), Files: images, Loaders: loaders,
		HTTPPort: rackHTTP, Power: power.Config{Registry: kinds.All(), Poll: 50 * time.Millisecond}, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, l.region.Close())
	}
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(err, l.rack.Close(), l.region.Close())
	}
	return l, nil
}

const rackName = "rack"

func (l *lab) bootstrap(ctx context.Context) error {
	inv := l.region.Inventory()
	_, err := inv.Bootstrap(ctx, inventory.Bootstrap{
		Rack: rackName, Link: l.segment.Link, Address: netip.PrefixFrom(rackAddr, network.Bits()),
	})
	if err != nil {
		return err
	}
	return inv.Profiles.SetDefault(ctx, &pxe.Profile{
		Name: "demonstration", Kernel: kernelName, Initrd: []string{initrdName}, Cmdline: "console=ttyS0 quiet maas.done={done}",
	})
}

// start opens the sockets and serves on them until stop is called.
func (l *lab) start(ctx context.Context) error {
	rackSockets, err := l.rackSockets()
	if err != nil {
		return err
	}
	regionSockets, err := l.regionSockets(ctx)
	if err != nil {
		return errors.Join(err, rackSockets.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // after an interrupt there is still something to end
	rackCtx, stopRack := context.WithCancel(ctx)
	rackDone, regionDone := make(chan error, 1), make(chan error, 1)
	go func() { regionDone <- l.region.Serve(ctx, regionSockets) }()
	go func() { rackDone <- l.rack.Serve(rackCtx, rackSockets) }()
	l.stop = func() error {
		stopRack()
		err := <-rackDone
		cancel()
		return errors.Join(err, <-regionDone)
	}
	return nil
}

// rackSockets are ports of the simulated host, and the DNS server on loopback too.
func (l *lab) rackSockets() (s rack.Sockets, err error) {
	node := l.segment.Server(rackAddr)
	dhcp, err1 := node.DHCP()
	tftp, err2 := node.ListenPacket("udp", ":69")
	dns, err3 := node.ListenPacket("udp", ":53")
	http, err4 := node.Listen("tcp", fmt.Sprintf(":%d", rackHTTP))
	proxy, err5 := node.Listen("tcp", ":8000")
	loopback, err6 := net.ListenPacket("udp", regionPort)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return s, err
	}
	l.dns = loopback.LocalAddr().String()
	return rack.Sockets{
		DHCP: dhcp, TFTP: []net.PacketConn{tftp}, HTTP: []net.Listener{http}, DNSPacket: []net.PacketConn{dns, loopback},
		Proxy: []net.Listener{proxy},
	}, nil
}

func (l *lab) regionSockets(ctx context.Context) (s region.Sockets, err error) {
	api, err := net.Listen("tcp", regionPort)
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

// close switches the machines off and ends everything.
func (l *lab) close() error {
	for _, m := range l.machines {
		m.PowerOff()
	}
	var errs []error
	for _, b := range l.bmcs {
		errs = append(errs, b.Close())
	}
	return errors.Join(append(errs, l.stop(), l.rack.Close(), l.region.Close())...)
}

// explain prints what can be looked at while everything is up.
func (l *lab) explain(w io.Writer, machines []*machine) {
	program := "maas"
	if exe, err := os.Executable(); err == nil {
		program = exe
	}
	host, port, _ := net.SplitHostPort(l.dns)
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

// The simulated system. Sizes are typical of a distribution's kernel and initrd.
const (
	kernelName = "demonstration/vmlinuz"
	initrdName = "demonstration/initrd"
	kernelSize = 8 << 20
	initrdSize = 64 << 20
)

// simulatedFiles writes stand-ins of plausible sizes below dir.
func simulatedFiles(dir string) (images, loaders fs.FS, err error) {
	random := rand.NewChaCha8([32]byte{'m', 'a', 'a', 's'})
	for name, size := range map[string]int{
		"images/" + kernelName: kernelSize, "images/" + initrdName: initrdSize,
		"loaders/undionly.kpxe": 72 << 10, "loaders/shimx64.efi": 950 << 10, "loaders/grubx64.efi": 2500 << 10,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, nil, err
		}
		data := make([]byte, size)
		random.Read(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return nil, nil, err
		}
	}
	return os.DirFS(filepath.Join(dir, "images")), pxe.Loaders(filepath.Join(dir, "loaders")), nil
}

// logFile receives the daemons' log.
type logFile struct{ file *os.File }

func openLog(dir string) (logFile, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	return logFile{f}, err
}
