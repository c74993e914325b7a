package pdu

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/gomaas/maas/power"
)

// layer names exchanges of SNMP in a transcript. A request is an operation and its variables; an
// answer is the error status and the variables, a line each. Packets are not recorded: they hold
// the community, or a digest from which the password of version 3 could be guessed.
const layer = "snmp"

// exchange sends variables, or plays back what was answered to them.
func (d *driver) exchange(ctx context.Context, verb string, variables []gosnmp.SnmpPDU) (*gosnmp.SnmpPacket, error) {
	t := d.transcript
	request := verb
	names := make([]string, len(variables))
	for i, v := range variables {
		names[i] = v.Name
		request += " " + v.Name
		if v.Value != nil {
			request += fmt.Sprintf("=%v", v.Value)
		}
	}
	if t.Replays() {
		e, err := t.Replay(layer, request)
		if err != nil {
			return nil, err
		}
		return decode(e.Answer)
	}
	d.snmp.Context = ctx
	began := time.Now()
	var answer *gosnmp.SnmpPacket
	var err error
	if verb == "set" {
		answer, err = d.snmp.Set(variables)
	} else {
		answer, err = d.snmp.Get(names)
	}
	e := power.Exchange{Time: began, Took: time.Since(began), Layer: layer, Request: request}
	if err != nil {
		e.Err = err.Error()
	} else {
		e.Answer = encode(answer)
	}
	t.Record(e)
	return answer, err
}

// encode writes an answer as text.
func encode(p *gosnmp.SnmpPacket) string {
	lines := []string{fmt.Sprintf("error %d at %d", p.Error, p.ErrorIndex)}
	for _, v := range p.Variables {
		value := ""
		switch v.Value.(type) {
		case nil:
		case string, []byte:
			value = fmt.Sprintf("%q", v.Value)
		default:
			value = gosnmp.ToBigInt(v.Value).String()
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %d %s", v.Name, v.Type, value)))
	}
	return strings.Join(lines, "\n")
}

// decode reads what encode has written.
func decode(text string) (*gosnmp.SnmpPacket, error) {
	bad := func(line string) error {
		return power.Errorf(power.ActionFailed, "play back", "the transcript's answer has the line %q, which is no variable of SNMP", line)
	}
	p := &gosnmp.SnmpPacket{}
	lines := strings.Split(text, "\n")
	if n, err := fmt.Sscanf(lines[0], "error %d at %d", &p.Error, &p.ErrorIndex); n != 2 {
		return nil, fmt.Errorf("%w: %w", bad(lines[0]), err)
	}
	for _, line := range lines[1:] {
		name, rest, _ := strings.Cut(line, " ")
		kind, value, _ := strings.Cut(rest, " ")
		number, err := strconv.ParseUint(kind, 10, 8)
		if err != nil || !strings.HasPrefix(name, ".") {
			return nil, bad(line)
		}
		v := gosnmp.SnmpPDU{Name: name, Type: gosnmp.Asn1BER(number)}
		switch {
		case value == "":
		case value[0] == '"':
			if v.Value, err = strconv.Unquote(value); err != nil {
				return nil, bad(line)
			}
		default:
			n, ok := new(big.Int).SetString(value, 10)
			if !ok || !n.IsInt64() {
				return nil, bad(line)
			}
			v.Value = n.Int64()
		}
		p.Variables = append(p.Variables, v)
	}
	return p, nil
}
