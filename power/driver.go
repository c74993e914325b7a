package power

import "context"

// State is whether a machine has power.
type State string

// The states that a driver reports.
const (
	// On means that the machine has power.
	On State = "on"
	// Off means that it has none, apart from its BMC.
	Off State = "off"
	// Transitioning means that it is on its way to either; asking again will tell.
	Transitioning State = "transitioning"
	// Unknown means that the BMC does not say, or that this kind of power control cannot ask.
	Unknown State = "unknown"
	// Failing is shown for a machine whose BMC fails. No driver returns it: a driver returns an
	// error.
	Failing State = "error"
)

// A Driver talks to the one BMC that its [Kind] opened it for. Its methods are called one at a
// time.
type Driver interface {
	// PowerState asks for the state.
	PowerState(ctx context.Context) (State, error)
	// SetPower asks for On or Off and returns when the BMC has accepted, which says nothing about
	// when it is done. Off is immediate, as by a switch; see [SoftOffer] for the polite way. Asking
	// for the state that holds is not an error.
	SetPower(ctx context.Context, target State) error
}

// A Cycler can take power away and give it back as one action.
type Cycler interface {
	// Cycle returns when the BMC has accepted. The machine must be on.
	Cycle(ctx context.Context) error
}

// A Resetter can reset a running machine without taking its power.
type Resetter interface {
	Reset(ctx context.Context) error
}

// An OnResetter is a [Resetter] whose machine may always have power, such as a DPU: to switch on
// one that is on means to reset it.
type OnResetter interface {
	Resetter
	// OnResets reports whether that holds for this machine.
	OnResets() bool
}

// A SoftOffer can ask the operating system to shut down.
type SoftOffer interface {
	// SoftOff returns when the BMC has accepted. The system may take minutes, or ignore it.
	SoftOff(ctx context.Context) error
}

// A Booter can choose what a machine boots next.
type Booter interface {
	// SetBootOnce makes the next boot, and only that, come from the device.
	SetBootOnce(ctx context.Context, device BootDevice) error
	// BootOnce reads back what the next boot will come from, so that an override that was accepted
	// and forgotten is seen. It returns an error of class [Unsupported] when the BMC cannot tell.
	BootOnce(ctx context.Context) (BootDevice, error)
}

// An HTTPBooter can have UEFI firmware boot a URL that DHCP does not name.
type HTTPBooter interface {
	Booter
	// SetHTTPBootOnce makes the next boot, and only that, load a URL by UEFI HTTP boot. It returns
	// an error of class [Unsupported] when this BMC takes no URL.
	SetHTTPBootOnce(ctx context.Context, url string) error
	// HTTPBootURL reads back the URL; empty = none.
	HTTPBootURL(ctx context.Context) (string, error)
}

// An AlwaysBooter can choose what a machine boots from now on, each time.
type AlwaysBooter interface {
	// SetBootAlways makes every boot come from the device, until it is set again; [Default] gives
	// the choice back to the firmware.
	SetBootAlways(ctx context.Context, device BootDevice) error
}

// An Identifier can make a machine's light blink, so that a technician finds it in the rack.
type Identifier interface {
	// Identify switches the light on until it is switched off.
	Identify(ctx context.Context, on bool) error
}

// A SensorReader can read the sensors of a machine.
type SensorReader interface {
	// Sensors returns those that have a reading, in the BMC's order. It takes a few requests for
	// each.
	Sensors(ctx context.Context) ([]Sensor, error)
}

// A Sensor is one measurement of a BMC.
type Sensor struct {
	// Name is the BMC's.
	Name string `json:"name"`
	// Value is the reading, in units of Unit.
	Value float64 `json:"value"`
	// Unit is such as "degrees C", "V", "A", "W", "RPM" or "%". Empty means that the BMC does not
	// say.
	Unit string `json:"unit,omitempty"`
	// Health is "ok", "warning" or "critical". Empty means that the BMC does not say.
	Health string `json:"health,omitempty"`
}

// The healths of a sensor.
const (
	HealthOK       = "ok"
	HealthWarning  = "warning"
	HealthCritical = "critical"
)

// A Closer ends the session with the BMC, which has only a few of them. It is called once, when the
// driver is not needed any longer, even after errors.
type Closer interface {
	Close(ctx context.Context) error
}

// BootDevice names the device or protocol that a machine boots from.
type BootDevice string

// The boot devices that BMCs commonly know.
const (
	// Default is the machine's own boot order.
	Default BootDevice = "default"
	// Network is PXE.
	Network BootDevice = "network"
	// NetworkHTTP is UEFI HTTP boot.
	NetworkHTTP BootDevice = "network-http"
	// Disk is the first local disk.
	Disk BootDevice = "disk"
	// CD is the CD drive, which with a [MediaDrive] is virtual.
	CD BootDevice = "cd"
	// Setup is the firmware's setup screen.
	Setup BootDevice = "setup"
)
