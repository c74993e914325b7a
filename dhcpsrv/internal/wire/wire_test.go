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
		{"plain BOOTP without a vendor area", message()[:offCookie], nil},
		{"one byte less", message()[:offCookie-1], ErrShort},
		{"another cookie", noCookie, nil},
		{"hlen", long, ErrHLen},
		{"no END", message(53, 1, 1), nil},
		{"rubbish after END", message(255, 53, 9), nil},
		{"code alone", message(53), nil},
		{"payload cut", message(53, 2, 1), nil},
		{"padding", message(0, 0, 0, 53, 1, 3, 255), nil},
	} {
		var m Msg
		if err := m.Parse(tt.in); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// What is odd in a message does not take what is good in it along.
func TestOddOptions(t *testing.T) {
	noCookie := message(53, 1, 1, 255)
	noCookie[offCookie] = 0
	for _, tt := range []struct {
		name string
		in   []byte
		kind Type
		want string // option 60
	}{
		{"the last one overruns", message(53, 1, 1, 60, 2, 'a', 'b', 61, 9, 1), Discover, "ab"},
		{"the last one is a code", message(53, 1, 1, 60, 2, 'a', 'b', 61), Discover, "ab"},
		{"its length overruns at once", message(53, 1, 1, 60, 200), Discover, ""},
		{"the type comes twice", message(53, 1, 1, 53, 1, 1, 60, 1, 'a', 255), Discover, "a"},
		{"two types", message(53, 1, 3, 53, 1, 1, 255), Request, ""},
		{"another cookie", noCookie, BOOTP, ""},
		{"no cookie", message()[:offCookie], BOOTP, ""},
	} {
		var m Msg
		if err := m.Parse(tt.in); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := string(m.Option(60)); m.Type() != tt.kind || got != tt.want {
			t.Errorf("%s: %v with option 60 %q, want %v with %q", tt.name, m.Type(), got, tt.kind, tt.want)
		}
	}
}

// Options of fixed length that come twice are read once.
func TestDoubledFixedOptions(t *testing.T) {
	var m Msg
	err := m.Parse(message(50, 4, 192, 0, 2, 9, 50, 4, 192, 0, 2, 10, 57, 2, 5, 0, 57, 2, 1, 0, 51, 4, 0, 0, 0, 60, 51, 4, 0, 0, 1, 0, 52, 1, 1, 52, 1, 1, 255))
	if err != nil {
		t.Fatal(err)
	}
	size, _ := m.Uint16(57)
	lease, _ := m.Uint32(51)
	if a := m.Addr(50); a != netip.MustParseAddr("192.0.2.9") || size != 1280 || lease != 60 || m.File() != "" {
		t.Errorf("address %v, size %d, lease %d, file %q", a, size, lease, m.File())
	}
}

// A zero byte follows each option that firmware takes for a C string, wherever it is written, and is not part of it.
func TestFirmwareTextsEnd(t *testing.T) {
	for _, fill := range []int{0, 200, 290} { // so that the texts are in the main part, in file and in sname
		for _, code := range []uint8{17, 43, 66, 67, 209, 210} {
			var req, got Msg
			if err := req.Parse(message(53, 1, 1, 255)); err != nil {
				t.Fatal(err)
			}
			var w Writer
			w.Reset(make([]byte, MaxSize), &req, SizeLimit(0), 0)
			for n := fill; n > 0; n -= 250 {
				w.Option(uint8(128+n/250), make([]byte, min(n, 250)))
			}
			if !w.Option(code, []byte("undionly.kpxe")) {
				t.Fatalf("option %d does not fit", code)
			}
			w.Option(60, []byte("PXEClient"))
			b := w.Finish([]byte{1, 1, 9})
			if at := bytes.Index(b, []byte("undionly.kpxe")); b[at+len("undionly.kpxe")] != 0 {
				t.Errorf("option %d after %d bytes: followed by %x", code, fill, b[at+len("undionly.kpxe")])
			}
			if err := got.Parse(b); err != nil || string(got.Option(code)) != "undionly.kpxe" || string(got.Option(60)) != "PXEClient" {
				t.Errorf("option %d after %d bytes: %v, %q, %q", code, fill, err, got.Option(code), got.Option(60))
			}
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
