package powersim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gosnmp/gosnmp"

	"github.com/gomaas/maas/power"
)

// A pduColumns has the columns of the outlets of a make of PDU, from its public MIB.
type pduColumns struct {
	read, write   string
	writeOn       string // where on has a column of its own
	unit          string // before the outlet
	on, off       int    // when read
	setOn, setOff int
}

var pduMakes = map[string]pduColumns{
	"apc":                {read: "318.1.1.12.3.3.1.1.4", write: "318.1.1.12.3.3.1.1.4", on: 1, off: 2, setOn: 1, setOff: 2},
	"apc-rpdu2":          {read: "318.1.1.26.9.2.3.1.5", write: "318.1.1.26.9.2.4.1.5", on: 2, off: 1, setOn: 1, setOff: 2},
	"apc-masterswitch":   {read: "318.1.1.4.4.2.1.3", write: "318.1.1.4.4.2.1.3", on: 1, off: 2, setOn: 1, setOff: 2},
	"cyberpower":         {read: "3808.1.1.3.3.5.1.1.4", write: "3808.1.1.3.3.3.1.1.4", on: 1, off: 2, setOn: 1, setOff: 2},
	"eaton":              {read: "534.6.6.7.6.6.1.2", write: "534.6.6.7.6.6.1.3", writeOn: "534.6.6.7.6.6.1.4", unit: "0.", on: 1, off: 0},
	"raritan":            {read: "13742.6.4.1.2.1.3", write: "13742.6.4.1.2.1.2", unit: "1.", on: 7, off: 8, setOn: 1, setOff: 0},
	"servertech":         {read: "1718.4.1.8.3.1.1", write: "1718.4.1.8.5.1.2", unit: "1.1.", on: 1, off: 2, setOn: 1, setOff: 2},
	"servertech-sentry3": {read: "1718.3.2.3.1.5", write: "1718.3.2.3.1.11", unit: "1.1.", on: 1, off: 0, setOn: 1, setOff: 2},
	"vertiv":             {read: "21239.5.2.3.5.1.4", write: "21239.5.2.3.5.1.6", on: 1, off: 2, setOn: 2, setOff: 4},
}

// enterprises starts each column.
const enterprises = ".1.3.6.1.4.1."

// PDUMakes returns the makes that ServePDU can be, by the names that power/pdu has for them.
func PDUMakes() []string {
	out := []string{digitalLoggers}
	for name := range pduMakes {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

const digitalLoggers = "digital-loggers"

// ServePDU starts a power distribution unit of a make on a free port of 127.0.0.1. Outlet 7 feeds
// the chassis, and outlet 8 its second supply. The password is the SNMP community.
func ServePDU(c *Chassis, maker, password string) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	if maker == digitalLoggers {
		return serveDigitalLoggers(c, password)
	}
	columns, ok := pduMakes[maker]
	if !ok {
		return nil, fmt.Errorf("powersim: there is no PDU %q; there are %q", maker, PDUMakes())
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &pdu{outlets: outlets{chassis: c}, columns: columns, conn: conn, community: password, faults: &faults{}}
	var done sync.WaitGroup
	done.Go(u.run)
	address := conn.LocalAddr().String()
	return &BMC{
		Address: address, faults: u.faults, session: func() int { return 0 },
		target: power.Target{Kind: "pdu", Name: address, Params: power.Params{
			"power_address": address, "pdu_type": maker, "node_outlet": "7", "power_on_delay": "0", "power_pass": password,
		}},
		close: func() error {
			err := conn.Close()
			done.Wait()
			c.changes.Wait()
			return err
		},
	}, nil
}

// outlets are two outlets of a unit.
type outlets struct {
	chassis *Chassis
	mu      sync.Mutex
	second  bool // outlet 8 is on; guarded by mu
}

var errNoOutlet = errors.New("no such outlet")

func (o *outlets) on(outlet string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch outlet {
	case "7":
		return o.chassis.On(), nil
	case "8":
		return o.second, nil
	}
	return false, errNoOutlet
}

func (o *outlets) set(outlet string, on bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch outlet {
	case "7":
		o.chassis.SetPower(on)
	case "8":
		o.second = on
	default:
		return errNoOutlet
	}
	return nil
}

// pdu is a unit that speaks SNMP version 1.
type pdu struct {
	outlets
	columns   pduColumns
	conn      net.PacketConn
	community string
	faults    *faults
}

func (u *pdu) run() {
	codec := &gosnmp.GoSNMP{Version: gosnmp.Version1}
	b := make([]byte, 4096)
	for {
		n, from, err := u.conn.ReadFrom(b)
		if err != nil {
			return
		}
		p, err := codec.SnmpDecodePacket(b[:n])
		if err != nil || p.Community != u.community || u.faults.stalls() {
			continue // a unit does not answer what it does not trust
		}
		u.answer(p)
		if out, err := p.MarshalMsg(); err == nil {
			_, _ = u.conn.WriteTo(out, from)
		}
	}
}

func (u *pdu) answer(p *gosnmp.SnmpPacket) {
	set := p.PDUType == gosnmp.SetRequest
	p.PDUType = gosnmp.GetResponse
	for i, v := range p.Variables {
		value, err := u.variable(strings.TrimPrefix(v.Name, enterprises), set, v.Value)
		if err != nil {
			p.Error, p.ErrorIndex = gosnmp.NoSuchName, uint8(i+1)
			return
		}
		p.Variables[i] = gosnmp.SnmpPDU{Name: v.Name, Type: gosnmp.Integer, Value: value}
	}
}

// variable sets or reads one variable.
func (u *pdu) variable(name string, set bool, value any) (any, error) {
	c := u.columns
	in := func(column string) (string, bool) { return strings.CutPrefix(name, column+"."+c.unit) }
	if set {
		if outlet, ok := in(c.writeOn); ok && c.writeOn != "" {
			return value, u.set(outlet, true)
		}
		if outlet, ok := in(c.write); ok && (c.writeOn != "" || value == c.setOn || value == c.setOff) {
			return value, u.set(outlet, c.writeOn == "" && value == c.setOn)
		}
		return nil, errNoOutlet
	}
	outlet, ok := in(c.read)
	if !ok {
		return nil, errNoOutlet
	}
	on, err := u.on(outlet)
	if on {
		return c.on, err
	}
	return c.off, err
}

// serveDigitalLoggers starts a web power switch with its REST interface and digest authentication.
func serveDigitalLoggers(c *Chassis, password string) (*BMC, error) {
	o := &outlets{chassis: c}
	outlet := func(r *http.Request) string { // the interface counts from 0
		n, _ := strconv.Atoi(r.PathValue("n"))
		return strconv.Itoa(n + 1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /restapi/relay/outlets/{n}/physical_state/", func(w http.ResponseWriter, r *http.Request) {
		on, err := o.on(outlet(r))
		if err != nil {
			http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(on)
	})
	mux.HandleFunc("PUT /restapi/relay/outlets/{n}/state/", func(w http.ResponseWriter, r *http.Request) {
		switch on, err := strconv.ParseBool(r.FormValue("value")); {
		case r.Header.Get("X-CSRF") == "" || err != nil:
			http.Error(w, `{"error":"bad request"}`, http.StatusBadRequest)
		case o.set(outlet(r), on) != nil:
			http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	b, err := serveHTTP(c, "pdu", digestAuth(mux, "MD5", "admin", password), nil)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"pdu_type": digitalLoggers, "node_outlet": "7", "power_on_delay": "0", "power_user": "admin", "power_pass": password,
	} {
		b.target.Params[name] = value
	}
	return b, nil
}
