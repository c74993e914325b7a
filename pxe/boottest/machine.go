package boottest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// MachineConfig says what a machine is. The zero value is a BIOS machine with iPXE.
type MachineConfig struct {
	MAC      net.HardwareAddr // nil = one of its own
	UUID     [16]byte         // as option 97 has it; zero = derived from the MAC
	Firmware Firmware         // zero = BIOSiPXE
	Hostname string           // what the system calls itself; "" = what DHCP says, else "localhost"

	// Refuse reports whether the firmware, or a shim, refuses to start a program, as Secure Boot
	// does. If nil, everything is started.
	Refuse func(program []byte) bool
	// Autoexec has the iPXE that the machine loads over UEFI be 2.0: it runs autoexec.ipxe from the
	// directory of its file, else from the top, before it configures a network card.
	Autoexec bool
	// Disk: there is a bootable system on the local disk.
	Disk bool
	// Choose has the entries that an operator chooses in the menus of a boot, one for each menu:
	// the name of an entry (the label of iPXE and pxelinux, the ID of GRUB), or its title. In
	// further menus, or if it is empty, the default is taken after the menu's timeout.
	Choose []string
	// Resolve are names that the system looks up besides its own, which it resolves forward and
	// back when DHCP gives it a domain and a DNS server.
	Resolve []string
	// Known are files that the machine may load: one that arrives unchanged is not hashed again. If
	// empty, all files are hashed.
	Known []*Content
	// Impatient leaves out the waits that real firmware makes for further offers, and sleeps of
	// scripts, for boots on the wall clock. Silences after which packets are sent again stay. With
	// the first offer taken, that of a proxyDHCP server may be missed: leave it unset beside one.
	Impatient bool
	// Observe is called for every step of a boot, one at a time, from the goroutine of the boot. If
	// nil, steps are not reported.
	Observe func(Progress)
}

// Machine is a host that boots from the network.
type Machine struct {
	cfg  MachineConfig
	seg  *Segment
	node *Node

	booting sync.Mutex // held during a boot
	power   sync.Mutex // held while it is switched on or off

	mu     sync.Mutex
	cancel context.CancelFunc // not nil while it is powered on
	booted chan struct{}      // closed when the boot of the latest PowerOn has ended
	done   chan struct{}      // closed when its goroutine has ended
	report *Report            // of the latest boot
	err    error
}

// NewMachine plugs a machine into the segment. It is switched off.
func (s *Segment) NewMachine(cfg MachineConfig) *Machine {
	if cfg.Firmware.Name == "" && cfg.Firmware.VendorClass == "" {
		cfg.Firmware = BIOSiPXE
	}
	if cfg.MAC == nil {
		s.mu.Lock()
		n := len(s.nodes) + 1
		s.mu.Unlock()
		cfg.MAC = net.HardwareAddr{0x52, 0x54, 0, 0, byte(n >> 8), byte(n)}
	}
	cfg.MAC = slices.Clone(cfg.MAC)
	if cfg.UUID == ([16]byte{}) {
		sum := sha256.Sum256(cfg.MAC)
		cfg.UUID = [16]byte(sum[:])
		cfg.UUID[7] = cfg.UUID[7]&0x0f | 0x40
		cfg.UUID[8] = cfg.UUID[8]&0x3f | 0x80
	}
	return &Machine{cfg: cfg, seg: s, node: s.newNode(cfg.MAC)}
}

// MAC returns the link address of the machine.
func (m *Machine) MAC() net.HardwareAddr { return m.cfg.MAC }

// Boot switches the machine on, waits until something runs, and returns how it got there. The
// machine keeps its address, as a running system does, until the next Boot or PowerOff; only a
// machine that was switched on by PowerOn renews its lease. With an error the report is not nil: it
// has the stages up to the failure. The error names the stage and the cause; it is the error of ctx
// when ctx ended. Boots of one machine exclude each other.
func (m *Machine) Boot(ctx context.Context) (*Report, error) {
	m.booting.Lock()
	defer m.booting.Unlock()
	m.node.reset()
	b := &boot{
		Machine: m, fw: m.cfg.Firmware,
		report: &Report{MAC: m.cfg.MAC, Firmware: m.cfg.Firmware.Name, Start: time.Now()},
	}
	err := b.run(ctx)
	b.report.Duration = time.Since(b.report.Start)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = fmt.Errorf("boottest: %v: %w", m.cfg.MAC, err)
	}
	m.mu.Lock()
	m.report, m.err = b.report, err
	m.mu.Unlock()
	return b.report, err
}

// boot is one boot under way.
type boot struct {
	*Machine
	fw     Firmware // what runs now: the firmware, then perhaps iPXE
	report *Report
	lease  *Lease // what the firmware or loader works with
	depth  int    // of loaders started by loaders
	menus  int    // in which the operator has chosen
	// offline says that iPXE runs a script before it has configured a network card.
	offline bool
	quiet   bool // the observer is not called
}

// maxDepth ends boots in which loaders load each other for ever.
const maxDepth = 16

// ended is returned by the parts of a boot when its outcome is decided; it travels as an error.
type ended struct{ kind Outcome }

func (e *ended) Error() string { return "boot ended: " + string(e.kind) }

// run goes from power-on to a running system.
func (b *boot) run(ctx context.Context) error {
	err := b.network(ctx)
	var end *ended
	switch {
	case errors.As(err, &end):
		b.report.Running.Kind = end.kind
	case err == nil || ctx.Err() != nil:
		return errors.Join(err, ctx.Err())
	case b.cfg.Disk:
		// Firmware goes on with the next boot device when the network fails.
		b.say("network boot failed: %v", err)
		b.report.Running.Kind = LocalDisk
	default:
		return err
	}
	if b.report.Running.Kind == NextDevice && b.cfg.Disk {
		b.report.Running.Kind = LocalDisk
	}
	if b.report.Running.Kind != Linux {
		return nil
	}
	return b.system(ctx)
}

// network boots as firmware does: DHCP, then the boot file, whatever it is.
func (b *boot) network(ctx context.Context) error {
	if b.fw.Loader == "flash" {
		return &ended{Linux}
	}
	if err := b.dhcp(ctx); err != nil {
		return err
	}
	switch {
	case b.fw.Loader == "onie":
		return b.onie(ctx)
	case b.fw.Loader == "raspberrypi":
		return b.raspberryPi(ctx)
	case b.lease.BootFile == "" && b.fw.Loader == "pxelinux":
		return b.netboot(ctx)
	case b.lease.BootFile == "":
		hint := ""
		if b.cfg.Impatient {
			hint = "; an Impatient machine does not wait for the offer of a proxyDHCP server"
		}
		return fmt.Errorf("%s: the DHCP answer of %v names no boot file%s", StageDHCP, b.lease.Server, hint)
	}
	return b.load(ctx, b.lease.BootFile)
}

// dhcp gets an address for what runs now.
func (b *boot) dhcp(ctx context.Context) error {
	c := dhcpClient{boot: b, fw: &b.fw, by: b.fw.Name, stage: StageDHCP}
	lease, err := c.acquire(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", StageDHCP, err)
	}
	b.lease = lease
	return nil
}

// say notes a line of the console.
func (b *boot) say(format string, args ...any) {
	b.report.Console = append(b.report.Console, fmt.Sprintf(format, args...))
}

// progress calls the observer.
func (b *boot) progress(p Progress) {
	p.MAC, p.Time = b.cfg.MAC, time.Now()
	b.account(p)
	if b.cfg.Observe != nil && !b.quiet {
		b.cfg.Observe(p)
	}
}

// account keeps the sums of the stages.
func (b *boot) account(p Progress) {
	i := slices.IndexFunc(b.report.Stages, func(s StageReport) bool { return s.Stage == p.Stage })
	if i < 0 {
		i = len(b.report.Stages)
		b.report.Stages = append(b.report.Stages, StageReport{Stage: p.Stage, Start: p.Time})
	}
	s := &b.report.Stages[i]
	s.Duration = p.Time.Sub(s.Start)
	if p.Fetch != nil && !p.Fetch.Probe {
		s.Bytes += p.Fetch.Bytes
		if p.Err == nil {
			s.Files++
		}
	}
}

// pause is a wait that an impatient machine leaves out.
func (b *boot) pause(ctx context.Context, d time.Duration) error {
	if b.cfg.Impatient {
		return ctx.Err()
	}
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Node returns the machine as a host on the segment, with the address it has now.
func (m *Machine) Node() *Node { return m.node }
