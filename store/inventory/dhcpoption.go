package inventory

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
)

// optionType is the notation of an option's value.
type optionType uint8

const (
	anyOption optionType = iota // text in quotes, bytes like 0a:0b, or addresses
	addrOption
	textOption
	uint8Option
	uint16Option
	uint32Option
	flagOption
	domainsOption
)

// optionName is an option that has a name.
type optionName struct {
	code  uint8
	write optionType
}

// optionNames4 and optionNames6 are the names of options as ISC dhcpd, and so MAAS' snippets, have
// them.
var optionNames4 = map[string]optionName{
	"subnet-mask": {1, addrOption}, "time-offset": {2, uint32Option}, "routers": {3, addrOption}, "time-servers": {4, addrOption},
	"domain-name-servers": {6, addrOption}, "log-servers": {7, addrOption}, "lpr-servers": {9, addrOption}, "host-name": {12, textOption},
	"domain-name": {15, textOption}, "root-path": {17, textOption}, "ip-forwarding": {19, flagOption}, "default-ip-ttl": {23, uint8Option},
	"interface-mtu": {26, uint16Option}, "broadcast-address": {28, addrOption}, "nis-domain": {40, textOption}, "nis-servers": {41, addrOption},
	"ntp-servers": {42, addrOption}, "netbios-name-servers": {44, addrOption}, "smtp-server": {69, addrOption}, "tftp-server-name": {66, textOption},
	"bootfile-name": {67, textOption}, "vendor-encapsulated-options": {43, anyOption}, "vendor-class-identifier": {60, textOption},
	"pcode": {100, textOption}, "tcode": {101, textOption}, "domain-search": {119, domainsOption}, "tftp-server-address": {150, addrOption},
	"wpad-url": {252, textOption},
}

var optionNames6 = map[string]optionName{
	"name-servers": {23, addrOption}, "domain-search": {24, domainsOption}, "sntp-servers": {31, addrOption}, "info-refresh-time": {32, uint32Option},
	"bootfile-url": {59, textOption},
}

// Options that the DHCP server makes itself for each reply.
var (
	ownOptions4 = []uint8{0, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 80, 82, 97, 255}
	ownOptions6 = []uint8{0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 18, 19, 20, 25}
)

// DHCPOptions holds what the value of a snippet or of a class sets.
type DHCPOptions struct {
	V4, V6 dhcpsrv.Options
	// LeaseTime is the length of leases of a subnet or of the site; 0 = not set.
	LeaseTime time.Duration
}

// leaseTimeStatement is dhcpd's word for the length of the leases that clients do not ask for,
// which snippets of MAAS have, too.
const leaseTimeStatement = "default-lease-time"

// ParseDHCPOptions reads statements such as
//
//	option ntp-servers 192.0.2.1, 192.0.2.2;
//	option 150 192.0.2.9;
//	option 43 01:04:0a:00:00:01;
//	option dhcp6.name-servers 2001:db8::53;
//	default-lease-time 3600;
//
// each of which ends with a semicolon or its line. Options are named as ISC dhcpd does or by
// number; values are addresses, numbers, names, on or off, text in quotes, or bytes in hexadecimal
// with colons. Text after # is ignored. The error says what cannot be read.
func ParseDHCPOptions(text string) (out DHCPOptions, err error) {
	for line := range strings.Lines(text) {
		statements, err := splitStatements(line)
		if err != nil {
			return DHCPOptions{}, err
		}
		for _, statement := range statements {
			if err := out.add(statement); err != nil {
				return DHCPOptions{}, err
			}
		}
	}
	if len(out.V4)+len(out.V6) == 0 && out.LeaseTime == 0 {
		return DHCPOptions{}, fmt.Errorf("no option is set; write for example: option ntp-servers 192.0.2.1;")
	}
	return out, nil
}

func (d *DHCPOptions) add(statement string) error {
	words := strings.SplitN(statement, " ", 3)
	if len(words) == 2 && words[0] == leaseTimeStatement {
		// The largest number stands for a lease without end, which no server can take back.
		n, err := strconv.ParseUint(words[1], 10, 32)
		if err != nil || n == 0 || n == 1<<32-1 {
			return fmt.Errorf("%s: %q is not a number of seconds from 1 to 4294967294", leaseTimeStatement, clipped(words[1]))
		}
		if d.LeaseTime != 0 {
			return fmt.Errorf("%s: is there twice", leaseTimeStatement)
		}
		d.LeaseTime = time.Duration(n) * time.Second
		return nil
	}
	if len(words) < 3 || words[0] != "option" {
		return fmt.Errorf("%q is not understood; write option NAME VALUE, such as: option ntp-servers 192.0.2.1;", clipped(statement))
	}
	name, is6 := strings.CutPrefix(words[1], "dhcp6.")
	o, err := parseOption(name, strings.TrimSpace(words[2]), is6)
	if err != nil {
		return fmt.Errorf("option %s: %w", clipped(words[1]), err)
	}
	to := &d.V4
	if is6 {
		to = &d.V6
	}
	if slices.ContainsFunc(*to, func(have dhcpsrv.Option) bool { return have.Code == o.Code }) {
		return fmt.Errorf("option %s: is there twice", words[1])
	}
	*to = append(*to, o)
	return nil
}

// splitStatements cuts a line at semicolons, but not in quotes, and its comment off.
func splitStatements(line string) (out []string, err error) {
	quoted := false
	start := 0
	add := func(end int) {
		if s := strings.Join(strings.Fields(line[start:end]), " "); s != "" {
			out = append(out, s)
		}
	}
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			add(i)
			start = i + 1
		case c == '#':
			add(i)
			return out, nil
		}
	}
	if quoted {
		return nil, fmt.Errorf("%q: a quote is not closed", clipped(strings.TrimSpace(line)))
	}
	add(len(line))
	return out, nil
}

func clipped(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "..."
	}
	return text
}

func parseOption(name, value string, is6 bool) (o dhcpsrv.Option, err error) {
	names, own := optionNames4, ownOptions4
	if is6 {
		names, own = optionNames6, ownOptions6
	}
	known, ok := names[name]
	if !ok {
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return o, fmt.Errorf("there is no option of this name; give its number, from 1 to 254")
		}
		known = optionName{code: uint8(n)}
		for _, named := range names { // those with a type keep it
			if named.code == known.code {
				known = named
			}
		}
	}
	if slices.Contains(own, known.code) {
		return o, fmt.Errorf("the server makes it itself")
	}
	o.Code = known.code
	o.Data, err = optionData(known.write, value, is6)
	if err == nil && len(o.Data) > 1024 {
		err = fmt.Errorf("has %d bytes, more than 1024", len(o.Data))
	}
	return o, err
}

func optionData(write optionType, value string, is6 bool) ([]byte, error) {
	switch write {
	case textOption:
		return optionText(value)
	case uint8Option:
		return optionNumber(value, 1)
	case uint16Option:
		return optionNumber(value, 2)
	case uint32Option:
		return optionNumber(value, 4)
	case flagOption:
		switch value {
		case "on", "true":
			return []byte{1}, nil
		case "off", "false":
			return []byte{0}, nil
		}
		return nil, fmt.Errorf("%q is neither on nor off", clipped(value))
	case domainsOption:
		return optionDomains(value)
	case addrOption:
		return optionAddrs(value, is6)
	}
	if strings.HasPrefix(value, `"`) {
		return optionText(value)
	}
	if data, err := optionAddrs(value, is6); err == nil {
		return data, nil
	}
	data, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
	if err != nil || len(data) == 0 {
		return nil, fmt.Errorf("%q is neither text in quotes, nor bytes like 0a:0b, nor addresses", clipped(value))
	}
	return data, nil
}

func optionText(value string) ([]byte, error) {
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '"' }) {
		return nil, fmt.Errorf("%q is not text", clipped(value))
	}
	return []byte(value), nil
}

// optionNumber writes a number of size bytes in network order.
func optionNumber(value string, size int) ([]byte, error) {
	n, err := strconv.ParseUint(value, 10, 8*size)
	if err != nil {
		return nil, fmt.Errorf("%q is not a number that fits in %d bytes", clipped(value), size)
	}
	data := make([]byte, size)
	for i := range data {
		data[size-1-i] = byte(n >> (8 * i))
	}
	return data, nil
}

func optionAddrs(value string, is6 bool) (data []byte, err error) {
	for _, text := range strings.Split(value, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || a.Is6() != is6 || a.Zone() != "" {
			return nil, fmt.Errorf("%q is not an address of its family", clipped(text))
		}
		data = append(data, a.AsSlice()...)
	}
	return data, nil
}

func optionDomains(value string) ([]byte, error) {
	var names []string
	for _, text := range strings.Split(value, ",") {
		name, err := DomainName(strings.Trim(strings.TrimSpace(text), `"`))
		if err != nil {
			return nil, fmt.Errorf("%q is not a domain", clipped(text))
		}
		names = append(names, name)
	}
	return dhcpsrv.DomainsOption(0, names...).Data, nil
}
