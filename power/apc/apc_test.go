package apc_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"
	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/apc"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unit is a simulated PDU whose outlet 7 feeds a chassis; outlet 8 is another supply of it.
type unit struct {
	conn    net.PacketConn
	chassis *powersim.Chassis

	mu    sync.Mutex
	eight int
}

const outlets = ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4."

func serve(t *testing.T, chassis *powersim.Chassis) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &unit{conn: conn, chassis: chassis, eight: 2}
	var done sync.WaitGroup
	done.Go(u.run)
	t.Cleanup(func() { conn.Close(); done.Wait() })
	return conn.LocalAddr().String()
}

func (u *unit) run() {
	codec := &gosnmp.GoSNMP{Version: gosnmp.Version1}
	b := make([]byte, 4096)
	for {
		n, from, err := u.conn.ReadFrom(b)
		if err != nil {
			return
		}
		p, err := codec.SnmpDecodePacket(b[:n])
		if err != nil || p.Community != "private" {
			continue // as a unit does
		}
		u.answer(p)
		if out, err := p.MarshalMsg(); err == nil {
			_, _ = u.conn.WriteTo(out, from)
		}
	}
}

func (u *unit) answer(p *gosnmp.SnmpPacket) {
	set := p.PDUType == gosnmp.SetRequest
	p.PDUType = gosnmp.GetResponse
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, v := range p.Variables {
		state := 2
		switch strings.TrimPrefix(v.Name, outlets) {
		case "7":
			if set {
				u.chassis.SetPower(v.Value == 1)
			}
			if u.chassis.On() {
				state = 1
			}
		case "8":
			if set {
				u.eight = v.Value.(int)
			}
			state = u.eight
		default:
			p.Error, p.ErrorIndex = gosnmp.NoSuchName, uint8(i+1)
			return
		}
		p.Variables[i] = gosnmp.SnmpPDU{Name: v.Name, Type: gosnmp.Integer, Value: state}
	}
}

func TestAPC(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		return powertest.Harness{
			Kind: apc.Kind(), Chassis: chassis, WrongPassword: power.Connection,
			Target: power.Target{Kind: apc.Name, Params: power.Params{
				"power_address": serve(t, chassis), "node_outlet": "7", "power_on_delay": "0", "power_pass": "private",
			}},
		}
	})
}

func TestOutlets(t *testing.T) {
	address := serve(t, &powersim.Chassis{})
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(apc.Kind()), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	target := func(outlet string) power.Target {
		return power.Target{Kind: apc.Name, Params: power.Params{"power_address": address, "node_outlet": outlet}}
	}
	if _, err := c.Ensure(t.Context(), target("7"), power.On, power.Options{}); err != nil {
		t.Fatal(err)
	}
	if state, err := c.Query(t.Context(), target("7,8")); err != nil || state != power.Transitioning {
		t.Errorf("one of two outlets on: %s, %v", state, err)
	}
	if result, err := c.Ensure(t.Context(), target("7, 8"), power.On, power.Options{}); err != nil || result.State != power.On {
		t.Errorf("both: %+v, %v", result, err)
	}
	for _, outlet := range []string{"9", "x", "0", ""} {
		if _, err := c.Query(t.Context(), target(outlet)); power.ClassOf(err) != power.Settings {
			t.Errorf("outlet %q: %v", outlet, err)
		}
	}
}
