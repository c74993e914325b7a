package try

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

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

// addMachines adds machines of different firmware, each with a BMC, to the network and to the
// region.
func (l *lab) addMachines(ctx context.Context, count int, show *show) ([]*machine, error) {
	firmware := []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB, boottest.BIOSPXE}
	var machines []*machine
	for i := range count {
		m := &machine{name: fmt.Sprintf("node-%d", i+1), firmware: firmware[i%len(firmware)]}
		m.sim = l.segment.NewMachine(boottest.MachineConfig{
			Firmware: m.firmware, Impatient: true, Observe: func(p boottest.Progress) {
				m.clock.reach(string(p.Stage), p.Done && p.Err == nil)
				show.progress(m, p)
			},
		})
		l.machines = append(l.machines, m.sim)
		if err := l.addBMC(ctx, m, i); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		machines = append(machines, m)
	}
	return machines, nil
}

// addBMC puts a BMC in front of the machine, every other one with Redfish, and creates the machine
// through the API.
func (l *lab) addBMC(ctx context.Context, m *machine, i int) error {
	chassis := &powersim.Chassis{OnPower: func(on bool, _ power.BootDevice) {
		if on {
			m.sim.PowerOn()
		} else {
			m.sim.PowerOff()
		}
	}}
	const user, password = "admin", "simulated"
	serve := powersim.ServeIPMI
	if i%2 == 1 {
		serve = powersim.ServeRedfish
	}
	bmc, err := serve(chassis, user, password)
	if err != nil {
		return err
	}
	l.bmcs = append(l.bmcs, bmc)
	target := bmc.Target()
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
	show.line(m, "power", "on through "+m.bmcKind)
	r := result{machine: m}
	r.err = func() (err error) {
		if err := l.client.Post(ctx, client.MachinePath(m.name)+"?op=power_on", url.Values{}, nil); err != nil {
			return fmt.Errorf("power on: %w", err)
		}
		m.clock.reach("power", true)
		if r.report, err = m.sim.Wait(ctx); err != nil {
			return err
		}
		if err := l.checkRunning(r.report); err != nil {
			return err
		}
		addr, err := l.checkName(ctx, m)
		if err != nil {
			return err
		}
		m.clock.reach("name", true)
		show.line(m, "name", fmt.Sprintf("%s.maas is %s, and %s is %s.maas", m.name, addr, addr, m.name))
		return l.client.Get(ctx, client.MachinePath(m.name), &r.listed)
	}()
	r.took = time.Since(began)
	return r
}

// checkRunning makes sure that the machine runs our kernel and initrd and has reported back.
func (l *lab) checkRunning(r *boottest.Report) error {
	if r.Running.Kind != boottest.Linux {
		return fmt.Errorf("ended in %q instead of Linux: %s", r.Running.Kind, strings.Join(r.Console, "; "))
	}
	want, err := l.sums()
	if err != nil {
		return err
	}
	for name, sum := range map[string]string{kernelName: r.Running.Kernel.SHA256, initrdName: firstSum(r.Running.Initrds)} {
		if sum != want[name] {
			return fmt.Errorf("%s arrived damaged", name)
		}
	}
	if !r.Running.Done {
		return errors.New("runs, but did not report back")
	}
	return nil
}

func firstSum(files []boottest.File) string {
	if len(files) == 0 {
		return ""
	}
	return files[0].SHA256
}

// imageSums returns the checksums of the files that machines boot, by name.
func imageSums(dir string) (map[string]string, error) {
	sums := make(map[string]string)
	for _, name := range []string{kernelName, initrdName} {
		sum, err := fileSum(filepath.Join(dir, "images", name))
		if err != nil {
			return nil, err
		}
		sums[name] = sum
	}
	return sums, nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkName asks our DNS server, over a real socket, for the machine's name and for the name of its
// address.
func (l *lab) checkName(ctx context.Context, m *machine) (string, error) {
	name := m.name + ".maas."
	answer, err := l.ask(ctx, name, dns.TypeA)
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
	answer, err = l.ask(ctx, reverse, dns.TypePTR)
	if err != nil {
		return "", err
	}
	if ptr, ok := answer.(*dns.PTR); !ok || ptr.Ptr != name {
		return "", fmt.Errorf("DNS: %s is not called %s", a.A, name)
	}
	return net.IP(a.A).String(), nil
}

// ask returns the first record of the answer, nil when there is none.
func (l *lab) ask(ctx context.Context, name string, qtype uint16) (dns.RR, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	m, _, err := new(dns.Client).ExchangeContext(ctx, q, l.dns)
	if err != nil || len(m.Answer) == 0 {
		return nil, err
	}
	return m.Answer[0], nil
}
