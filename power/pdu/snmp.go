package pdu

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/outlet"
)

// exchangeTimeout and retries are for one datagram each way.
const (
	exchangeTimeout = 2 * time.Second
	retries         = 2
)

// defaultPort is the port of SNMP.
const defaultPort = "161"

// authentications are the hashes of SNMP version 3.
var authentications = map[string]gosnmp.SnmpV3AuthProtocol{"MD5": gosnmp.MD5, "SHA": gosnmp.SHA, "SHA256": gosnmp.SHA256, "SHA512": gosnmp.SHA512}

// driver is a unit that speaks SNMP.
type driver struct {
	snmp    *gosnmp.GoSNMP
	make    pduMake
	outlets []string
	delay   time.Duration

	transcript *power.Transcript // nil = none
}

func openSNMP(ctx context.Context, p power.Params, m pduMake, outlets []string, delay time.Duration) (power.Driver, error) {
	at, err := address.ParseHost(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(cmp.Or(at.Port, defaultPort), 10, 16)
	if err != nil {
		return nil, power.Errorf(power.Settings, "settings", "%s: %v", paramAddress, err)
	}
	d := &driver{make: m, outlets: outlets, delay: delay, transcript: power.TranscriptFrom(ctx)}
	d.snmp = &gosnmp.GoSNMP{
		Target: at.Host, Port: uint16(port), Version: gosnmp.Version1, Community: cmp.Or(p[paramPass], "private"),
		Timeout: exchangeTimeout, Retries: retries, MaxOids: gosnmp.MaxOids, Context: ctx,
	}
	switch p[paramVersion] {
	case "2c":
		d.snmp.Version = gosnmp.Version2c
	case "3":
		if err := useVersion3(d.snmp, p); err != nil {
			return nil, err
		}
	}
	if d.transcript.Replays() { // without a PDU
		return d, nil
	}
	if err := d.snmp.Connect(); err != nil {
		return nil, power.Errorf(power.Connection, "open a socket", "%w", err)
	}
	return d, nil
}

// minPassword is the shortest password of SNMP version 3 (RFC 3414 section 11.2).
const minPassword = 8

// useVersion3 authenticates and encrypts as a user (RFC 3414).
func useVersion3(s *gosnmp.GoSNMP, p power.Params) error {
	const op = "settings"
	switch {
	case p[paramUser] == "":
		return power.Errorf(power.Settings, op, "%s=3 needs %s", paramVersion, paramUser)
	case len(p[paramPass]) < minPassword:
		return power.Errorf(power.Settings, op, "%s has fewer than %d characters, which SNMP version 3 does not allow", paramPass, minPassword)
	case p[paramPrivacy] != "" && len(p[paramPrivacy]) < minPassword:
		return power.Errorf(power.Settings, op, "%s has fewer than %d characters, which SNMP version 3 does not allow", paramPrivacy, minPassword)
	}
	user := &gosnmp.UsmSecurityParameters{
		UserName: p[paramUser], AuthenticationProtocol: authentications[p[paramAuth]], AuthenticationPassphrase: p[paramPass],
	}
	s.Version, s.SecurityModel, s.MsgFlags, s.SecurityParameters = gosnmp.Version3, gosnmp.UserSecurityModel, gosnmp.AuthNoPriv, user
	if p[paramPrivacy] != "" {
		s.MsgFlags, user.PrivacyProtocol, user.PrivacyPassphrase = gosnmp.AuthPriv, gosnmp.AES, p[paramPrivacy]
	}
	return nil
}

// variables returns a column for all outlets, with a value to set; nil = to read.
func (d *driver) variables(column string, value any) []gosnmp.SnmpPDU {
	out := make([]gosnmp.SnmpPDU, len(d.outlets))
	for i, number := range d.outlets {
		out[i] = gosnmp.SnmpPDU{Name: column + number, Type: gosnmp.Integer, Value: value}
	}
	return out
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	const op = "read the state of the outlet"
	answer, err := d.exchange(ctx, "get", d.variables(d.make.state, nil))
	if err := classify(ctx, op, answer, err); err != nil {
		return power.Unknown, err
	}
	on := 0
	for _, v := range answer.Variables {
		if v.Type == gosnmp.NoSuchInstance || v.Type == gosnmp.NoSuchObject { // version 1 has an error for it
			return power.Unknown, noOutlet(op)
		}
		switch n := int(gosnmp.ToBigInt(v.Value).Int64()); {
		case n == d.make.on:
			on++
		case slices.Contains(d.make.turning, n):
			return power.Transitioning, nil
		case n != d.make.off:
			return power.Unknown, nil
		}
	}
	return outlet.State(on, len(d.outlets)), nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	value, column := d.make.setOff, d.make.control
	if target == power.On {
		value, column = d.make.setOn, cmp.Or(d.make.controlOn, column)
	}
	answer, err := d.exchange(ctx, "set", d.variables(column, value))
	return classify(ctx, "switch the outlet "+string(target), answer, err)
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error { return outlet.Cycle(ctx, d.delay, d.SetPower) }

// Close implements power.Closer.
func (d *driver) Close(context.Context) error {
	if d.transcript.Replays() {
		return nil
	}
	return d.snmp.Conn.Close()
}

func noOutlet(op string) error {
	return power.Errorf(power.Settings, op, "the PDU has no such outlet, or its make is another; see %s and %s", paramOutlet, paramType)
}

// refusals of SNMP version 3 (RFC 3414 section 3.2): trying again gets the same.
var refusals = []error{gosnmp.ErrUnknownUsername, gosnmp.ErrWrongDigest, gosnmp.ErrDecryption, gosnmp.ErrUnknownSecurityLevel}

// classify sorts what came back. A wrong community is not answered at all.
func classify(ctx context.Context, op string, answer *gosnmp.SnmpPacket, err error) error {
	played := (*power.Error)(nil)
	switch {
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	case errors.As(err, &played): // a transcript without an answer
		return err
	// The library drops the report of a refusal, which has no authentication itself, and has no
	// type for that.
	case slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(err, r) }), err != nil && strings.Contains(err.Error(), "not authentic"):
		return power.Errorf(power.Auth, op, "%w", err)
	case err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), "timeout")):
		return power.Errorf(power.Connection, op, "no answer; a wrong community looks the same, and so does another version of SNMP")
	case err != nil:
		return power.Errorf(power.Connection, op, "%w", err)
	}
	switch answer.Error {
	case gosnmp.NoError:
		return nil
	case gosnmp.NoSuchName, gosnmp.NoCreation, gosnmp.InconsistentName:
		return noOutlet(op)
	case gosnmp.ReadOnly, gosnmp.NoAccess, gosnmp.NotWritable, gosnmp.AuthorizationError:
		return power.Errorf(power.Auth, op, "the community or user may not write")
	}
	return power.Errorf(power.ActionFailed, op, "the PDU answers %s", answer.Error)
}
