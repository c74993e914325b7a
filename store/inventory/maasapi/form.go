package maasapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// form reads the fields of a request. A field that is not there leaves its value as it is, so that one function serves for
// creating and for changing. The first mistake is kept and ends the reading.
type form struct {
	values url.Values
	err    error
}

// readForm reads a form in the URL encoding, as multipart, or as a JSON object, which MAAS takes too. Its values are those of
// the request's PostForm from then on.
func readForm(r *http.Request) (*form, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if packed := r.Header.Get("Content-Encoding"); packed != "" && packed != "identity" {
		return nil, &mediaType{kind + " in " + packed}
	}
	var err error
	switch kind {
	case "application/json":
		err = parseJSONForm(r)
	case "multipart/form-data":
		err = r.ParseMultipartForm(maxBody)
	case "application/x-www-form-urlencoded":
		err = r.ParseForm()
	default:
		err = unknownBody(r, kind)
	}
	if err != nil {
		return nil, formError(err)
	}
	if r.PostForm == nil {
		r.PostForm = url.Values{}
	}
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		if unfit(name) || slices.ContainsFunc(r.PostForm[name], unfit) {
			return nil, &badRequest{name, unfitMessage}
		}
	}
	return &form{values: r.PostForm}, nil
}

// unknownBody refuses a body that would be overlooked.
func unknownBody(r *http.Request, kind string) error {
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); {
	case errors.Is(err, io.EOF): // there is none
		return nil
	case err != nil:
		return err
	}
	return &mediaType{kind}
}

// formError is why a form cannot be read.
func formError(err error) error {
	tooBig, unread := (*http.MaxBytesError)(nil), (*mediaType)(nil)
	if errors.As(err, &tooBig) || errors.As(err, &unread) {
		return err
	}
	return &badRequest{"__all__", "the form cannot be read: " + err.Error()}
}

// mediaType is that of a body that cannot be read.
type mediaType struct{ kind string }

func (e *mediaType) Error() string {
	return fmt.Sprintf("a body of type %q is not read; send the fields as application/x-www-form-urlencoded, multipart/form-data or application/json", e.kind)
}

// parseJSONForm reads the fields of a JSON object: lists have several values, objects stay JSON, and null is a field that is not
// there.
func parseJSONForm(r *http.Request) error {
	body, err := io.ReadAll(r.Body) // of maxBody at most
	if err != nil {
		return err
	}
	if !utf8.Valid(body) { // the decoder would put other characters in
		return errors.New("the JSON " + unfitMessage)
	}
	var fields map[string]json.RawMessage
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &fields); err != nil {
			return err
		}
	}
	r.PostForm = url.Values{}
	for name, raw := range fields {
		if string(raw) != "null" {
			r.PostForm[name] = formValues(raw)
		}
	}
	return nil
}

// formValues is a JSON value as a form has it. An empty list becomes an empty text, with which forms empty a list.
func formValues(raw json.RawMessage) []string {
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	if len(list) == 0 {
		return []string{""}
	}
	values := make([]string, len(list))
	for i, one := range list {
		if json.Unmarshal(one, &values[i]) != nil { // numbers, flags and objects
			values[i] = string(one)
		}
	}
	return values
}

// has reports whether the field is there, and nothing is wrong yet.
func (f *form) has(name string) bool { return f.err == nil && len(f.values[name]) > 0 }

// get is the first value of a field, without space around it.
func (f *form) get(name string) string { return strings.TrimSpace(f.values.Get(name)) }

func (f *form) wrong(name, format string, args ...any) {
	if f.err == nil {
		f.err = &badRequest{name, fmt.Sprintf(format, args...)}
	}
}

func (f *form) text(name string, to *string) {
	if f.has(name) {
		*to = f.get(name)
	}
}

func (f *form) number(name string, to *int) {
	if !f.has(name) {
		return
	}
	if f.get(name) == "" {
		*to = 0
		return
	}
	n, err := strconv.Atoi(f.get(name))
	if err != nil {
		f.wrong(name, "%q is not a whole number", f.get(name))
		return
	}
	*to = n
}

func (f *form) flag(name string, to *bool) {
	if !f.has(name) {
		return
	}
	on, err := parseBool(f.get(name))
	if err != nil {
		f.wrong(name, "%q is neither true nor false", f.get(name))
		return
	}
	*to = on
}

// not reads a flag whose opposite is stored.
func (f *form) not(name string, to *bool) {
	on := !*to
	f.flag(name, &on)
	*to = !on
}

// parseBool takes what Python and JavaScript write too.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "yes":
		return true, nil
	case "off", "no", "":
		return false, nil
	}
	return strconv.ParseBool(strings.ToLower(text))
}

func (f *form) addr(name string, to *netip.Addr) {
	if !f.has(name) {
		return
	}
	if f.get(name) == "" {
		*to = netip.Addr{}
		return
	}
	a, err := netip.ParseAddr(f.get(name))
	if err != nil {
		f.wrong(name, "%q is not an IP address", f.get(name))
		return
	}
	*to = a
}

// list is all values of a field, those of one value apart that are separated by commas or spaces.
func (f *form) list(name string) []string {
	var out []string
	for _, value := range f.values[name] {
		out = append(out, strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	return out
}

func (f *form) addrs(name string, to *[]netip.Addr) {
	if !f.has(name) {
		return
	}
	*to = nil
	for _, text := range f.list(name) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			f.wrong(name, "%q is not an IP address", text)
			return
		}
		*to = append(*to, a)
	}
}

func (f *form) prefix(name string, to *netip.Prefix) {
	if !f.has(name) {
		return
	}
	p, err := netip.ParsePrefix(f.get(name))
	if err != nil {
		f.wrong(name, "%q is not a network like 192.0.2.0/24", f.get(name))
		return
	}
	*to = p
}

func (f *form) mac(name string, to *[]byte) {
	if !f.has(name) {
		return
	}
	mac, err := pxe.ParseMAC(f.get(name))
	if err != nil {
		f.wrong(name, "%q is not a MAC address like 02:00:00:00:00:01", f.get(name))
		return
	}
	*to = mac
}

// ref reads a reference: find turns the text into the object's number. An empty text is no object.
func (f *form) ref(name string, to *int64, find func(text string) (int64, error)) {
	if !f.has(name) {
		return
	}
	if f.get(name) == "" {
		*to = 0
		return
	}
	id, err := find(f.get(name))
	if none := (*inventory.NotFoundError)(nil); errors.As(err, &none) {
		f.wrong(name, "there is no %s %q", none.Kind, f.get(name))
		return
	}
	if err != nil {
		f.wrong(name, "%s", strings.TrimPrefix(err.Error(), "inventory: "))
		return
	}
	*to = id
}
