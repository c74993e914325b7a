package ipmi

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/gomaas/maas/power"
)

// exchangeTimeout and retries are for one datagram each way; BMCs drop some when busy.
const (
	exchangeTimeout = 2 * time.Second
	retries         = 3
)

// lanPlus is a session over RMCP+.
type lanPlus struct {
	client   *client.Client
	bootType types.BIOSBootType
	off      chassis.ChassisControl
}

func openLANPlus(ctx context.Context, host string, port int, p power.Params) (power.Driver, error) {
	suites := []types.CipherSuiteID{types.CipherSuiteID17, types.CipherSuiteID3}
	if p[paramCipher] != "" {
		id, err := strconv.ParseUint(p[paramCipher], 10, 8)
		if err != nil {
			return nil, power.Errorf(power.Settings, "settings", "%s: %v", paramCipher, err)
		}
		suites = []types.CipherSuiteID{types.CipherSuiteID(id)}
	}
	d := &lanPlus{off: chassis.ChassisControlPowerDown}
	if p[paramOffMode] == offSoft {
		d.off = chassis.ChassisControlSoftShutdown
	}
	if p[paramBootType] == bootEFI {
		d.bootType = types.BIOSBootTypeEFI
	}
	var err error
	for _, suite := range suites {
		d.client, err = connect(ctx, host, port, p, suite)
		// Only a BMC that has answered and refused may like another suite better; a wrong password stays wrong.
		if class := power.ClassOf(err); err == nil || class == power.Auth || class == power.Settings || silent(err) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// levels are the privilege levels by name. USER can ask but not switch.
var levels = map[string]types.PrivilegeLevel{
	"USER": types.PrivilegeLevelUser, "OPERATOR": types.PrivilegeLevelOperator, "ADMIN": types.PrivilegeLevelAdministrator,
}

func connect(ctx context.Context, host string, port int, p power.Params, suite types.CipherSuiteID) (*client.Client, error) {
	const op = "open a session"
	c, err := client.NewClient(host, port, p[paramUser], p[paramPass])
	if err != nil {
		return nil, power.Errorf(power.Settings, op, "%v", err)
	}
	c.WithInterface(client.InterfaceLanplus).WithTimeout(exchangeTimeout).WithRetry(retries).
		WithCipherSuiteID(suite).WithMaxPrivilegeLevel(levels[p[paramLevel]])
	if err := c.Connect(ctx); err != nil {
		return nil, classifyConnect(op, err)
	}
	return c, nil
}

// classify sorts the library's errors.
func classify(op string, err error) error {
	var code types.CompletionCode
	var response *types.ResponseError
	if errors.As(err, &response) || errors.As(err, &code) {
		return power.Errorf(power.ActionFailed, op, "%w", err)
	}
	return power.Errorf(power.Connection, op, "%w", err)
}

// silent tells whether nobody answered, as far as the library lets see.
func silent(err error) bool {
	return strings.Contains(err.Error(), "timeout") || strings.Contains(err.Error(), "deadline exceeded") || strings.Contains(err.Error(), "refused")
}

// classifyConnect looks at the text, because the library flattens what went wrong with a session.
func classifyConnect(op string, err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case strings.Contains(text, client.ErrRAKPAuthentication.Error()):
		return power.Errorf(power.Auth, op, "the BMC refused the password: %s", text)
	case strings.Contains(text, types.NewRmcpStatusError(types.RmcpStatusCodeUnauthorizedName).Error()):
		return power.Errorf(power.Auth, op, "the BMC refused the user: %s", text)
	}
	return power.Errorf(power.Connection, op, "%s", text)
}

func (d *lanPlus) PowerState(ctx context.Context) (power.State, error) {
	status, err := d.client.GetChassisStatus(ctx)
	if err != nil {
		return power.Unknown, classify("read the chassis status", err)
	}
	if status.PowerIsOn {
		return power.On, nil
	}
	return power.Off, nil
}

func (d *lanPlus) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		return d.control(ctx, "power up", chassis.ChassisControlPowerUp)
	}
	return d.control(ctx, "power down", d.off)
}

// Cycle implements power.Cycler.
func (d *lanPlus) Cycle(ctx context.Context) error {
	return d.control(ctx, "power cycle", chassis.ChassisControlPowerCycle)
}

// Reset implements power.Resetter.
func (d *lanPlus) Reset(ctx context.Context) error {
	return d.control(ctx, "hard reset", chassis.ChassisControlHardReset)
}

// SoftOff implements power.SoftOffer.
func (d *lanPlus) SoftOff(ctx context.Context) error {
	return d.control(ctx, "soft shutdown", chassis.ChassisControlSoftShutdown)
}

func (d *lanPlus) control(ctx context.Context, op string, c chassis.ChassisControl) error {
	if _, err := d.client.ChassisControl(ctx, c); err != nil {
		return classify(op, err)
	}
	return nil
}

// selectors are the boot devices of the boot flags parameter (IPMI 2.0 table 28-14).
var selectors = map[power.BootDevice]types.BootDeviceSelector{
	power.Default: types.BootDeviceSelectorNoOverride,
	power.Network: types.BootDeviceSelectorForcePXE,
	power.Disk:    types.BootDeviceSelectorForceHardDrive,
	power.Setup:   types.BootDeviceSelectorForceBIOSSetup,
}

// SetBootOnce implements power.Booter.
func (d *lanPlus) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	selector, ok := selectors[device]
	if !ok {
		return power.Errorf(power.Unsupported, op, "IPMI has no boot device %q", device)
	}
	if err := d.client.SetBootDevice(ctx, selector, d.bootType, false); err != nil {
		return classify(op, err)
	}
	return nil
}

// BootOnce implements power.Booter. Some BMCs, and OpenIPMI's simulator, keep the device but not the bit that says it is
// valid, so only the device is compared.
func (d *lanPlus) BootOnce(ctx context.Context) (power.BootDevice, error) {
	const op = "read the boot device"
	flags := &types.BootOptionParam_BootFlags{}
	if err := d.client.GetSystemBootOptionsParamFor(ctx, flags); err != nil {
		if power.ClassOf(classify(op, err)) == power.ActionFailed { // refused: it cannot be read here
			return "", power.Errorf(power.Unsupported, op, "%w", err)
		}
		return "", classify(op, err)
	}
	for device, selector := range selectors {
		if selector == flags.BootDeviceSelector {
			return device, nil
		}
	}
	return power.BootDevice(flags.BootDeviceSelector.String()), nil
}

// Close implements power.Closer.
func (d *lanPlus) Close(ctx context.Context) error { return d.client.Close(ctx) }
