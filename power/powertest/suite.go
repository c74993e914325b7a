package powertest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
)

// A Harness holds the kind of power control that [Run] tests, and a simulated machine behind it.
type Harness struct {
	// Kind is the kind under test.
	Kind power.Kind
	// Target leads to a BMC that works.
	Target power.Target
	// Chassis is behind that BMC.
	Chassis *powersim.Chassis
	// Sessions counts the BMC's open sessions. Nil skips the test for leaks.
	Sessions func() int
	// Stall makes the BMC stop answering. Nil skips that test.
	Stall func(on bool)
	// EndSessions makes the BMC forget its sessions. Nil skips that test.
	EndSessions func()
	// WrongPassword is the class expected of a refused password. Empty means Auth.
	WrongPassword power.Class
	// PasswordParam is the parameter that holds the password. Empty means "power_pass".
	PasswordParam string
	// AddressParams are the parameters that say where the BMC is. Nil means "power_address".
	AddressParams []string
	// Images are two that the BMC takes. Nil means two URLs.
	Images []string
	// Unreachable is an address that does not answer. Empty means "127.0.0.1:1".
	Unreachable string
}

// with is the target with other parameters.
func (h Harness) with(names []string, value string) power.Target {
	t := h.Target
	t.Params = maps.Clone(h.Target.Params)
	for _, name := range names {
		t.Params[name] = value
	}
	return t
}

// Run runs the conformance suite. open makes a harness with a fresh BMC and removes it when the
// test ends.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, Harness, *power.Controller){
		"OnAndOff":         testOnAndOff,
		"AlreadyThere":     testAlreadyThere,
		"Cycle":            testCycle,
		"CycleWhenOff":     testCycleWhenOff,
		"BootOnce":         testBootOnce,
		"BootAlways":       testBootAlways,
		"Identify":         testIdentify,
		"Media":            testMedia,
		"SlowBMC":          testSlowBMC,
		"LyingBMC":         testLyingBMC,
		"WrongPassword":    testWrongPassword,
		"Unreachable":      testUnreachable,
		"Cancellation":     testCancellation,
		"Concurrency":      testConcurrency,
		"StalledBMC":       testStalledBMC,
		"EndedSession":     testEndedSession,
		"SessionsAreShort": testSessions,
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			c, err := power.NewController(power.Config{
				Registry: power.NewRegistry(h.Kind), Poll: 20 * time.Millisecond, Timeout: 30 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			test(t, h, c)
		})
	}
}

func ensure(t *testing.T, h Harness, c *power.Controller, want power.State, o power.Options) power.Result {
	t.Helper()
	result, err := c.Ensure(t.Context(), h.Target, want, o)
	if err != nil {
		t.Fatalf("ensure %s: %v", want, err)
	}
	if result.State != want && result.State != power.Unknown {
		t.Errorf("ensure %s reported %s", want, result.State)
	}
	if got := h.Chassis.On(); got != (want == power.On) {
		t.Errorf("after ensure %s the chassis has power: %v", want, got)
	}
	return result
}

func testOnAndOff(t *testing.T, h Harness, c *power.Controller) {
	ensure(t, h, c, power.On, power.Options{})
	if state, err := c.Query(t.Context(), h.Target); err != nil || state != power.On {
		t.Errorf("query: %s, %v", state, err)
	}
	ensure(t, h, c, power.Off, power.Options{})
	if state, err := c.Query(t.Context(), h.Target); err != nil || state != power.Off {
		t.Errorf("query: %s, %v", state, err)
	}
}

func testAlreadyThere(t *testing.T, h Harness, c *power.Controller) {
	h.Chassis.SetPower(true)
	if result := ensure(t, h, c, power.On, power.Options{}); len(result.Steps) != 0 {
		t.Errorf("a machine that is on was touched: %+v", result.Steps)
	}
}

func testCycle(t *testing.T, h Harness, c *power.Controller) {
	offs := 0
	h.Chassis.Configure(func(c *powersim.Chassis) {
		c.OnPower = func(on bool, _ power.BootDevice) {
			if !on {
				offs++
			}
		}
	})
	h.Chassis.SetPower(true)
	if _, err := c.Cycle(t.Context(), h.Target, power.Options{}); err != nil {
		t.Fatal(err)
	}
	if !h.Chassis.On() || offs != 1 {
		t.Errorf("on %v after %d losses of power, want exactly one", h.Chassis.On(), offs)
	}
}

func testCycleWhenOff(t *testing.T, h Harness, c *power.Controller) {
	if _, err := c.Cycle(t.Context(), h.Target, power.Options{}); err != nil {
		t.Fatal(err)
	}
	if !h.Chassis.On() {
		t.Error("still off")
	}
}

func testBootOnce(t *testing.T, h Harness, c *power.Controller) {
	var boots []power.BootDevice
	h.Chassis.Configure(func(c *powersim.Chassis) {
		c.OnPower = func(on bool, boot power.BootDevice) {
			if on {
				boots = append(boots, boot)
			}
		}
	})
	_, err := c.Ensure(t.Context(), h.Target, power.On, power.Options{Boot: power.Network})
	if power.ClassOf(err) == power.Unsupported {
		t.Skipf("%s cannot choose the boot device", h.Kind.Name)
	}
	if err != nil {
		t.Fatal(err)
	}
	ensure(t, h, c, power.Off, power.Options{})
	ensure(t, h, c, power.On, power.Options{})
	if len(boots) != 2 || boots[0] != power.Network || boots[1] != power.Default {
		t.Errorf("booted from %q, want the network once", boots)
	}
}

func testBootAlways(t *testing.T, h Harness, c *power.Controller) {
	boots := make(chan power.BootDevice, 16)
	h.Chassis.Configure(func(c *powersim.Chassis) {
		c.OnPower = func(on bool, boot power.BootDevice) {
			if on {
				boots <- boot
			}
		}
	})
	expect := func(want ...power.BootDevice) {
		t.Helper()
		var got []power.BootDevice
		for len(boots) > 0 {
			got = append(got, <-boots)
		}
		if !slices.Equal(got, want) {
			t.Errorf("booted from %q, want %q", got, want)
		}
	}
	for _, device := range []power.BootDevice{power.Network, power.Default} {
		err := c.SetBootAlways(t.Context(), h.Target, device)
		if power.ClassOf(err) == power.Unsupported {
			t.Skipf("%s cannot choose the boot device for good", h.Kind.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ensure(t, h, c, power.On, power.Options{})
			ensure(t, h, c, power.Off, power.Options{})
		}
	}
	expect(power.Network, power.Network, power.Default, power.Default)
	ensure(t, h, c, power.On, power.Options{Boot: power.Disk, BootAlways: true}) // the same by a request to switch
	ensure(t, h, c, power.Off, power.Options{})
	ensure(t, h, c, power.On, power.Options{})
	expect(power.Disk, power.Disk)
}

func testIdentify(t *testing.T, h Harness, c *power.Controller) {
	for _, on := range []bool{true, false} {
		err := c.Identify(t.Context(), h.Target, on)
		if power.ClassOf(err) == power.Unsupported {
			t.Skipf("%s has no light", h.Kind.Name)
		}
		if err != nil || h.Chassis.Light() != on {
			t.Errorf("identify %v: %v, the light is on: %v", on, err, h.Chassis.Light())
		}
	}
}

func testMedia(t *testing.T, h Harness, c *power.Controller) {
	images := h.Images
	if images == nil {
		images = []string{"https://192.0.2.1/one.iso?signature=secret", "http://192.0.2.1/two.iso"}
	}
	image, err := c.Media(t.Context(), h.Target)
	if power.ClassOf(err) == power.Unsupported {
		if h.Kind.Media {
			t.Errorf("the kind is said to have virtual media: %v", err)
		}
		t.Skipf("%s has no virtual media", h.Kind.Name)
	}
	if err != nil || image != "" || !h.Kind.Media {
		t.Errorf("before the first image: %q, %v, Kind.Media is %v", image, err, h.Kind.Media)
	}
	for _, image := range images { // each in the place of the one before
		result, err := c.Do(t.Context(), h.Target, power.ActionInsert, power.Options{Media: image})
		if err != nil {
			t.Fatal(err)
		}
		shown, _, _ := strings.Cut(image, "?")
		if got := h.Chassis.Media(); got != image || result.Media != shown || strings.Contains(fmt.Sprint(result), "secret") {
			t.Errorf("inserted %q: the chassis has %q, and the result %+v", image, got, result)
		}
		if got, err := c.Media(t.Context(), h.Target); err != nil || got != shown {
			t.Errorf("inserted %q: %q, %v", image, got, err)
		}
	}
	for range 2 { // an empty drive is ejected without an error
		if err := c.EjectMedia(t.Context(), h.Target); err != nil || h.Chassis.Media() != "" {
			t.Errorf("eject: %v, the chassis has %q", err, h.Chassis.Media())
		}
	}
	for _, wrong := range []string{"", "https://user:secret@192.0.2.1/a.iso", "gopher://192.0.2.1/a.iso", "https:///a.iso", "https://192.0.2.1/a b.iso", "a\nb", "../x"} {
		if err := c.InsertMedia(t.Context(), h.Target, wrong); power.ClassOf(err) != power.Settings || strings.Contains(err.Error(), "secret") {
			t.Errorf("insert %q: %v", wrong, err)
		}
	}
	bootCD(t, h, c)
}

// bootCD boots the machine from its CD drive, if the kind can choose that for one boot.
func bootCD(t *testing.T, h Harness, c *power.Controller) {
	t.Helper()
	var booted power.BootDevice
	h.Chassis.Configure(func(c *powersim.Chassis) {
		c.OnPower = func(on bool, boot power.BootDevice) {
			if on {
				booted = boot
			}
		}
	})
	_, err := c.Ensure(t.Context(), h.Target, power.On, power.Options{Boot: power.CD})
	if power.ClassOf(err) == power.Unsupported {
		_, err = c.Ensure(t.Context(), h.Target, power.On, power.Options{Boot: power.CD, BootAlways: true})
	}
	if err != nil || booted != power.CD {
		t.Errorf("booted from %q, %v", booted, err)
	}
}

func testSlowBMC(t *testing.T, h Harness, c *power.Controller) {
	changes := 0
	h.Chassis.Configure(func(c *powersim.Chassis) {
		c.Delay = 300 * time.Millisecond
		c.OnPower = func(bool, power.BootDevice) { changes++ }
	})
	ensure(t, h, c, power.On, power.Options{})
	if changes != 1 {
		t.Errorf("%d changes of power: a slow BMC must not be asked again", changes)
	}
}

func testLyingBMC(t *testing.T, h Harness, _ *power.Controller) {
	h.Chassis.Configure(func(c *powersim.Chassis) { c.Ignore = 1 })
	c, err := power.NewController(power.Config{
		Registry: power.NewRegistry(h.Kind), Poll: 20 * time.Millisecond, Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Ensure(t.Context(), h.Target, power.On, power.Options{})
	if power.ClassOf(err) != power.ActionFailed {
		t.Errorf("accepted and not done: got %v, want class %s", err, power.ActionFailed)
	}
}

func testWrongPassword(t *testing.T, h Harness, c *power.Controller) {
	want := cmp.Or(h.WrongPassword, power.Auth)
	param := cmp.Or(h.PasswordParam, "power_pass")
	if h.Target.Params[param] == "" {
		t.Skip("this harness has no password")
	}
	_, err := c.Query(t.Context(), h.with([]string{param}, "not-"+h.Target.Params[param]))
	if power.ClassOf(err) != want {
		t.Errorf("got %v (%s), want class %s", err, power.ClassOf(err), want)
	}
}

func testUnreachable(t *testing.T, h Harness, c *power.Controller) {
	params := h.AddressParams
	if params == nil {
		params = []string{"power_address"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := c.Query(ctx, h.with(params, cmp.Or(h.Unreachable, "127.0.0.1:1"))); power.ClassOf(err) != power.Connection {
		t.Errorf("got %v, want class %s", err, power.Connection)
	}
}

func testCancellation(t *testing.T, h Harness, c *power.Controller) {
	h.Chassis.Configure(func(c *powersim.Chassis) { c.Ignore = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	began := time.Now()
	if _, err := c.Ensure(ctx, h.Target, power.On, power.Options{}); err == nil {
		t.Error("no error after cancellation")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v to notice", took)
	}
}

func testStalledBMC(t *testing.T, h Harness, c *power.Controller) {
	if h.Stall == nil {
		t.Skip("this harness cannot stall")
	}
	h.Stall(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if _, err := c.Query(ctx, h.Target); power.ClassOf(err) != power.Connection {
		t.Errorf("got %v, want class %s", err, power.Connection)
	}
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("took %v after the time was over", took)
	}
	h.Stall(false)
	if _, err := c.Query(t.Context(), h.Target); err != nil {
		t.Errorf("when it answers again: %v", err)
	}
}

// testEndedSession has the BMC forget the session between the request and the state.
func testEndedSession(t *testing.T, h Harness, c *power.Controller) {
	if h.EndSessions == nil {
		t.Skip("this harness cannot end sessions")
	}
	changes := 0
	h.Chassis.Configure(func(c *powersim.Chassis) {
		c.Delay = 500 * time.Millisecond
		c.OnPower = func(bool, power.BootDevice) { changes++ }
	})
	time.AfterFunc(300*time.Millisecond, h.EndSessions)
	ensure(t, h, c, power.On, power.Options{})
	if changes != 1 {
		t.Errorf("%d changes of power", changes)
	}
}

func testConcurrency(t *testing.T, h Harness, c *power.Controller) {
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := c.Ensure(t.Context(), h.Target, power.On, power.Options{})
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func testSessions(t *testing.T, h Harness, c *power.Controller) {
	if h.Sessions == nil {
		t.Skip("this harness cannot count sessions")
	}
	for range 12 { // more than a BMC has sessions
		if _, err := c.Query(t.Context(), h.Target); err != nil {
			t.Fatal(err)
		}
	}
	// A peer may count a session until its own side has ended, a moment after its answer.
	for deadline := time.Now().Add(5 * time.Second); h.Sessions() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are still open", h.Sessions())
		}
	}
}
