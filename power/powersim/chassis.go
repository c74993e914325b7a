package powersim

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
)

// A Chassis is a simulated machine as its BMC sees it. The zero Chassis is off. Its methods may be
// called concurrently; its fields are set before a BMC serves it, or in [Chassis.Configure].
type Chassis struct {
	// OnPower receives each change of power, one after the other, with the device of the boot that
	// begins when power comes on. It must return soon. If nil, changes are not reported.
	OnPower func(on bool, boot power.BootDevice)
	// Delay is the time between the BMC's acceptance and the change. Zero means none.
	Delay time.Duration
	// Sensors are the readings of the BMC. Only Redfish BMCs report them.
	Sensors []power.Sensor
	// Ignore accepts that many power requests without doing anything, as some BMCs do.
	Ignore int
	// Strict refuses requests for the state that the machine is in, and a cycle of a machine that
	// is off, as many BMCs do: completion code 0xD5. Only IPMI BMCs look at it.
	Strict bool
	// Late answers that many queries with the state before the last change, as BMCs do that look at
	// their machine from time to time only. Only IPMI BMCs look at it.
	Late int

	mu      sync.Mutex // guards the fields below
	on      bool
	former  bool             // on, before the last change
	boot    power.BootDevice // of the next boot
	always  power.BootDevice // of all others
	light   bool
	media   string // in the virtual CD drive
	url     string // of UEFI HTTP boot
	cycles  int
	pending int // changes accepted and not yet done
	changes sync.WaitGroup
}

var errChassis = errors.New("powersim: a BMC needs a chassis; the zero Chassis is one that is off")

// Configure changes the fields of a chassis that is in use.
func (c *Chassis) Configure(change func(*Chassis)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

// On reports whether it has power.
func (c *Chassis) On() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.on
}

// state is whether it has power, and whether that is about to change.
func (c *Chassis) state() (on, changing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.on, c.pending > 0
}

// told returns the state that a BMC reports.
func (c *Chassis) told() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Late > 0 {
		c.Late--
		return c.former
	}
	return c.on
}

// refuses reports whether a strict chassis refuses a request; a cycle needs power, too.
func (c *Chassis) refuses(on, cycle bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Strict && (!cycle && c.on == on || cycle && !c.on)
}

// Cycles returns the number of power cycles.
func (c *Chassis) Cycles() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cycles
}

// BootOnce is the device of the next boot.
func (c *Chassis) BootOnce() power.BootDevice {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.boot == "" {
		return power.Default
	}
	return c.boot
}

// SetBootOnce sets the device of the next boot.
func (c *Chassis) SetBootOnce(device power.BootDevice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot = device
}

// SetBootAlways sets the device of every boot.
func (c *Chassis) SetBootAlways(device power.BootDevice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.always = device
}

// Light reports whether the light that shows where the machine is is on.
func (c *Chassis) Light() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.light
}

// SetLight switches that light.
func (c *Chassis) SetLight(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.light = on
}

// Media returns the image in the virtual CD drive; empty = none.
func (c *Chassis) Media() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.media
}

// SetMedia inserts an image, or ejects it.
func (c *Chassis) SetMedia(image string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.media = image
}

// BootURL returns the URL that UEFI HTTP boot loads; empty = what DHCP names.
func (c *Chassis) BootURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

// SetBootURL sets the URL that UEFI HTTP boot loads.
func (c *Chassis) SetBootURL(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url = url
}

// SetPower switches, after the delay.
func (c *Chassis) SetPower(on bool) { c.later(func() { c.set(on) }) }

// Cycle takes the power and gives it back, after the delay.
func (c *Chassis) Cycle() {
	c.later(func() {
		c.cycles++
		c.set(false)
		c.set(true)
	})
}

// later runs a change under the lock, at once or after the delay.
func (c *Chassis) later(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.Ignore > 0:
		c.Ignore--
	case c.Delay == 0:
		change()
	default:
		// Close of the BMC waits for these, so that no change comes after it.
		c.changes.Add(1)
		c.pending++
		time.AfterFunc(c.Delay, func() {
			defer c.changes.Done()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.pending--
			change()
		})
	}
}

// set is called with the lock held.
func (c *Chassis) set(on bool) {
	if c.on == on {
		return
	}
	c.former, c.on = c.on, on
	boot := cmp.Or(c.boot, c.always, power.Default)
	if on {
		// An override is used up when the boot begins, not when it succeeds.
		c.boot = "" // once
	}
	if c.OnPower != nil {
		c.OnPower(on, boot)
	}
}

// A BMC is a simulated BMC on loopback.
type BMC struct {
	// Address is the value for power_address.
	Address string
	target  power.Target
	close   func() error
	session func() int
	faults  *faults
}

// Target returns the target with which a controller drives the BMC.
func (b *BMC) Target() power.Target { return b.target }

// Sessions returns the number of open sessions.
func (b *BMC) Sessions() int { return b.session() }

// Close ends the BMC and waits for what it does.
func (b *BMC) Close() error { return b.close() }
