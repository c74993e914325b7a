package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc"
)

func sample() rpc.Update {
	return rpc.Update{Topic: "dns", Position: rpc.Position{Epoch: "e", Revision: 7}, Whole: true, Objects: []rpc.Object{
		{Key: "a", Value: []byte("1")}, {Key: "b", Deleted: true}, {Key: "c", Value: bytes.Repeat([]byte("x"), 3*framePayload)},
	}}
}

func encoded(t testing.TB, u rpc.Update) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := writeUpdate(&buf, u); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUpdatesTravel(t *testing.T) {
	want := sample()
	got, err := readUpdate(bytes.NewReader(encoded(t, want)))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A newer region may send kinds and fields that this rack does not know.
func TestNewerMessagesAreSkipped(t *testing.T) {
	var buf bytes.Buffer
	e := newEncoder(&buf)
	for _, m := range []struct {
		kind byte
		body string
	}{
		{200, "whatever"}, {kindUpdate, `{"topic":"dns","position":{"epoch":"e","revision":1,"shard":3},"signed":true}`},
		{kindObject, `{"key":"a","lease":9}`}, {201, strings.Repeat("y", 2*framePayload)}, {kindValue, "1"}, {kindEnd, "more"},
	} {
		if err := e.message(m.kind, []byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	e.w.Flush()
	got, err := readUpdate(&buf)
	want := rpc.Update{Topic: "dns", Position: rpc.Position{Epoch: "e", Revision: 1}, Objects: []rpc.Object{{Key: "a", Value: []byte("1")}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestMalformedUpdatesAreRefused(t *testing.T) {
	whole := encoded(t, sample())
	for cut := range 200 {
		if _, err := readUpdate(bytes.NewReader(whole[:cut])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	for name, text := range map[string]string{
		"value first":       "\x03\x00\x00\x01x",
		"end first":         "\x04\x00\x00\x00",
		"not JSON":          "\x01\x00\x00\x01x",
		"changing kind":     "\x01\x01\x00\x01{\x02\x00\x00\x01}",
		"endless and empty": "\x01\x01\x00\x00\x01\x01\x00\x00",
		"too large":         strings.Repeat("\x01\x01\xff\xff"+strings.Repeat("x", 0xffff), 17),
	} {
		if _, err := readUpdate(strings.NewReader(text)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever arrives, reading it ends, and what is understood is written and read again as it is.
func FuzzUpdate(f *testing.F) {
	small := sample() // large seeds make for slow fuzzing
	small.Objects[2].Value = []byte("xyz")
	f.Add(encoded(f, small))
	f.Add([]byte("\x01\x00\x00\x02{}\x04\x00\x00\x00"))
	f.Add([]byte("\x01\x01\x00\x01{\x01\x00\x00\x01}\x02\x00\x00\x02{}\x03\x00\x00\x01x\x04\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		u, err := readUpdate(bytes.NewReader(stream))
		if err != nil {
			return
		}
		once := encoded(t, u)
		again, err := readUpdate(bytes.NewReader(once))
		if err != nil || !bytes.Equal(encoded(t, again), once) {
			t.Errorf("%+v became %+v, %v", u, again, err)
		}
	})
}

func BenchmarkResync(b *testing.B) {
	u := rpc.Update{Topic: "boot", Whole: true}
	for range 10_000 {
		u.Objects = append(u.Objects, rpc.Object{Key: "machine/00:16:3e:00:00:01", Value: bytes.Repeat([]byte("x"), 300)})
	}
	b.ReportAllocs()
	for b.Loop() {
		var buf bytes.Buffer
		if err := writeUpdate(&buf, u); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(buf.Len()))
		if _, err := readUpdate(&buf); err != nil {
			b.Fatal(err)
		}
	}
}
