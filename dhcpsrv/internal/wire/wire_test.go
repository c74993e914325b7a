package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// message returns the bytes of a request with options.
func message(options ...byte) []byte {
	b := make([]byte, HeaderLen, 400)
	b[0], b[1], b[2] = OpRequest, 1, 6
	copy(b[28:], []byte{2, 0, 0, 0, 0, 1})
	copy(b[offCookie:], cookie[:])
	return append(b, options...)
}

func TestParse(t *testing.T) {
	long := message()
	long[2] = 17
	noCookie := message()
	noCookie[offCookie] = 0
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, ErrShort},
		{"header only", message(), nil},
		{"one byte less", message()[:HeaderLen-1], ErrShort},
		{"cookie", noCookie, ErrCookie},
		{"hlen", long, ErrHLen},
		{"no END", message(53, 1, 1), nil},
		{"rubbish after END", message(255, 53, 9), nil},
		{"code alone", message(53), ErrTruncated},
		{"payload cut", message(53, 2, 1), ErrTruncated},
		{"padding", message(0, 0, 0, 53, 1, 3, 255), nil},
	} {
		var m Msg
		if err := m.Parse(tt.in); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestSplitAndOverloadedOptions(t *testing.T) {
	b := message(60, 2, 'a', 'b', 52, 1, 3, 60, 1, 'c', 255)
	copy(b[offFile:], []byte{60, 1, 'd', 53, 1, 1, 255})
	copy(b[offSname:], []byte{60, 1, 'e', 255})
	var m Msg
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	if got := string(m.Option(60)); got != "abcde" || m.Type() != Discover {
		t.Errorf("option 60 is %q, type %v; want abcde and DISCOVER", got, m.Type())
	}
	if f := m.File(); f != "" {
		t.Errorf("file %q, though the field carries options", f)
	}
}

// TestWriterOverflow fills a reply until nothing fits any more: what was accepted can be read back, by the library too.
func TestWriterOverflow(t *testing.T) {
	for _, file := range []string{"", "boot"} {
		var req, got Msg
		if err := req.Parse(message(53, 1, 1, 255)); err != nil {
			t.Fatal(err)
		}
		var w Writer
		w.Reset(make([]byte, MaxSize), &req, SizeLimit(0), 6)
		w.SetYIAddr(netip.MustParseAddr("192.0.2.9"))
		w.SetFile(file)
		w.Byte(OptMessageType, byte(Ack))
		want := map[uint8][]byte{OptMessageType: {byte(Ack)}, OptRelayAgent: {1, 2, 3, 4}}
		for code := uint8(128); code < 200; code++ {
			data := bytes.Repeat([]byte{code}, int(code)%40)
			if w.Option(code, data) {
				want[code] = data
			}
		}
		b := w.Finish([]byte{1, 2, 3, 4})
		if len(b) > 548 {
			t.Errorf("%d bytes", len(b))
		}
		if err := got.Parse(b); err != nil {
			t.Fatal(err)
		}
		have := map[uint8][]byte{}
		for code, data := range got.Options() {
			if code != OptOverload {
				have[code] = data
			}
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("file %q: options (-want +got)\n%s", file, diff)
		}
		if !got.Has(OptOverload) || got.File() != file {
			t.Errorf("overload %v, file %q", got.Option(OptOverload), got.File())
		}
		if _, err := dhcpv4.FromBytes(b); err != nil {
			t.Errorf("the library: %v", err)
		}
	}
}

func TestAllocs(t *testing.T) {
	in := message(53, 1, 1, 55, 4, 1, 3, 6, 15, 61, 7, 1, 2, 0, 0, 0, 0, 1, 255)
	buf := make([]byte, MaxSize)
	if n := testing.AllocsPerRun(100, func() { roundTrip(in, buf) }); n != 0 {
		t.Errorf("%v allocations for parsing a request and building a reply", n)
	}
}

func roundTrip(in, buf []byte) []byte {
	var m Msg
	var w Writer
	if m.Parse(in) != nil {
		return nil
	}
	w.Reset(buf, &m, SizeLimit(1472), 0)
	w.SetYIAddr(netip.AddrFrom4([4]byte{192, 0, 2, 9}))
	w.Byte(OptMessageType, byte(Offer))
	w.Addr(OptServerID, netip.AddrFrom4([4]byte{192, 0, 2, 1}))
	w.Uint32(OptLeaseTime, 600)
	w.Option(OptClientID, m.Option(OptClientID))
	return w.Finish(nil)
}

func BenchmarkRoundTrip(b *testing.B) {
	in := message(53, 1, 1, 55, 4, 1, 3, 6, 15, 61, 7, 1, 2, 0, 0, 0, 0, 1, 255)
	buf := make([]byte, MaxSize)
	b.ReportAllocs()
	for b.Loop() {
		roundTrip(in, buf)
	}
}

// FuzzParse compares the parser with the library's: what the library reads must be read the same way.
func FuzzParse(f *testing.F) {
	f.Add(message(53, 1, 1, 255))
	f.Add(message(60, 2, 'a', 'b', 60, 1, 'c', 255))
	f.Add(message(53, 1, 3, 82, 6, 1, 4, 'p', 'o', 'r', 't', 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Msg
		err := m.Parse(b)
		lib, libErr := dhcpv4.FromBytes(b)
		if libErr == nil && err != nil && !errors.Is(err, ErrHLen) && !overloaded(lib) {
			t.Fatalf("%v, the library has no objection", err)
		}
		if err != nil {
			return
		}
		m.Type()
		for code := range uint8(255) {
			SubOption(m.Option(code), 1)
		}
		if libErr != nil || overloaded(lib) {
			return
		}
		for code, want := range lib.Options {
			if code != 0 && code != OptEnd && !bytes.Equal(m.Option(code), want) {
				t.Fatalf("option %d is %x, the library reads %x", code, m.Option(code), want)
			}
		}
	})
}

// overloaded: the library does not read options in "file" and "sname".
func overloaded(m *dhcpv4.DHCPv4) bool { return m.Options.Has(dhcpv4.OptionOptionOverload) }
