package siteexport

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
)

// optionForm is the notation of an option's value.
type optionForm uint8

const (
	bytesForm optionForm = iota // of any option
	addrsForm
	textForm
	numberForm
	flagForm
	domainsForm
)

// optionSpec is an option that servers have a name for.
type optionSpec struct {
	dhcpd, kea string
	form       optionForm
}

// options4 and options6 are the options whose form is known, by code (RFC 2132 and the registry of
// IANA), with their names; "" = the server has none.
// Each server has the others by number and in bytes.
var options4 = map[uint8]optionSpec{
	2: {"time-offset", "time-offset", numberForm}, 3: {"routers", "routers", addrsForm}, 4: {"time-servers", "time-servers", addrsForm},
	6: {"domain-name-servers", "domain-name-servers", addrsForm}, 7: {"log-servers", "log-servers", addrsForm}, 9: {"lpr-servers", "lpr-servers", addrsForm},
	12: {"host-name", "host-name", textForm}, 15: {"domain-name", "domain-name", textForm}, 17: {"root-path", "root-path", textForm},
	19: {"ip-forwarding", "ip-forwarding", flagForm}, 23: {"default-ip-ttl", "default-ip-ttl", numberForm}, 26: {"interface-mtu", "interface-mtu", numberForm},
	28: {"broadcast-address", "broadcast-address", addrsForm}, 40: {"nis-domain", "nis-domain", textForm}, 41: {"nis-servers", "nis-servers", addrsForm},
	42: {"ntp-servers", "ntp-servers", addrsForm}, 44: {"netbios-name-servers", "netbios-name-servers", addrsForm},
	43: {"vendor-encapsulated-options", "vendor-encapsulated-options", bytesForm},
	60: {"vendor-class-identifier", "vendor-class-identifier", textForm}, 66: {"tftp-server-name", "tftp-server-name", textForm},
	67: {"bootfile-name", "boot-file-name", textForm}, 69: {"smtp-server", "smtp-server", addrsForm},
	100: {"pcode", "pcode", textForm}, 101: {"tcode", "tcode", textForm}, 150: {"", "", addrsForm}, 119: {"domain-search", "domain-search", domainsForm},
}

var options6 = map[uint8]optionSpec{
	23: {"dhcp6.name-servers", "dns-servers", addrsForm}, 24: {"dhcp6.domain-search", "domain-search", domainsForm},
	31: {"dhcp6.sntp-servers", "sntp-servers", addrsForm}, 32: {"dhcp6.info-refresh-time", "information-refresh-time", numberForm},
	59: {"dhcp6.bootfile-url", "bootfile-url", textForm},
}

func specOf(code uint8, is4 bool) optionSpec {
	if is4 {
		return options4[code]
	}
	return options6[code]
}

// values returns the value of an option as a list of texts; false = its bytes do not have the form.
func (s optionSpec) values(data []byte, is4 bool) (out []string, ok bool) {
	switch s.form {
	case addrsForm:
		size := 16
		if is4 {
			size = 4
		}
		for rest := data; len(rest) >= size; rest = rest[size:] {
			a, _ := netip.AddrFromSlice(rest[:size])
			out = append(out, a.String())
		}
		return out, len(data) > 0 && len(data)%size == 0
	case textForm:
		text := string(data)
		plain := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' || r == ',' || r == ';' })
		return []string{text}, plain && text != ""
	case numberForm:
		var wide [8]byte
		if len(data) == 0 || len(data) > 4 {
			return nil, false
		}
		copy(wide[8-len(data):], data)
		return []string{strconv.FormatUint(binary.BigEndian.Uint64(wide[:]), 10)}, true
	case flagForm:
		return []string{strconv.FormatBool(len(data) == 1 && data[0] == 1)}, len(data) == 1 && data[0] < 2
	case domainsForm:
		return domainsOf(data)
	}
	return nil, false
}

// domainsOf reads names without compression (RFC 1035 section 3.1), as ParseDHCPOptions writes
// them.
func domainsOf(data []byte) (out []string, ok bool) {
	var labels []string
	for len(data) > 0 {
		n := int(data[0])
		if n > 63 || n >= len(data) {
			return nil, false
		}
		if n == 0 {
			out, labels = append(out, strings.Join(labels, ".")), nil
		} else {
			labels = append(labels, string(data[1:1+n]))
		}
		data = data[1+n:]
	}
	return out, len(out) > 0 && len(labels) == 0
}

// colons writes bytes in hexadecimal with colons.
func colons(data []byte) string { return strings.ReplaceAll(fmt.Sprintf("% x", data), " ", ":") }

// dhcpdOption writes an option as dhcpd has it. Those without a name in dhcpd have one that the
// configuration declares.
func dhcpdOption(o dhcpsrv.Option, is4 bool) (line, declare string) {
	spec := specOf(o.Code, is4)
	values, ok := spec.values(o.Data, is4)
	switch {
	case spec.dhcpd == "", !ok && spec.form != bytesForm:
		space, number := "", strconv.Itoa(int(o.Code))
		if !is4 {
			space = "dhcp6."
		}
		name := space + "option-" + number
		return "option " + name + " " + colons(o.Data) + ";", "option " + name + " code " + number + " = string;"
	case !ok:
		values = []string{colons(o.Data)}
	case spec.form == textForm || spec.form == domainsForm:
		for i, v := range values {
			values[i] = strconv.Quote(v)
		}
	case spec.form == flagForm:
		values[0] = map[string]string{"true": "on", "false": "off"}[values[0]]
	}
	return "option " + spec.dhcpd + " " + strings.Join(values, ", ") + ";", ""
}

// keaOption is an option as Kea has it.
type keaOption struct {
	Name   string `json:"name,omitempty"`
	Code   uint8  `json:"code,omitempty"`
	Data   string `json:"data"`
	CSV    *bool  `json:"csv-format,omitempty"`
	Always bool   `json:"always-send,omitempty"`
}

func keaOptions(all dhcpsrv.Options, is4 bool) (out []keaOption) {
	for _, o := range all {
		spec := specOf(o.Code, is4)
		if values, ok := spec.values(o.Data, is4); ok && spec.kea != "" {
			out = append(out, keaOption{Name: spec.kea, Data: strings.Join(values, ", ")})
			continue
		}
		no := false
		out = append(out, keaOption{Code: o.Code, Data: strings.ToUpper(fmt.Sprintf("%x", o.Data)), CSV: &no})
	}
	return out
}

// dnsmasqOption writes an option as dnsmasq has it, by its number.
func dnsmasqOption(o dhcpsrv.Option, is4 bool, tags ...string) string {
	spec := specOf(o.Code, is4)
	values, ok := spec.values(o.Data, is4)
	number := strconv.Itoa(int(o.Code))
	switch {
	case ok && spec.form == addrsForm && !is4:
		for i, v := range values {
			values[i] = "[" + v + "]"
		}
	case ok && spec.form == flagForm:
		values[0] = map[string]string{"true": "1", "false": "0"}[values[0]]
	case ok && spec.form == textForm:
		values[0] = strconv.Quote(values[0])
	case !ok && o.Code == 121 && is4:
		values = routesOf(o.Data)
	case !ok && len(o.Data) == 1: // "0a" alone is text to dnsmasq
		values = []string{strconv.Itoa(int(o.Data[0]))}
	case !ok:
		values = []string{colons(o.Data)}
	}
	if !is4 {
		number = "option6:" + number
	}
	line := "dhcp-option="
	for _, tag := range tags {
		line += "tag:" + tag + ","
	}
	return line + number + "," + strings.Join(values, ",")
}

// routesOf reads option 121 (RFC 3442) as pairs of a network and a gateway.
func routesOf(data []byte) (out []string) {
	for len(data) > 0 {
		bits := int(data[0])
		n := 1 + (bits+7)/8
		if bits > 32 || len(data) < n+4 {
			return out
		}
		var to [4]byte
		copy(to[:], data[1:n])
		out = append(out, netip.PrefixFrom(netip.AddrFrom4(to), bits).String(), netip.AddrFrom4([4]byte(data[n:n+4])).String())
		data = data[n+4:]
	}
	return out
}
