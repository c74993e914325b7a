// Package form reads the bodies of requests as forms: URL-encoded, multipart or JSON.
//
//	f, err := form.Read(r)
//	f.Text("name", &subnet.Name)
//	f.Prefix("cidr", &subnet.Prefix)
//	if f.Err != nil { ... } // an *InvalidError that names the first wrong field
//
// A field that the request does not have leaves its value as it is, so one function reads a form
// for creating an object and for changing it.
package form

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
)

// Form holds the fields of a request. The first mistake is kept in Err and ends the reading:
// clients of MAAS show one message, and mistakes after the first are often consequences of it.
type Form struct {
	Values url.Values
	Err    error

	read map[string]bool // fields that were asked for; see Rest
}

// InvalidError reports what is wrong with one field of a request.
type InvalidError struct{ Field, Why string }

func (e *InvalidError) Error() string { return e.Field + ": " + e.Why }

// Invalid returns an [InvalidError] about a field.
func Invalid(field, why string) error { return &InvalidError{field, why} }

// Has reports whether the request has the field and no mistake was found yet.
func (f *Form) Has(name string) bool {
	f.Used(name)
	return f.Err == nil && len(f.Values[name]) > 0
}

// Get returns the first value of a field, without space around it.
func (f *Form) Get(name string) string { return strings.TrimSpace(f.Raw(name)) }

// Raw returns the first value of a field as it was sent, such as a password.
func (f *Form) Raw(name string) string {
	f.Used(name)
	return f.Values.Get(name)
}

// Used marks fields as read that a reader takes from Values, or that another field makes
// superfluous.
func (f *Form) Used(names ...string) {
	if f.read == nil {
		f.read = make(map[string]bool)
	}
	for _, name := range names {
		f.read[name] = true
	}
}

// Rest returns Err, or else an *InvalidError for the first field that nothing has read, so that no
// value is accepted and forgotten. Fields that ask for nothing are let through: clients of MAAS
// send all fields that they know, most of them empty, 0 or false.
func (f *Form) Rest() error {
	if f.Err != nil {
		return f.Err
	}
	for _, name := range slices.Sorted(maps.Keys(f.Values)) {
		if !f.read[name] && slices.ContainsFunc(f.Values[name], asks) {
			return &InvalidError{name, "is not supported here; leave it out"}
		}
	}
	return nil
}

// asks reports whether the value of a field asks for something.
func asks(value string) bool {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "", "0", "false", "[]", "{}", "null", "none":
		return false
	}
	return true
}

// Wrong records a mistake unless an earlier one was recorded.
func (f *Form) Wrong(name, format string, args ...any) {
	if f.Err == nil {
		f.Err = &InvalidError{name, fmt.Sprintf(format, args...)}
	}
}

// Text reads a text.
func (f *Form) Text(name string, to *string) {
	if f.Has(name) {
		*to = f.Get(name)
	}
}

// Number reads a whole number. An empty field is 0, as forms have no other way to unset a number.
func (f *Form) Number(name string, to *int) {
	if !f.Has(name) {
		return
	}
	if f.Get(name) == "" {
		*to = 0
		return
	}
	n, err := strconv.Atoi(f.Get(name))
	if err != nil {
		f.Wrong(name, "%q is not a whole number", f.Get(name))
		return
	}
	*to = n
}

// Flag reads a truth value; see [ParseBool].
func (f *Form) Flag(name string, to *bool) {
	if !f.Has(name) {
		return
	}
	on, err := ParseBool(f.Get(name))
	if err != nil {
		f.Wrong(name, "%q is neither true nor false", f.Get(name))
		return
	}
	*to = on
}

// Not reads a truth value whose opposite is stored.
func (f *Form) Not(name string, to *bool) {
	on := !*to
	f.Flag(name, &on)
	*to = !on
}

// ParseBool parses a truth value in the spellings of Go, Python, JavaScript and HTML forms. An
// empty text is false.
func ParseBool(text string) (bool, error) {
	text = strings.ToLower(text)
	switch text {
	case "on", "yes", "y":
		return true, nil
	case "off", "no", "n", "":
		return false, nil
	}
	return strconv.ParseBool(text)
}

// List returns all values of a field. One value may hold several, separated by commas or spaces.
func (f *Form) List(name string) []string {
	f.Used(name)
	var out []string
	for _, value := range f.Values[name] {
		out = append(out, strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	return out
}

// Addr reads an IP address. An empty field is the zero address.
func (f *Form) Addr(name string, to *netip.Addr) {
	if !f.Has(name) {
		return
	}
	if f.Get(name) == "" {
		*to = netip.Addr{}
		return
	}
	a, err := netip.ParseAddr(f.Get(name))
	if err != nil {
		f.Wrong(name, "%q is not an IP address", f.Get(name))
		return
	}
	*to = a
}

// Addrs reads a list of IP addresses.
func (f *Form) Addrs(name string, to *[]netip.Addr) {
	if !f.Has(name) {
		return
	}
	*to = nil
	for _, text := range f.List(name) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			f.Wrong(name, "%q is not an IP address", text)
			return
		}
		*to = append(*to, a)
	}
}

// Servers reads a list of addresses with or without ports; port is the default.
func (f *Form) Servers(name string, port uint16, to *[]netip.AddrPort) {
	if !f.Has(name) {
		return
	}
	*to = nil
	for _, text := range f.List(name) {
		ap, err := netip.ParseAddrPort(text)
		if err != nil {
			addr, aerr := netip.ParseAddr(text)
			if aerr != nil {
				f.Wrong(name, "%q is not an IP address", text)
				return
			}
			ap = netip.AddrPortFrom(addr, port)
		}
		*to = append(*to, ap)
	}
}

// Prefix reads a network.
func (f *Form) Prefix(name string, to *netip.Prefix) {
	if !f.Has(name) {
		return
	}
	p, err := netip.ParsePrefix(f.Get(name))
	if err != nil {
		f.Wrong(name, "%q is not a network like 192.0.2.0/24", f.Get(name))
		return
	}
	*to = p
}

// MAC reads a MAC address.
func (f *Form) MAC(name string, to *[]byte) {
	if !f.Has(name) {
		return
	}
	mac, err := firmware.ParseMAC(f.Get(name))
	if err != nil {
		f.Wrong(name, "%q is not a MAC address like 02:00:00:00:00:01", f.Get(name))
		return
	}
	*to = mac
}
