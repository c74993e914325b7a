package form_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

func request(kind, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

func TestRead(t *testing.T) {
	const urlencoded, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	for name, c := range map[string]struct {
		kind, body string
		want       url.Values
	}{
		"url-encoded":   {urlencoded, "a=1&a=2&b=%20x", url.Values{"a": {"1", "2"}, "b": {" x"}}},
		"multipart":     {multipart, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n", url.Values{"a": {"1"}}},
		"JSON":          {"application/json; charset=utf-8", `{"a": ["1", 2], "b": true, "c": null, "d": [], "e": {"k": "v"}}`, url.Values{"a": {"1", "2"}, "b": {"true"}, "d": {""}, "e": {`{"k": "v"}`}}},
		"JSON, nothing": {"application/json", " ", url.Values{}},
		"no body":       {"", "", url.Values{}},
	} {
		r := request(c.kind, c.body)
		f, err := form.Read(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, f.Values); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		if diff := cmp.Diff(c.want, r.PostForm); diff != "" {
			t.Errorf("%s: PostForm (-want +got)\n%s", name, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ kind, body, want string }{
		"another type":   {"text/plain", "a=1", `a body of type "text/plain" is not read`},
		"no type":        {"", "a=1", `a body of type "" is not read`},
		"broken JSON":    {"application/json", `{"a":`, "__all__: the form cannot be read"},
		"JSON list":      {"application/json", `[1]`, "__all__: the form cannot be read"},
		"JSON, no UTF-8": {"application/json", "{\"a\": \"\xff\"}", "is no text in UTF-8"},
		"NUL":            {"application/x-www-form-urlencoded", "b=1&a=%00", "a: is no text in UTF-8"},
		"NUL in a name":  {"application/json", `{"a\u0000": "1"}`, "is no text in UTF-8"},
	} {
		if _, err := form.Read(request(c.kind, c.body)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	packed := request("application/json", "{}")
	packed.Header.Set("Content-Encoding", "gzip")
	media := (*form.MediaTypeError)(nil)
	if _, err := form.Read(packed); !errors.As(err, &media) {
		t.Errorf("packed: %v", err)
	}
	large := request("application/x-www-form-urlencoded", "a="+strings.Repeat("x", 100))
	large.Body = http.MaxBytesReader(httptest.NewRecorder(), large.Body, 10)
	tooBig := (*http.MaxBytesError)(nil)
	if _, err := form.Read(large); !errors.As(err, &tooBig) {
		t.Errorf("large: %v", err)
	}
}

// Everything that a form can hold.
type fields struct {
	Text    string
	Number  int
	Flag    bool
	Not     bool
	Addr    netip.Addr
	Addrs   []netip.Addr
	Prefix  netip.Prefix
	MAC     []byte
	Servers []netip.AddrPort
}

func (x *fields) read(f *form.Form) {
	f.Text("text", &x.Text)
	f.Number("number", &x.Number)
	f.Flag("flag", &x.Flag)
	f.Not("not", &x.Not)
	f.Addr("addr", &x.Addr)
	f.Addrs("addrs", &x.Addrs)
	f.Prefix("prefix", &x.Prefix)
	f.MAC("mac", &x.MAC)
	f.Servers("servers", 53, &x.Servers)
}

var full = fields{
	Text: "x", Number: 7, Flag: true, Not: true, Addr: netip.MustParseAddr("192.0.2.1"), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	Prefix: netip.MustParsePrefix("192.0.2.0/24"), MAC: []byte{2, 0, 0, 0, 0, 1},
	Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:5353")},
}

func compare(t *testing.T, want, got fields) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFieldsAreRead(t *testing.T) {
	f := &form.Form{Values: url.Values{
		"text": {" x "}, "number": {"7"}, "flag": {"Yes"}, "not": {"off"}, "addr": {"192.0.2.1"}, "addrs": {"192.0.2.1, 2001:db8::1"},
		"prefix": {"192.0.2.0/24"}, "mac": {"02-00-00-00-00-01"}, "servers": {"192.0.2.1", "[2001:db8::1]:5353"},
	}}
	var got fields
	if got.read(f); f.Err != nil {
		t.Fatal(f.Err)
	}
	compare(t, full, got)
}

func TestAbsentFieldsStay(t *testing.T) {
	got := full
	f := &form.Form{Values: url.Values{}}
	if got.read(f); f.Err != nil {
		t.Fatal(f.Err)
	}
	compare(t, full, got)
}

func TestEmptyFieldsUnset(t *testing.T) {
	got := full
	f := &form.Form{Values: url.Values{"text": {""}, "number": {""}, "flag": {""}, "addr": {""}, "addrs": {""}, "servers": {""}}}
	if got.read(f); f.Err != nil {
		t.Fatal(f.Err)
	}
	compare(t, fields{Not: true, Prefix: full.Prefix, MAC: full.MAC}, got)
}

func TestFirstMistakeCounts(t *testing.T) {
	for _, c := range []struct{ field, value, want string }{
		{"number", "x", `number: "x" is not a whole number`},
		{"flag", "perhaps", `flag: "perhaps" is neither true nor false`},
		{"addr", "x", `addr: "x" is not an IP address`},
		{"addrs", "192.0.2.1 x", `addrs: "x" is not an IP address`},
		{"prefix", "192.0.2.0", `prefix: "192.0.2.0" is not a network like 192.0.2.0/24`},
		{"mac", "x", `mac: "x" is not a MAC address like 02:00:00:00:00:01`},
		{"servers", "192.0.2.1:x", `servers: "192.0.2.1:x" is not an IP address`},
	} {
		f := &form.Form{Values: url.Values{c.field: {c.value}}}
		got := full
		got.read(f)
		f.Wrong("later", "is not reported")
		invalid := (*form.InvalidError)(nil)
		if !errors.As(f.Err, &invalid) || f.Err.Error() != c.want || f.Has(c.field) {
			t.Errorf("%s=%s: %v, want %s", c.field, c.value, f.Err, c.want)
		}
		if c.field != "addrs" && c.field != "servers" { // these hold what came before the mistake; the caller discards it
			compare(t, full, got)
		}
	}
}

func TestUnfitIn(t *testing.T) {
	type doc struct {
		Names []string
		More  map[string]any
		Next  *doc
		note  string
	}
	for _, c := range []struct {
		in   any
		want bool
	}{
		{doc{Names: []string{"a"}, More: map[string]any{"b": 1}, note: "\x00"}, false},
		{doc{Names: []string{"a", "\x00"}}, true},
		{doc{More: map[string]any{"\xff": 1}}, true},
		{doc{More: map[string]any{"a": "\xff"}}, true},
		{doc{Next: &doc{Names: []string{"\x00"}}}, true},
		{[1]string{"\x00"}, true},
	} {
		if got := form.UnfitIn(reflect.ValueOf(c.in)); got != c.want {
			t.Errorf("%+v: %v", c.in, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("application/json", `{"a": [1, null, {}], "b": "c"}`)
	f.Add("application/x-www-form-urlencoded", "number=1&addr=::1")
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n")
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := request(kind, body)
		read, err := form.Read(r)
		if err != nil {
			return
		}
		for name, values := range read.Values {
			for _, v := range values {
				if form.Unfit(name) || form.Unfit(v) {
					t.Errorf("%q = %q was read", name, v)
				}
			}
		}
		new(fields).read(read)
	})
}
