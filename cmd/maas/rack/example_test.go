package rack_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing/fstest"

	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/store/inventory"
)

// Region and rack in one process boot a machine of a simulated network. A real rack has the name of
// an interface in Config.Interfaces instead of the sockets.
func Example() {
	dir, err := os.MkdirTemp("", "site")
	check(err)
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(context.Background())
	kinds := power.NewRegistry(power.Manual())

	files := fstest.MapFS{"vmlinuz": {Data: []byte("kernel")}}
	site, err := region.Open(ctx, region.Config{Dir: dir, Kinds: kinds, Files: map[string]fs.FS{".": files}})
	check(err)
	_, err = site.Inventory().Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: "boottest0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	check(err)
	check(site.Inventory().Profiles.SetDefault(ctx, &pxe.Profile{Name: "site", Kernel: "vmlinuz", Cmdline: "quiet"}))

	servers, err := rack.New(rack.Config{
		Name: "rack", Dir: filepath.Join(dir, "rack"), Dial: site.Dial("rack"), Power: power.Config{Registry: kinds},
		Files: files, Loaders: fstest.MapFS{"shimx64.efi": {}, "grubx64.efi": {}},
	})
	check(err)
	segment := boottest.NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
	node := segment.Server(netip.MustParseAddr("192.0.2.1"))
	dhcp, err := node.DHCP()
	check(err)
	tftp, err := node.ListenPacket("udp", ":69")
	check(err)
	http, err := node.Listen("tcp", ":5248")
	check(err)

	var g errgroup.Group
	g.Go(func() error { return site.Serve(ctx, region.Sockets{}) })
	g.Go(func() error {
		return servers.Serve(ctx, rack.Sockets{DHCP: dhcp, TFTP: []net.PacketConn{tftp}, HTTP: []net.Listener{http}})
	})
	firmware := boottest.UEFIShimGRUB
	firmware.OfferWait = 0 // takes the first offer at once
	report, err := segment.NewMachine(boottest.MachineConfig{Firmware: firmware}).Boot(ctx)
	check(err)
	fmt.Println(report.Firmware, report.Running.Kind, report.Running.Kernel.Size)

	stop()
	check(g.Wait())
	check(servers.Close())
	check(site.Close())
	// Output:
	// uefi-pxe linux 6
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
