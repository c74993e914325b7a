package redfish

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// object is a JSON object whose properties are decoded one by one, when they are asked for: a
// property of an unexpected type reads as absent and spoils no other.
type object map[string]json.RawMessage

// value returns a property; nil = absent. The case of names is not heeded, since some services do
// not either.
func (o object) value(name string) json.RawMessage {
	if v, ok := o[name]; ok {
		return v
	}
	for key, v := range o {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// has reports whether a property exists and is not null.
func (o object) has(name string) bool {
	v := o.value(name)
	return v != nil && string(v) != "null"
}

// child returns a property that is an object; the nil object if it is none.
func (o object) child(name string) object { return asObject(o.value(name)) }

// list returns the elements of an array. One object in the place of an array counts as its only
// element.
func (o object) list(name string) []json.RawMessage {
	v := o.value(name)
	var out []json.RawMessage
	if json.Unmarshal(v, &out) == nil {
		return out
	}
	if asObject(v) != nil {
		return []json.RawMessage{v}
	}
	return nil
}

// text returns a property that is a string; a number is returned as it was written.
func (o object) text(name string) string { return asText(o.value(name)) }

// texts returns the strings in an array.
func (o object) texts(name string) []string {
	var out []string
	for _, v := range o.list(name) {
		if text := asText(v); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// number returns a property that is a finite number, or the text of one.
func (o object) number(name string) (float64, bool) {
	text := strings.TrimSpace(asText(o.value(name)))
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

func asObject(v json.RawMessage) object {
	var o object
	if json.Unmarshal(v, &o) != nil {
		return nil
	}
	return o
}

func asText(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(v, &number) == nil {
		return number.String()
	}
	return ""
}

// link returns the URI of a reference: {"@odata.id": URI}, or the URI alone, as older services
// write some.
func link(v json.RawMessage) string {
	if o := asObject(v); o != nil {
		v = o.value("@odata.id")
	}
	var uri string
	_ = json.Unmarshal(v, &uri) // anything else is no reference
	return uri
}
