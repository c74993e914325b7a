package bmcserve

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/gomaas/maas/power"
)

// ipmiPatience is the time in which a failure is still the answer: clients send a request again
// after a second.
const ipmiPatience = 500 * time.Millisecond

// ipmiSessions is the number of sessions of a listener.
const ipmiSessions = 256

// Limits of IPMI 2.0 (section 13.20 and table 22-34).
const (
	maxIPMIUser     = 16
	maxIPMIPassword = 20
	maxIPMIUsers    = 63
)

// ServeIPMI answers IPMI 2.0 (cipher suites 17 and 3) and 1.5 (MD5) on a socket until ctx ends. If
// machine is empty, the user name decides: an account with one machine is for that, another is
// written as USER@MACHINE. It returns nil when ctx ended.
func (s *Server) ServeIPMI(ctx context.Context, conn net.PacketConn, machine string) error {
	if machine != "" && s.machines[machine] == nil {
		return fmt.Errorf("bmcserve: there is no machine %q", machine)
	}
	guid := md5.Sum([]byte("gomaas bmc " + machine))
	b := bmc.New(bmc.DeviceInfo{DeviceID: 32, DeviceRevision: 1, FirmwareMajor: 1, IPMIVersion: 0x20}, guid, &ipmiHAL{HAL: mock.New(), chassis: &chassis{server: s}},
		bmc.WithClock(clock.Real), bmc.WithCipherSuites([]types.CipherSuiteID{types.CipherSuiteID17, types.CipherSuiteID3}))
	b.Sessions = bmc.NewSessionStoreWithOptions(b.Clock(), bmc.WithMaxSessions(ipmiSessions))
	names, err := s.ipmiUsers(machine)
	if err != nil {
		return err
	}
	// The library enables the anonymous user. None may log in as it, but clients and scanners would
	// read in the capabilities that it exists.
	if _, err := b.Users.Add(1, ""); err != nil { // in the place of the enabled one
		return fmt.Errorf("bmcserve: %w", err)
	}
	for i, name := range names {
		c, _ := s.find(name)
		u, err := b.Users.Add(uint8(i+2), name)
		if err != nil {
			return fmt.Errorf("bmcserve: user %s: %w", name, err)
		}
		u.SetPassword([]byte(c.account.Password))
		u.Enabled = true
		level := bmc.PrivilegeLevelAdministrator
		if c.account.ReadOnly {
			level = bmc.PrivilegeLevelUser
		}
		u.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: level, Enabled: true}
	}
	registry := handlers.NewRegistry()
	bounded := &boundedConn{PacketConn: conn, server: s}
	registry.Use(s.chooseMachine(machine))
	registry.Use(bounded.noteActivation)
	// Not those that change users, the network or other settings of the BMC: they are the server's.
	handlers.RegisterSessionHandlers(registry)
	handlers.RegisterChassisHandlers(registry)
	registry.RegisterFunc(types.CommandGetDeviceID, deviceID)
	registry.RegisterFunc(types.CommandGetSystemGUID, func(_ context.Context, h *handlers.HandlerContext, _ []byte) ([]byte, types.CompletionCode, error) {
		return h.BMC.GUID[:], types.CodeOK, nil
	})
	srv := server.NewServer(b, bounded, server.WithHandlerRegistry(registry))
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err = srv.Serve(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// deviceID answers Get Device ID (IPMI 2.0 section 20.1): a BMC with a chassis, of no known maker.
func deviceID(_ context.Context, h *handlers.HandlerContext, _ []byte) ([]byte, types.CompletionCode, error) {
	i := h.BMC.Info
	const chassisDevice = 0x80
	return []byte{i.DeviceID, i.DeviceRevision, i.FirmwareMajor, i.FirmwareMinor, 0x02, chassisDevice, 0, 0, 0, 0, 0}, types.CodeOK, nil
}

// ipmiUsers returns the user names of a listener: of accounts that see its machine or, without one,
// of accounts with one machine, and of accounts and machines together.
func (s *Server) ipmiUsers(machine string) (names []string, err error) {
	for i := range s.cfg.Accounts {
		a := &s.cfg.Accounts[i]
		if len(a.Password) > maxIPMIPassword {
			return nil, fmt.Errorf("bmcserve: account %s: its password has more than the %d octets that IPMI allows", a.User, maxIPMIPassword)
		}
		seen := s.visible(client{account: a})
		if machine != "" && a.sees(machine) || machine == "" && len(seen) == 1 {
			names = append(names, a.User)
		}
		for _, m := range seen {
			if name := a.User + "@" + m; machine == "" && len(name) <= maxIPMIUser {
				names = append(names, name)
			}
		}
		if len(a.User) > maxIPMIUser {
			return nil, fmt.Errorf("bmcserve: account %s: its user has more than the %d octets that IPMI allows", a.User, maxIPMIUser)
		}
	}
	if len(names) > maxIPMIUsers-1 {
		return nil, fmt.Errorf("bmcserve: IPMI allows %d users on one listener, and there are %d; give machines listeners of their own", maxIPMIUsers-1, len(names))
	}
	return names, nil
}

type ipmiKey struct{}

// ipmiTarget is the machine of a request, with the client.
type ipmiTarget struct {
	client  client
	machine *machine
}

// chooseMachine hands the machine of a session to the chassis below.
func (s *Server) chooseMachine(fixed string) handlers.Middleware {
	return func(next handlers.Handler) handlers.Handler {
		return handlers.HandlerFunc(func(ctx context.Context, h *handlers.HandlerContext, data []byte) ([]byte, types.CompletionCode, error) {
			if h.User == nil {
				return next.Handle(ctx, h, data)
			}
			c, ok := s.find(h.User.Name)
			if !ok {
				return next.Handle(ctx, h, data)
			}
			c.protocol = "ipmi"
			if h.Session != nil && h.Session.GetAddr() != nil {
				c.source = hostOf(h.Session.GetAddr().String())
			}
			name := fixed
			if seen := s.visible(c); name == "" && len(seen) == 1 {
				name = seen[0]
			}
			return next.Handle(context.WithValue(ctx, ipmiKey{}, ipmiTarget{c, s.machines[name]}), h, data)
		})
	}
}

// ipmiHAL is a library BMC's hardware with a chassis of the server's.
type ipmiHAL struct {
	*mock.HAL
	chassis *chassis
}

func (h *ipmiHAL) Chassis() hal.ChassisHAL { return h.chassis }

// chassis is the machine of each request. What it does not override answers as the library's own.
type chassis struct {
	mock.Chassis
	server *Server
}

// target returns the machine of a request, or the completion code of a request without one.
func (c *chassis) target(ctx context.Context) (ipmiTarget, error) {
	t, ok := ctx.Value(ipmiKey{}).(ipmiTarget)
	if !ok || t.machine == nil {
		return t, types.CodeNotSupported
	}
	return t, nil
}

// writable is target for requests that change something: the level of the session, which the
// library compares, lets users set boot options.
func (c *chassis) writable(ctx context.Context) (ipmiTarget, error) {
	t, err := c.target(ctx)
	if err == nil && t.client.account.ReadOnly {
		err = types.CodeInsufficientPrivilege
	}
	return t, err
}

// PowerState implements hal.ChassisHAL.
func (c *chassis) PowerState(ctx context.Context) (bool, error) {
	t, err := c.target(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*ipmiPatience)
	defer cancel()
	state, action, err := c.server.stateOf(ctx, t.machine)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return false, types.CodeNodeBusy // the answer will have arrived when the client asks again
	case err != nil:
		return false, types.CodeUnspecifiedError
	case state == power.Unknown && action == "", state == power.Transitioning:
		return false, types.CodeNodeBusy // IPMI has no word for it
	}
	return state == power.On, nil
}

// act begins an action.
func (c *chassis) act(ctx context.Context, action power.Action) error {
	t, err := c.writable(ctx)
	if err != nil {
		return err
	}
	switch err := c.server.switchTo(t.client, t.machine, action, "", ipmiPatience); {
	case err == nil:
		return nil
	case errors.Is(err, errBusy):
		return types.CodeNodeBusy
	case power.ClassOf(err) == power.Unsupported:
		return types.CodeNotSupported
	}
	return types.CodeUnspecifiedError
}

// SetPower implements hal.ChassisHAL.
func (c *chassis) SetPower(ctx context.Context, on bool) error {
	if on {
		return c.act(ctx, power.ActionOn)
	}
	return c.act(ctx, power.ActionOff)
}

// PowerCycle implements hal.ChassisHAL.
func (c *chassis) PowerCycle(ctx context.Context) error { return c.act(ctx, power.ActionCycle) }

// ColdReset implements hal.ChassisHAL.
func (c *chassis) ColdReset(ctx context.Context) error { return c.act(ctx, power.ActionReset) }

// WarmReset implements hal.ChassisHAL, which calls it for a soft shutdown.
func (c *chassis) WarmReset(ctx context.Context) error { return c.act(ctx, power.ActionSoftOff) }

// Identify implements hal.ChassisHAL.
func (c *chassis) Identify(ctx context.Context, seconds uint8) error {
	if seconds == 0 {
		return c.act(ctx, power.ActionDark)
	}
	return c.act(ctx, power.ActionLight)
}

// selectors are the boot devices of the boot flags.
var selectors = map[types.BootDeviceSelector]power.BootDevice{
	types.BootDeviceSelectorNoOverride:     power.Default,
	types.BootDeviceSelectorForcePXE:       power.Network,
	types.BootDeviceSelectorForceHardDrive: power.Disk,
	types.BootDeviceSelectorForceCDROM:     power.CD,
	types.BootDeviceSelectorForceBIOSSetup: power.Setup,
}

// SetBootFlags implements hal.ChassisHAL.
func (c *chassis) SetBootFlags(ctx context.Context, flags *types.BootOptionParam_BootFlags) error {
	t, err := c.writable(ctx)
	if err != nil {
		return err
	}
	device, ok := selectors[flags.BootDeviceSelector]
	if !ok {
		return types.CodeParameterOutOfRange
	}
	if !flags.BootFlagsValid { // the options no longer hold
		device = power.Default
	}
	c.server.setBoot(t.client, t.machine, device, flags.Persist)
	return nil
}

// GetBootFlags implements hal.ChassisHAL.
func (c *chassis) GetBootFlags(ctx context.Context) (*types.BootOptionParam_BootFlags, error) {
	t, err := c.target(ctx)
	if err != nil {
		return nil, err
	}
	device, always := t.machine.bootOf()
	flags := &types.BootOptionParam_BootFlags{}
	for selector, d := range selectors {
		if d == device {
			flags.BootDeviceSelector, flags.BootFlagsValid, flags.Persist = selector, d != power.Default, always
		}
	}
	return flags, nil
}
