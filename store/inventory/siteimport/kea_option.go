package siteimport

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// keaType is the type of an option that a configuration defines.
type keaType struct {
	code string
	kind string // such as ipv4-address
}

// keaNames are the options that Kea names otherwise than dhcpd does, which snippets follow.
var keaNames = map[string]string{
	"boot-file-name": "bootfile-name", "dhcp6.dns-servers": "dhcp6.name-servers", "dhcp6.information-refresh-time": "dhcp6.info-refresh-time",
	"dhcp6.new-posix-timezone": "dhcp6.41", "dhcp6.new-tzdb-timezone": "dhcp6.42",
}

// define learns the type of an option.
func (k *kea) define(n *node) {
	name, code, kind := n.str("name"), n.str("code"), n.str("type")
	number, err := strconv.ParseUint(code, 10, 8)
	space := n.str("space")
	switch {
	case space != "" && space != "dhcp"+k.suffix():
		k.drop(n, "options in spaces of their own have no counterpart; write their bytes as option 43")
	case err != nil || number == 0:
		k.drop(n, "options have numbers from 1 to 254; correct it")
	case kind == "record" || kind == "empty" || kind == "" || kind == "internal":
		k.drop(n, fmt.Sprintf("options of this type have no counterpart; write their bytes as option %d", number))
	default:
		t := keaType{code: code, kind: kind}
		k.types[name], k.types[code] = t, t
		k.put(n.place(), Changed, "%s is written as option %d", name, number)
		k.took(n, Taken, "its definition", "name", "code", "type", "space", "array", "record-types", "encapsulate")
	}
}

// options translates option-data.
func (k *kea) options(n *node, in *scope) {
	for _, o := range k.each(n, "option-data", "options") {
		k.option(o, in)
	}
}

// option translates one option: by name or code, with its value as text or as hexadecimal digits.
func (k *kea) option(n *node, in *scope) {
	o, why := k.optionOf(n)
	if n.str("never-send") == "true" {
		why = "options that clients never get are not set"
	}
	if space := n.str("space"); space != "" && space != "dhcp"+k.suffix() {
		why = "options in spaces of their own have no counterpart; write their bytes as option 43"
	}
	k.addOption(n.place(), in, o, why)
	k.took(n, Taken, "part of the option", "name", "code", "data", "space", "csv-format")
	k.took(n, Changed, "racks send an option to clients that ask for it, and some always", "always-send")
	k.took(n, Taken, "part of the option", "never-send")
}

func (k *kea) optionOf(n *node) (o option, why string) {
	name, data := n.str("name"), strings.TrimSpace(n.str("data"))
	t, own := k.types[name]
	if !own {
		t, own = k.types[n.str("code")]
	}
	switch {
	case own:
		o.name = t.code
	case name != "":
		o.name = name
	default:
		o.name = n.str("code")
	}
	if k.is6 {
		o.name = "dhcp6." + o.name
	}
	if std := keaNames[o.name]; std != "" {
		o.name = std
	}
	switch {
	case o.name == "" || data == "":
		return o, "an option needs a name or code, and data"
	case strings.ContainsAny(data, "\"\n;"):
		return o, "text with a quote, a semicolon or a line break has no counterpart"
	case n.str("csv-format") == "false":
		raw, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "", "0x", "").Replace(data))
		if err != nil {
			return o, "its data is not hexadecimal; correct it"
		}
		// Names have types, and the bytes given here need none: the number keeps them as they are.
		if c := n.str("code"); c != "" {
			o.name = c
			if k.is6 {
				o.name = "dhcp6." + c
			}
		}
		o.value = colons(raw)
		return o, ""
	case !own:
		o.value = data
		return o, ""
	}
	o.value, why = t.value(data)
	return o, why
}

func colons(raw []byte) string {
	parts := make([]string, len(raw))
	for i, b := range raw {
		parts[i] = fmt.Sprintf("%02x", b)
	}
	return strings.Join(parts, ":")
}

// value writes the value of an option of its own as a snippet has it.
func (t keaType) value(data string) (value, why string) {
	size := map[string]int{"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "boolean": 1}[t.kind]
	switch {
	case t.kind == "string":
		return `"` + data + `"`, ""
	case t.kind == "binary":
		return data, ""
	case size == 0:
		return data, ""
	}
	var raw []byte
	for text := range strings.SplitSeq(data, ",") {
		text = strings.TrimSpace(text)
		n, err := strconv.ParseInt(text, 0, 64)
		if t.kind == "boolean" {
			n, err = map[string]int64{"true": 1, "1": 1}[text], nil
		}
		if err != nil {
			return "", fmt.Sprintf("%q is not a number", clip(text))
		}
		for i := range size {
			raw = append(raw, byte(n>>(8*(size-1-i))))
		}
	}
	return colons(raw), ""
}
