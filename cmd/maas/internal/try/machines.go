package try

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// machine is one simulated machine with its BMC.
type machine struct {
	name     string
	bmcKind  string
	dns      string // loopback address of its rack's DNS server
	firmware boottest.Firmware
	sim      *boottest.Machine
	clock    clock
}

// result is the result of one machine's boot.
type result struct {
	machine *machine
	report  *boottest.Report
	listed  maasapi.Machine
	took    time.Duration
	err     error
}

// Limits of a demonstration.
const (
	maxMachines = 10_000
	maxBMCs     = 30_000
)

// plan returns the machines of the site: the asked number of different firmware, and a card, which
// is a network card with a system of its own, for each further BMC. Cards follow their machines.
func plan(machines, bmcs int) (all []*machine) {
	firmware := []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB, boottest.BIOSPXE, boottest.UEFIiPXE, boottest.UEFIHTTP}
	cards := 0
	for i := range machines {
		all = append(all, &machine{name: fmt.Sprintf("node-%d", i+1), firmware: firmware[i%len(firmware)]})
		for end := (bmcs - machines) * (i + 1) / machines; cards < end; {
			cards++
			all = append(all, &machine{name: fmt.Sprintf("card-%d", cards), firmware: boottest.Flash})
		}
	}
	return all
}

// addMachines plugs the machines into the networks in turn, and adds each with its BMC to the
// region.
func (l *lab) addMachines(ctx context.Context, machines []*machine, show *show) error {
	known := []*boottest.Content{l.initrd, l.kernel}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelCalls)
	for i, m := range machines {
		v := l.vlans[i%len(l.vlans)]
		m.sim = v.segment.NewMachine(boottest.MachineConfig{
			MAC: mac(i), Firmware: m.firmware, Impatient: true, Known: known, Observe: func(p boottest.Progress) {
				m.clock.reach(string(p.Stage), p.Done && p.Err == nil)
				show.progress(m, p)
			},
		})
		m.dns = l.racks[i%len(l.vlans)%len(l.racks)].dns
		l.machines = append(l.machines, m.sim)
		bmc, err := serveBMC(m, i)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", m.name, err), group.Wait())
		}
		l.bmcs = append(l.bmcs, bmc)
		group.Go(func() error {
			if err := l.enlist(ctx, m, bmc.Target()); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// serveBMC puts a BMC in front of a machine, every other one with Redfish.
func serveBMC(m *machine, i int) (*powersim.BMC, error) {
	chassis := &powersim.Chassis{OnPower: func(on bool, _ power.BootDevice) {
		if on {
			m.sim.PowerOn()
		} else {
			m.sim.PowerOff()
		}
	}}
	const user, password = "admin", "simulated"
	if i%2 == 1 {
		return powersim.ServeRedfish(chassis, user, password)
	}
	return powersim.ServeIPMI(chassis, user, password)
}

// enlist creates the machine through the API.
func (l *lab) enlist(ctx context.Context, m *machine, target power.Target) error {
	m.bmcKind = target.Kind
	form := url.Values{"hostname": {m.name}, "mac_addresses": {m.sim.MAC().String()}, "power_type": {target.Kind}}
	for name, value := range target.Params {
		form.Set("power_parameters_"+name, value)
	}
	return l.client.Post(ctx, client.API+"machines/", form, nil)
}

// parallelBoots bounds the machines that boot at a time, so that many machines on a small host do
// not time out.
const parallelBoots = 32

// parallelCalls bounds the calls of the API at a time.
const parallelCalls = 8

func (l *lab) bootAll(ctx context.Context, machines []*machine, show *show) []result {
	results := make([]result, len(machines))
	slots := make(chan struct{}, parallelBoots)
	var all sync.WaitGroup
	for i, m := range machines {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			results[i] = l.boot(ctx, m, show)
			show.done(results[i])
		})
	}
	all.Wait()
	return results
}

// boot switches one machine on through the API and checks what it ended up with.
func (l *lab) boot(ctx context.Context, m *machine, show *show) result {
	began := time.Now()
	m.clock.begin()
	show.step(m, "power", "on through "+m.bmcKind)
	r := result{machine: m}
	r.err = func() (err error) {
		if err := l.client.Post(ctx, client.MachinePath(m.name)+"?op=power_on", url.Values{}, nil); err != nil {
			return fmt.Errorf("power on: %w", err)
		}
		m.clock.reach("power", true)
		if r.report, err = m.sim.Wait(ctx); err != nil {
			return err
		}
		if err := l.checkRunning(m, r.report); err != nil {
			return err
		}
		var addr string
		if err := soon(ctx, func(ctx context.Context) (err error) { addr, err = checkName(ctx, m); return err }); err != nil {
			return err
		}
		m.clock.reach("name", true)
		show.step(m, "name", fmt.Sprintf("%s.maas is %s, and %s is %s.maas", m.name, addr, addr, m.name))
		return l.client.Get(ctx, client.MachinePath(m.name), &r.listed)
	}()
	r.took = time.Since(began)
	return r
}

// checkRunning makes sure that the machine runs our kernel and initrd and has reported back; a card
// runs its own.
func (l *lab) checkRunning(m *machine, r *boottest.Report) error {
	switch {
	case r.Running.Kind != boottest.Linux:
		return fmt.Errorf("ended in %q instead of Linux: %s", r.Running.Kind, strings.Join(r.Console, "; "))
	case m.card():
		return nil
	case r.Running.Kernel.SHA256 != l.kernel.SHA256():
		return errors.New(kernelName + " arrived damaged")
	case len(r.Running.Initrds) != 1 || r.Running.Initrds[0].SHA256 != l.initrd.SHA256():
		return errors.New(initrdName + " arrived damaged")
	case !r.Running.Done:
		return errors.New("runs, but did not report back")
	}
	return nil
}

// card reports whether the machine boots from its own flash.
func (m *machine) card() bool { return m.firmware.Name == boottest.Flash.Name }

// checkName asks our DNS server, over a real socket, for the machine's name and for the name of its
// address.
func checkName(ctx context.Context, m *machine) (string, error) {
	name := m.name + ".maas."
	answer, err := ask(ctx, m.dns, name, dns.TypeA)
	if err != nil {
		return "", err
	}
	a, ok := answer.(*dns.A)
	if !ok {
		return "", fmt.Errorf("DNS: %s has no address", name)
	}
	reverse, err := dns.ReverseAddr(a.A.String())
	if err != nil {
		return "", err
	}
	answer, err = ask(ctx, m.dns, reverse, dns.TypePTR)
	if err != nil {
		return "", err
	}
	if ptr, ok := answer.(*dns.PTR); !ok || ptr.Ptr != name {
		return "", fmt.Errorf("DNS: %s is not called %s", a.A, name)
	}
	return net.IP(a.A).String(), nil
}

// ask returns the first record of the answer, nil when there is none.
func ask(ctx context.Context, server, name string, qtype uint16) (dns.RR, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	m, _, err := new(dns.Client).ExchangeContext(ctx, q, server)
	if err != nil || len(m.Answer) == 0 {
		return nil, err
	}
	return m.Answer[0], nil
}
