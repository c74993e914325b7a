package apc

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
)

// Name is the power type's name.
const Name = "apc"

// The parameters, by the names that MAAS users know.
const (
	paramAddress   = "power_address"
	paramOutlet    = "node_outlet"
	paramDelay     = "power_on_delay"
	paramType      = "pdu_type"
	paramCommunity = "power_pass"
)

// tables are the columns of PowerNet-MIB that control an outlet: rPDUOutletControlOutletCommand and
// sPDUOutletCtl.
var tables = map[string]string{
	"RPDU":         ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.",
	"MASTERSWITCH": ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.",
}

// Values of both columns.
const (
	outletOn  = 1
	outletOff = 2
)

// Kind declares the power type "apc".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "American Power Conversion (APC) PDU",
		Params: []power.Param{
			{Name: paramAddress, Label: "Address of the PDU, with a port if it is not 161", Required: true},
			{Name: paramOutlet, Label: "Outlets of the machine, such as 7 or 7,8", Required: true, Scope: power.ScopeNode},
			{Name: paramDelay, Label: "Seconds without power in a cycle", Default: "5"},
			{Name: paramType, Label: "Type of PDU", Default: "RPDU", Choices: []string{"RPDU", "MASTERSWITCH"}},
			{Name: paramCommunity, Label: "SNMP community; private, when empty", Secret: true},
		},
		Open:     open,
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], defaultPort) },
	}
}

// exchangeTimeout and retries are for one datagram each way.
const (
	exchangeTimeout = 2 * time.Second
	retries         = 2
)

// defaultPort is the port of SNMP.
const defaultPort = "161"

// maxDelay is the longest time without power in a cycle.
const maxDelay = 10 * time.Minute

type driver struct {
	snmp  *gosnmp.GoSNMP
	oids  []string
	delay time.Duration
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	const op = "settings"
	at, err := address.ParseHost(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(cmp.Or(at.Port, defaultPort), 10, 16)
	if err != nil {
		return nil, power.Errorf(power.Settings, op, "%s: %v", paramAddress, err)
	}
	d := &driver{}
	for _, text := range strings.Split(p[paramOutlet], ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil || n == 0 {
			return nil, power.Errorf(power.Settings, op, "%s: %q is not the number of an outlet", paramOutlet, text)
		}
		d.oids = append(d.oids, tables[p[paramType]]+strconv.FormatUint(n, 10))
	}
	seconds, err := strconv.Atoi(p[paramDelay])
	if d.delay = time.Duration(seconds) * time.Second; err != nil || seconds < 0 || d.delay > maxDelay {
		return nil, power.Errorf(power.Settings, op, "%s must be 0 to %d seconds", paramDelay, int(maxDelay.Seconds()))
	}
	community := p[paramCommunity]
	if community == "" {
		community = "private"
	}
	d.snmp = &gosnmp.GoSNMP{
		Target: at.Host, Port: uint16(port), Version: gosnmp.Version1, Community: community, Timeout: exchangeTimeout, Retries: retries, MaxOids: gosnmp.MaxOids,
	}
	d.snmp.Context = ctx
	if err := d.snmp.Connect(); err != nil {
		return nil, power.Errorf(power.Connection, "open a socket", "%w", err)
	}
	return d, nil
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	const op = "read the state of the outlet"
	d.snmp.Context = ctx
	answer, err := d.snmp.Get(d.oids)
	if err := classify(ctx, op, answer, err); err != nil {
		return power.Unknown, err
	}
	on := 0
	for _, v := range answer.Variables {
		switch n := gosnmp.ToBigInt(v.Value); {
		case n.Int64() == outletOn:
			on++
		case n.Int64() != outletOff:
			return power.Unknown, nil
		}
	}
	switch on {
	case 0:
		return power.Off, nil
	case len(d.oids):
		return power.On, nil
	}
	return power.Transitioning, nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	value := outletOff
	if target == power.On {
		value = outletOn
	}
	var pdus []gosnmp.SnmpPDU
	for _, oid := range d.oids {
		pdus = append(pdus, gosnmp.SnmpPDU{Name: oid, Type: gosnmp.Integer, Value: value})
	}
	d.snmp.Context = ctx
	answer, err := d.snmp.Set(pdus)
	return classify(ctx, "switch the outlet "+string(target), answer, err)
}

// Cycle implements power.Cycler: machines keep some power for seconds, so the time without it is a
// setting.
func (d *driver) Cycle(ctx context.Context) error {
	if err := d.SetPower(ctx, power.Off); err != nil {
		return err
	}
	select {
	case <-time.After(d.delay):
	case <-ctx.Done():
		// The machine must not stay off because the caller stopped waiting.
		return errors.Join(ctx.Err(), d.SetPower(context.WithoutCancel(ctx), power.On))
	}
	return d.SetPower(ctx, power.On)
}

// Close implements power.Closer.
func (d *driver) Close(context.Context) error { return d.snmp.Conn.Close() }

// classify sorts what came back. A wrong community is not answered at all.
func classify(ctx context.Context, op string, answer *gosnmp.SnmpPacket, err error) error {
	switch {
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	case err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), "timeout")):
		return power.Errorf(power.Connection, op, "no answer; a wrong community looks the same over SNMP version 1")
	case err != nil:
		return power.Errorf(power.Connection, op, "%w", err)
	}
	switch answer.Error {
	case gosnmp.NoError:
		return nil
	case gosnmp.NoSuchName:
		return power.Errorf(power.Settings, op, "the PDU has no such outlet, or its type is another; see %s and %s", paramOutlet, paramType)
	case gosnmp.ReadOnly, gosnmp.NoAccess, gosnmp.AuthorizationError:
		return power.Errorf(power.Auth, op, "the community may not write")
	}
	return power.Errorf(power.ActionFailed, op, "the PDU answers %s", answer.Error)
}
