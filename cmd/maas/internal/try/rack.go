package try

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
)

const rackHTTP = 5248

// station is a rack controller and the networks it serves.
type station struct {
	name  string
	vlans []*vlan
	dhcp  *dhcpPorts
	rack  *rack.Rack
	dns   string       // loopback address of its DNS server, for looking around
	stop  func() error // ends Serve
}

// newStation makes a rack that is not yet serving.
func (l *lab) newStation(s *station) (err error) {
	s.rack, err = rack.New(rack.Config{
		Dir: filepath.Join(l.dir, s.name), Name: s.name, Dial: l.region.Dial(s.name), Files: l.images, Loaders: l.loaders,
		HTTPPort: rackHTTP, Power: power.Config{Registry: kinds.All(), Poll: 50 * time.Millisecond}, Log: l.log.With("rack", s.name),
	})
	return err
}

// start opens the sockets and serves on them until stop is called.
func (s *station) start(ctx context.Context) error {
	sockets, err := s.sockets()
	if err != nil {
		return errors.Join(err, sockets.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.rack.Serve(ctx, sockets) }()
	s.stop = func() error {
		cancel()
		return <-ended
	}
	return nil
}

// sockets are ports of the simulated host, and the DNS server on loopback too.
func (s *station) sockets() (open rack.Sockets, err error) {
	dhcp, err := listenDHCP(s.vlans)
	if err != nil {
		return open, err
	}
	open.DHCP, s.dhcp = dhcp, dhcp
	loopback, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return open, err
	}
	s.dns = loopback.LocalAddr().String()
	open.DNSPacket = []net.PacketConn{loopback}
	for _, v := range s.vlans {
		tftp, err1 := v.node.ListenPacket("udp", ":69")
		dns, err2 := v.node.ListenPacket("udp", ":53")
		http, err3 := v.node.Listen("tcp", fmt.Sprint(":", rackHTTP))
		proxy, err4 := v.node.Listen("tcp", ":8000")
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return open, err
		}
		open.TFTP, open.DNSPacket = append(open.TFTP, tftp), append(open.DNSPacket, dns)
		open.HTTP, open.Proxy = append(open.HTTP, http), append(open.Proxy, proxy)
	}
	return open, nil
}
