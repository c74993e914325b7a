package simulate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe/boottest"
)

// host is a machine with its BMC.
type host struct {
	n       int
	name    string
	mac     net.HardwareAddr
	hall    *hall
	machine *boottest.Machine
	pressed bool // its button was used after the last command

	mu        sync.Mutex
	unplugged bool // its BMC does not answer
}

// firmwares are the kinds of firmware that hosts have in turn.
var firmwares = []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB, boottest.UEFIHTTP}

// addHost plugs a machine in that the site does not know.
func (s *site) addHost() *host {
	n := len(s.hosts)
	h := &host{n: n, name: fmt.Sprint("node", n), mac: net.HardwareAddr{2, 0, 0, 0, 1, byte(n)}, hall: s.halls[0]}
	if n%3 == 2 {
		h.hall = s.halls[1]
	}
	h.machine = h.hall.segment.NewMachine(boottest.MachineConfig{
		MAC: h.mac, Firmware: firmwares[n%len(firmwares)], Observe: func(p boottest.Progress) { s.saw(h, p) },
	})
	s.plugging.Lock()
	defer s.plugging.Unlock()
	s.hosts = append(s.hosts, h)
	return h
}

// saw records what a host says at its console.
func (s *site) saw(h *host, p boottest.Progress) {
	switch {
	case p.Lease != nil:
		s.add(h.name, "%s has %v for %v", p.Lease.By, p.Lease.Addr, p.Lease.Time)
	case p.Done && p.Err != nil && (p.Fetch == nil):
		s.add(h.name, "%s: %s: %v", p.Stage, p.What, p.Err)
	case p.Done && p.Stage == boottest.StageDone:
		s.add(h.name, "runs")
		s.boots.Add(1)
	}
}

// hostAt returns the host of a BMC.
func (s *site) hostAt(text string) (*host, error) {
	s.plugging.Lock()
	defer s.plugging.Unlock()
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= len(s.hosts) {
		return nil, power.Errorf(power.Settings, "open", "there is no host %q", text)
	}
	return s.hosts[n], nil
}

// holds returns the address that the host uses; invalid = none. A boot that failed leaves the
// firmware with an address that nothing renews.
func (h *host) holds() netip.Addr {
	if !h.machine.Powered() || h.stuck() {
		return netip.Addr{}
	}
	return h.machine.Node().Addr()
}

// stuck reports whether the boot has ended in a failure.
func (h *host) stuck() bool {
	ended, cancel := context.WithCancel(context.Background())
	cancel() // a boot that goes on is not waited for
	_, err := h.machine.Wait(ended)
	return err != nil && !errors.Is(err, context.Canceled)
}

// press uses the host's power button.
func (h *host) press(on bool) {
	h.pressed = true
	if on {
		h.machine.PowerOn()
	} else {
		h.machine.PowerOff()
	}
}

func (h *host) pull(out bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unplugged = out
}

// secret is the password of the host's BMC. No rack but those of its network may ever have it.
func (h *host) secret() string { return "passphrase-of-" + h.name }

// bench is the power kind of the simulated hosts.
func (s *site) bench() power.Kind {
	return power.Kind{
		Name: "bench", Title: "Simulated host", Params: []power.Param{{Name: "host", Required: true}, {Name: "power_pass", Secret: true}},
		Identity: func(p power.Params) string { return p["host"] },
		Open: func(_ context.Context, p power.Params) (power.Driver, error) {
			h, err := s.hostAt(p["host"])
			if err != nil {
				return nil, err
			}
			if p["power_pass"] != h.secret() {
				return nil, power.Errorf(power.Auth, "open", "wrong password for %s", h.name)
			}
			return bmc{h}, nil
		},
	}
}

type bmc struct{ host *host }

func (b bmc) reach() error {
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	if b.host.unplugged {
		return power.Errorf(power.Connection, "ask", "BMC of %s does not answer", b.host.name)
	}
	return nil
}

func (b bmc) PowerState(context.Context) (power.State, error) {
	if err := b.reach(); err != nil {
		return power.Unknown, err
	}
	if b.host.machine.Powered() {
		return power.On, nil
	}
	return power.Off, nil
}

func (b bmc) SetPower(_ context.Context, target power.State) error {
	if err := b.reach(); err != nil {
		return err
	}
	if target == power.On {
		b.host.machine.PowerOn()
	} else {
		b.host.machine.PowerOff()
	}
	return nil
}
