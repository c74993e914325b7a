package ipmi

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/ipmi/internal/rmcp"
)

// exchangeTimeout and tries are for one datagram each way; BMCs drop some when busy.
const (
	exchangeTimeout = 2 * time.Second
	tries           = 4
	silentTries     = 2 // with a suite that is not the last one
)

// lanPlus is a session over RMCP+.
type lanPlus struct {
	session commander
	efi     bool
	off     byte // chassis control for power off
}

const opOpen = "open a session"

func openLANPlus(ctx context.Context, at address.Address, p power.Params) (power.Driver, error) {
	key, err := parseKey(p[paramKey])
	if err != nil {
		return nil, err
	}
	cfg := rmcp.Config{
		Address: at.HostPort(defaultPort), User: p[paramUser], Password: p[paramPass], Key: key,
		Privilege: levels[p[paramLevel]], Wait: exchangeTimeout, Tries: tries,
	}
	suites, err := suitesOf(p)
	if err != nil {
		return nil, err
	}
	transcript := power.TranscriptFrom(ctx)
	// Power up and down are the same for all; only the polite way to switch off is a setting.
	d := &lanPlus{efi: p[paramBootType] == bootEFI, off: controlDown}
	if p[paramOffMode] == offSoft {
		d.off = controlSoft
	}
	// A playback needs no BMC, and the handshake is not in the transcript.
	if transcript.Replays() {
		d.session = played{transcript}
		return d, nil
	}
	session, err := dial(ctx, cfg, suites)
	if err != nil {
		return nil, classify(opOpen, err)
	}
	d.session = session
	if transcript != nil {
		d.session = recorded{session, transcript}
	}
	return d, nil
}

// suitesOf returns the cipher suites to try, in order. 17 (SHA-256) is the strongest that BMCs
// have; 3 (SHA-1) is in all of them.
func suitesOf(p power.Params) ([]uint8, error) {
	if p[paramCipher] == "" {
		return []uint8{17, 3}, nil
	}
	id, err := strconv.ParseUint(p[paramCipher], 10, 8)
	if err != nil {
		return nil, power.Errorf(power.Settings, "settings", "%s: %v", paramCipher, err)
	}
	return []uint8{uint8(id)}, nil
}

// dial opens a session with the first suite that the BMC speaks. Some BMCs refuse a suite, and old
// ones do not answer at all, so silence leads to the next suite, too: after fewer tries, and early
// enough to leave the last suite at least half of the time that ctx has.
func dial(ctx context.Context, cfg rmcp.Config, suites []uint8) (session *rmcp.Session, err error) {
	for i, suite := range suites {
		attempt := cfg
		attempt.Suite = suite
		if i < len(suites)-1 {
			attempt.HandshakeTries = silentTries
			if end, ok := ctx.Deadline(); ok {
				attempt.HandshakeWait = min(cfg.Wait, time.Until(end)/(2*silentTries))
			}
		}
		session, err = rmcp.Dial(ctx, attempt)
		var status rmcp.Status
		if !errors.Is(err, rmcp.ErrSilent) && (!errors.As(err, &status) || !status.Suite()) {
			break // another suite would get the same answer
		}
	}
	return session, err
}

// levels are the privilege levels by name. USER can ask but not switch.
var levels = map[string]byte{"USER": rmcp.User, "OPERATOR": rmcp.Operator, "ADMIN": rmcp.Administrator}

// parseKey reads a BMC key as MAAS writes it: up to 20 characters, or 0x and up to 40 hexadecimal
// digits.
func parseKey(text string) ([]byte, error) {
	digits, isHex := strings.CutPrefix(text, "0x")
	key := []byte(text)
	var err error
	if isHex {
		key, err = hex.DecodeString(digits)
	}
	if err != nil || len(key) > 20 {
		return nil, power.Errorf(power.Settings, "settings", "%s is neither up to 20 characters nor 0x and up to 40 hexadecimal digits", paramKey)
	}
	return key, nil
}

// classify sorts the errors of a session.
func classify(op string, err error) error {
	var status rmcp.Status
	var code rmcp.Completion
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rmcp.ErrConfig):
		return power.Errorf(power.Settings, op, "%w", err)
	case errors.Is(err, rmcp.ErrPassword), errors.Is(err, rmcp.ErrKey):
		return power.Errorf(power.Auth, op, "%w", err)
	case errors.As(err, &status):
		return power.Errorf(classOf(status), op, "%w", err)
	// 0xd4 is "insufficient privilege". At the opening of a session any refusal concerns the user.
	case errors.As(err, &code) && (code == 0xd4 || op == opOpen):
		return power.Errorf(power.Auth, op, "%w", err)
	// 0x80 is "parameter not supported", 0xc1 "invalid command": another try gets the same.
	case errors.As(err, &code) && (code == 0x80 || code == 0xc1):
		return power.Errorf(power.Unsupported, op, "%w", err)
	case errors.As(err, &code):
		return power.Errorf(power.ActionFailed, op, "%w", err)
	}
	return power.Errorf(power.Connection, op, "%w", err)
}

func classOf(s rmcp.Status) power.Class {
	switch {
	case s.Suite():
		return power.Unsupported
	// A session of another client ends at some time: this is worth another try.
	case s.Busy():
		return power.Connection
	}
	return power.Auth
}

// Chassis commands, by network function 0 (IPMI 2.0 section 28).
const (
	netFnChassis   = 0x00
	cmdStatus      = 0x01
	cmdControl     = 0x02
	cmdIdentify    = 0x04
	cmdSetBoot     = 0x08
	cmdGetBoot     = 0x09
	paramProgress  = 0 // of the boot options (table 28-14)
	paramBootAck   = 4
	paramBootFlags = 5

	controlDown  = 0
	controlUp    = 1
	controlCycle = 2
	controlReset = 3
	controlSoft  = 5
)

func (d *lanPlus) command(ctx context.Context, op string, command byte, data ...byte) ([]byte, error) {
	answer, err := d.session.Command(ctx, netFnChassis, command, data)
	return answer, classify(op, err)
}

func (d *lanPlus) PowerState(ctx context.Context) (power.State, error) {
	const op = "read the chassis status"
	answer, err := d.command(ctx, op, cmdStatus)
	switch {
	case err != nil:
		return power.Unknown, err
	// Bit 0 of the first octet is the power (IPMI 2.0 section 28.2).
	case len(answer) == 0:
		return power.Unknown, power.Errorf(power.ActionFailed, op, "the answer is empty")
	case answer[0]&1 != 0:
		return power.On, nil
	}
	return power.Off, nil
}

func (d *lanPlus) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		// Up and down are idempotent, unlike cycle: a repeated one changes nothing.
		return d.control(ctx, "power up", controlUp)
	}
	return d.control(ctx, "power down", d.off)
}

// Cycle implements power.Cycler.
func (d *lanPlus) Cycle(ctx context.Context) error {
	return d.control(ctx, "power cycle", controlCycle)
}

// Reset implements power.Resetter.
func (d *lanPlus) Reset(ctx context.Context) error { return d.control(ctx, "hard reset", controlReset) }

// SoftOff implements power.SoftOffer.
func (d *lanPlus) SoftOff(ctx context.Context) error {
	return d.control(ctx, "soft shutdown", controlSoft)
}

func (d *lanPlus) control(ctx context.Context, op string, c byte) error {
	_, err := d.command(ctx, op, cmdControl, c)
	return err
}

// selectors are the boot devices of the boot flags.
var selectors = map[power.BootDevice]byte{power.Default: 0, power.Network: 1, power.Disk: 2, power.CD: 5, power.Setup: 6}

const (
	flagValid  = 0x80
	flagAlways = 0x40 // not for the next boot only
	flagEFI    = 0x20
)

// SetBootOnce implements power.Booter.
func (d *lanPlus) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	return d.setBoot(ctx, device, flagValid)
}

// SetBootAlways implements power.AlwaysBooter.
func (d *lanPlus) SetBootAlways(ctx context.Context, device power.BootDevice) error {
	// There is nothing to keep for all boots: without an override the machine has its own order.
	if device == power.Default {
		return d.setBoot(ctx, device, flagValid)
	}
	return d.setBoot(ctx, device, flagValid|flagAlways)
}

func (d *lanPlus) setBoot(ctx context.Context, device power.BootDevice, flags byte) error {
	const op = "set the boot device"
	selector, ok := selectors[device]
	if !ok {
		return power.Errorf(power.Unsupported, op, "IPMI has no boot device %q", device)
	}
	// Some UEFI firmware ignores flags that are meant for a BIOS (table 28-14, bit 5).
	if d.efi {
		flags |= flagEFI
	}
	// Many BMCs know neither of these two, and need neither: the second declares that no part of
	// the system has acted on the options yet. So their errors do not count.
	_, _ = d.command(ctx, op, cmdSetBoot, paramProgress, 1)
	_, _ = d.command(ctx, op, cmdSetBoot, paramBootAck, 1, 1)
	_, err := d.command(ctx, op, cmdSetBoot, paramBootFlags, flags, selector<<2, 0, 0, 0)
	_, _ = d.command(ctx, op, cmdSetBoot, paramProgress, 0)
	return err
}

// BootOnce implements power.Booter. Some BMCs, and OpenIPMI's simulator, keep the device but not
// the bit that says it is valid, so only the device is compared.
func (d *lanPlus) BootOnce(ctx context.Context) (power.BootDevice, error) {
	const op = "read the boot device"
	answer, err := d.command(ctx, op, cmdGetBoot, paramBootFlags, 0, 0)
	if power.ClassOf(err) == power.ActionFailed || err == nil && len(answer) < 4 {
		return "", power.Errorf(power.Unsupported, op, "the BMC does not tell: %w", errors.Join(err))
	}
	if err != nil {
		return "", err
	}
	for device, selector := range selectors {
		// The device is in bits 5 to 2 of the second data octet (table 28-14).
		if selector == answer[3]>>2&0xf {
			return device, nil
		}
	}
	return power.BootDevice("IPMI device " + strconv.Itoa(int(answer[3]>>2&0xf))), nil
}

// Identify implements power.Identifier (IPMI 2.0 section 28.5).
func (d *lanPlus) Identify(ctx context.Context, on bool) error {
	data := []byte{0} // for no time: off
	if on {
		// The second octet is "force on": the light stays on without a time (an interval ends after
		// 255 s).
		data = []byte{0, 1}
	}
	_, err := d.command(ctx, "identify", cmdIdentify, data...)
	return err
}

// Close implements power.Closer.
func (d *lanPlus) Close(ctx context.Context) error { return d.session.Close(ctx) }
