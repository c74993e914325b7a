package powersim

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/gomaas/maas/power"
)

// ServeIPMI starts a BMC with IPMI 1.5 (MD5) and RMCP+ (cipher suites 3 and 17) on a free port of
// 127.0.0.1.
func ServeIPMI(c *Chassis, user, password string) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	b := bmc.New(bmc.DeviceInfo{DeviceID: 32, DeviceRevision: 1, FirmwareMajor: 1, IPMIVersion: 0x20},
		[16]byte{'s', 'i', 'm', 'u', 'l', 'a', 't', 'e', 'd'}, &ipmiHAL{HAL: mock.New(), chassis: &ipmiChassis{c: c}},
		bmc.WithClock(clock.Real))
	u, err := b.Users.Add(2, user)
	if err != nil {
		return nil, err
	}
	u.SetPassword([]byte(password))
	u.Enabled = true
	u.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}

	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	faults := &faults{}
	// The faults are below the library's server, where packets are lost on a real network.
	conn := &faultyConn{udp.Wrap(socket, udp.WithReadTimeout(5*time.Second)), faults}
	srv := server.NewServer(b, conn)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = srv.Serve(ctx) }) // ends with the socket
	address := socket.LocalAddr().String()
	return &BMC{
		Address: address, faults: faults,
		target: power.Target{Kind: "ipmi", Name: address, Params: power.Params{
			"power_address": address, "power_user": user, "power_pass": password,
		}},
		session: func() int { return b.Sessions.Count() },
		close: func() error {
			cancel()
			err := srv.Close()
			conn.Close()
			done.Wait()
			c.changes.Wait()
			return err
		},
	}, nil
}

// ipmiHAL is a library BMC's hardware with our chassis in it.
type ipmiHAL struct {
	*mock.HAL
	chassis *ipmiChassis
}

func (h *ipmiHAL) Chassis() hal.ChassisHAL { return h.chassis }

func (h *ipmiHAL) Console() hal.ConsoleHAL { return echoConsole{} }

// echoConsole is a serial console that repeats what is typed.
type echoConsole struct{}

func (echoConsole) Open(context.Context) (hal.ConsoleConn, error) {
	c := &echo{}
	_, _ = c.Write([]byte("console\r\n"))
	return c, nil
}

// echo holds what was typed and not read.
type echo struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (e *echo) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.Write(b)
}

func (e *echo) ReadAvailable(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, _ := e.text.Read(b) // the end of a buffer is none of a console
	return n, nil
}

func (e *echo) SendBreak(context.Context) error { return nil }

func (e *echo) Close() error { return nil }

// ipmiChassis translates. What it does not override answers as the library's own.
type ipmiChassis struct {
	mock.Chassis
	c *Chassis
}

func (i *ipmiChassis) PowerState(context.Context) (bool, error) { return i.c.told(), nil }

func (i *ipmiChassis) SetPower(_ context.Context, on bool) error {
	if i.c.refuses(on, false) {
		return types.CodeNotSupported // 0xD5: not in the present state
	}
	i.c.SetPower(on)
	return nil
}

func (i *ipmiChassis) PowerCycle(context.Context) error { return i.cycle() }

func (i *ipmiChassis) ColdReset(context.Context) error { return i.cycle() }

func (i *ipmiChassis) cycle() error {
	if i.c.refuses(true, true) {
		return types.CodeNotSupported
	}
	i.c.Cycle()
	return nil
}

// bootDevices are the devices of the boot flags that a chassis knows.
var bootDevices = map[types.BootDeviceSelector]power.BootDevice{
	types.BootDeviceSelectorNoOverride:     power.Default,
	types.BootDeviceSelectorForcePXE:       power.Network,
	types.BootDeviceSelectorForceHardDrive: power.Disk,
	types.BootDeviceSelectorForceCDROM:     power.CD,
	types.BootDeviceSelectorForceBIOSSetup: power.Setup,
}

func (i *ipmiChassis) SetBootFlags(_ context.Context, flags *types.BootOptionParam_BootFlags) error {
	device, ok := bootDevices[flags.BootDeviceSelector]
	switch {
	case ok && flags.BootFlagsValid && flags.Persist:
		i.c.SetBootAlways(device)
	case ok && flags.BootFlagsValid:
		i.c.SetBootOnce(device)
		if device == power.Default {
			i.c.SetBootAlways("")
		}
	}
	return nil
}

// Identify lights the lamp for so many seconds; what lights it for good comes as a number too.
func (i *ipmiChassis) Identify(_ context.Context, seconds uint8) error {
	i.c.SetLight(seconds > 0)
	return nil
}

func (i *ipmiChassis) GetBootFlags(context.Context) (*types.BootOptionParam_BootFlags, error) {
	flags := &types.BootOptionParam_BootFlags{}
	boot := i.c.BootOnce()
	for selector, device := range bootDevices {
		if device == boot {
			flags.BootDeviceSelector, flags.BootFlagsValid = selector, device != power.Default
		}
	}
	return flags, nil
}
