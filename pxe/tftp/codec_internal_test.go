package tftp

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		packet string
		want   Request
		code   Code
	}{
		{"\x00\x01f\x00octet\x00", Request{Name: "f", Mode: Octet}, 0},
		{"\x00\x01dir\\f\x00NetASCII\x00", Request{Name: `dir\f`, Mode: NetASCII}, 0},
		{"\x00\x01f\x00octet\x00BLKSIZE\x001468\x00tsize\x000\x00", Request{Name: "f", Mode: Octet, Options: Options{BlockSize: 1468, AskSize: true}}, 0},
		{"\x00\x01f\x00octet\x00windowsize\x0016\x00timeout\x005", Request{Name: "f", Mode: Octet, Options: Options{WindowSize: 16, Timeout: 5 * time.Second}}, 0},
		// What is out of range or not known is as if it had not been sent.
		{"\x00\x01f\x00octet\x00blksize\x007\x00windowsize\x000\x00timeout\x00256\x00", Request{Name: "f", Mode: Octet}, 0},
		{"\x00\x01f\x00octet\x00blksize\x0099999\x00", Request{Name: "f", Mode: Octet, Options: Options{BlockSize: 65464}}, 0},
		{"\x00\x01f\x00octet\x00multicast\x00\x00blksize\x00x\x00tsize\x00-1\x00", Request{Name: "f", Mode: Octet}, 0},
		{"\x00\x02f\x00octet\x00", Request{Write: true, Name: "f", Mode: Octet}, 0},
		{"\x00\x03f\x00octet\x00", Request{}, CodeIllegal},
		{"\x00", Request{}, CodeIllegal},
		{"\x00\x01\x00octet\x00", Request{}, CodeIllegal},
		{"\x00\x01f", Request{}, CodeIllegal},
		{"\x00\x01f\x00mail\x00", Request{}, CodeIllegal},
	} {
		got, err := parseRequest([]byte(tt.packet))
		if err != nil {
			if err.Code != tt.code {
				t.Errorf("%q: %v, want code %d", tt.packet, err, tt.code)
			}
			continue
		}
		if *got != tt.want || tt.code != 0 {
			t.Errorf("%q: %+v, want %+v or code %d", tt.packet, *got, tt.want, tt.code)
		}
	}
}

func TestOptionsTravel(t *testing.T) {
	all := Options{BlockSize: 1468, WindowSize: 16, Timeout: 3 * time.Second, AskSize: true, Size: 12345}
	if got := parseOptions(all.appendTo(nil)); got != all {
		t.Errorf("%+v became %+v", all, got)
	}
	if got, want := all.String(), "tsize=12345 blksize=1468 windowsize=16 timeout=3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (Options{}).String(); got != "" {
		t.Errorf("no options: %q", got)
	}
}

func TestErrorPackets(t *testing.T) {
	sent := &Error{Code: CodeDiskFull, Message: "out of \x1b[31mspace\n" + strings.Repeat("x", 300)}
	got := parseError(appendError(nil, sent))
	if got.Code != CodeDiskFull || !got.Remote || len(got.Message) != 200 || !strings.HasPrefix(got.Message, "out of ?[31mspace?xxx") {
		t.Errorf("%+v", got)
	}
	if got := parseError([]byte{0, 5}); got.Code != CodeUndefined || got.Message == "" {
		t.Errorf("a short packet: %+v", got)
	}
	if _, err := blockNumber([]byte{0, 4, 0}); !errors.Is(err, errShort) {
		t.Errorf("a short ACK: %v", err)
	}
	for _, tt := range []struct {
		code   Code
		target error
	}{{CodeNotFound, fs.ErrNotExist}, {CodeAccess, fs.ErrPermission}, {CodeExists, fs.ErrExist}} {
		for _, target := range []error{fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, fs.ErrClosed} {
			if is := errors.Is(&Error{Code: tt.code}, target); is != (target == tt.target) {
				t.Errorf("code %d is %v: %t", tt.code, target, is)
			}
		}
	}
	if e := wireError(fmt.Errorf("open: %w", fs.ErrInvalid)); e.Code != CodeAccess {
		t.Errorf("an invalid name: %v", e)
	}
}

// What is granted never exceeds what was asked for, the server's bounds, the path and the receive buffer.
func TestGrant(t *testing.T) {
	plain := Config{BlockSize: maxBlockSize, WindowSize: 64}
	for _, tt := range []struct {
		name    string
		cfg     Config
		asked   Options
		size    int64
		payload int
		want    Options
	}{
		{"nothing", plain, Options{}, 9, 1472, Options{BlockSize: 512, WindowSize: 1}},
		{"a block", plain, Options{BlockSize: 1024}, 9, 1472, Options{BlockSize: 1024, WindowSize: 1}},
		{"a block beyond the path", plain, Options{BlockSize: 8192}, 9, 1472, Options{BlockSize: 1468, WindowSize: 1}},
		{"a narrow path", plain, Options{BlockSize: 1468}, 9, 500, Options{BlockSize: 512, WindowSize: 1}},
		{"fragments", Config{BlockSize: maxBlockSize, WindowSize: 64, AllowFragments: true}, Options{BlockSize: 8192}, 9, 1472, Options{BlockSize: 8192, WindowSize: 1}},
		{"an unknown path", plain, Options{BlockSize: 8192}, 9, 0, Options{BlockSize: 8192, WindowSize: 1}},
		{"a window", plain, Options{BlockSize: 1468, WindowSize: 16}, 9, 1472, Options{BlockSize: 1468, WindowSize: 16}},
		{"a window beyond the bound", plain, Options{BlockSize: 512, WindowSize: 1000}, 9, 1472, Options{BlockSize: 512, WindowSize: 64}},
		{"a window beyond the buffer", Config{BlockSize: maxBlockSize, WindowSize: 64, WindowBytes: 10_000}, Options{BlockSize: 1468, WindowSize: 64}, 9, 1472, Options{BlockSize: 1468, WindowSize: 6}},
		{"large blocks leave a window of one", plain, Options{BlockSize: 65464, WindowSize: 8}, 9, 0, Options{BlockSize: 65464, WindowSize: 1}},
		{"the size", plain, Options{AskSize: true}, 9, 1472, Options{BlockSize: 512, WindowSize: 1, AskSize: true, Size: 9}},
		{"an unknown size", plain, Options{AskSize: true}, -1, 1472, Options{BlockSize: 512, WindowSize: 1}},
	} {
		got, oack := tt.cfg.grant(tt.asked, tt.size, tt.payload)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		answered := Options{}
		if oack != nil {
			answered = parseOptions(oack[2:])
		}
		for option, asked := range map[string]bool{"blksize": tt.asked.BlockSize > 0, "windowsize": tt.asked.WindowSize > 0, "tsize": tt.asked.AskSize && tt.size >= 0} {
			if has := strings.Contains(answered.String(), option); has != asked {
				t.Errorf("%s: the OACK is %q", tt.name, answered)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	handler := FS(nil)
	for want, cfg := range map[string]Config{
		"Handler is nil":          {},
		"BlockSize is 511":        {Handler: handler, BlockSize: 511},
		"WindowSize is 65536":     {Handler: handler, WindowSize: 65536},
		"WindowBytes is -1":       {Handler: handler, WindowBytes: -1},
		"MaxTransfers is -1":      {Handler: handler, MaxTransfers: -1},
		"MaxPerClient is 1048577": {Handler: handler, MaxPerClient: 1<<20 + 1},
		"Silence is -1s":          {Handler: handler, Silence: -time.Second},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestFSWithoutFiles(t *testing.T) {
	if _, err := FS(nil).Open(t.Context(), &Request{Name: "f"}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v; a mistake of the program is no absent file", err)
	}
}

func TestRoundTripTimes(t *testing.T) {
	var r rtt
	if r.timeout() != initialRTO || r.probe() != initialRTO {
		t.Errorf("before any sample: %v, %v", r.timeout(), r.probe())
	}
	for range 50 {
		r.sample(time.Millisecond)
	}
	if r.timeout() != minRTO || r.probe() != minProbe || r.least != time.Millisecond {
		t.Errorf("on a LAN: %v, %v, least %v", r.timeout(), r.probe(), r.least)
	}
	for range 50 {
		r.sample(200 * time.Millisecond)
	}
	if rto := r.timeout(); rto < 200*time.Millisecond || rto > 300*time.Millisecond {
		t.Errorf("over a slow link: %v", rto)
	}
	before := r.timeout()
	r.expired()
	r.expired()
	if r.timeout() != 4*before {
		t.Errorf("after two timeouts %v, before %v", r.timeout(), before)
	}
	for range 100 {
		r.expired()
	}
	if r.timeout() != maxRTO {
		t.Errorf("at last %v", r.timeout())
	}
	r.progress()
	if r.timeout() != before {
		t.Errorf("after progress %v", r.timeout())
	}
	r.limit = 10 * time.Millisecond // the client's timeout option
	if r.timeout() != r.limit {
		t.Errorf("with a limit %v", r.timeout())
	}
}

// Blocks are cut from the file in order, whatever part of a window is acknowledged.
func TestWindow(t *testing.T) {
	const block, size = 16, 4
	for _, length := range []int{0, 1, 15, 16, 17, 64, 100, 1000} {
		text := strings.Repeat("0123456789abcdef", length/16+1)[:length]
		w := newWindow(strings.NewReader(text), block, size)
		var got strings.Builder
		var bytes int64
		for step := 0; ; step++ {
			if err := w.fill(); err != nil {
				t.Fatal(err)
			}
			if w.done() {
				break
			}
			k := 1 + step%w.count // parts of windows and whole ones
			for i := range k {
				p := w.packets(i, i+1)
				if n, err := blockNumber(p); err != nil || n != uint16(w.base)+uint16(i) {
					t.Fatalf("block %d at %d after %d", n, i, w.base)
				}
				got.Write(p[headerSize:])
			}
			bytes += w.advance(k)
		}
		if got.String() != text || bytes != int64(length) {
			t.Errorf("%d bytes became %d, counted %d", length, got.Len(), bytes)
		}
		if blocks := w.base - 1; blocks != uint64(length/block+1) {
			t.Errorf("%d bytes in %d blocks", length, blocks)
		}
	}
}

// A question is asked with the second block after the window, so that it cannot be taken for the next one.
func TestWindowBeyond(t *testing.T) {
	w := newWindow(strings.NewReader(strings.Repeat("x", 100_000)), 512, 4)
	if err := w.fill(); err != nil {
		t.Fatal(err)
	}
	w.prefetch()
	p := w.beyond()
	if n, err := blockNumber(p); err != nil || n != 6 || len(p) != 512+headerSize {
		t.Errorf("block %d of %d bytes, %v", n, len(p), err)
	}
	if one := newWindow(strings.NewReader(strings.Repeat("x", 100_000)), 512, 1); one.fill() != nil || one.beyond() != nil {
		t.Error("a window of one has nothing beyond")
	}
}

func TestNetASCIIInPieces(t *testing.T) {
	for in, want := range map[string]string{"a\r\nb": "a\nb", "a\r\x00b": "a\rb", "\r": "\r", "a\rb": "a\rb", "\r\r\n": "\r\n", "plain": "plain"} {
		for cut := range len(in) + 1 {
			var out strings.Builder
			w := &netASCIIWriter{w: &out}
			for _, part := range []string{in[:cut], in[cut:]} {
				if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := w.flush(); err != nil || out.String() != want {
				t.Errorf("%q cut at %d: %q, %v; want %q", in, cut, out.String(), err, want)
			}
		}
	}
}
