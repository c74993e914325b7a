package objects

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func never() bool { return false }

func TestExtents(t *testing.T) {
	var x Extents
	for _, e := range []Extent{{10, 20}, {40, 50}, {0, 0}, {30, 35}, {20, 25}, {24, 31}, {60, 70}, {5, 9}} {
		x.Add(e)
	}
	if want := (Extents{{5, 9}, {10, 35}, {40, 50}, {60, 70}}); !slices.Equal(x, want) {
		t.Fatal(x)
	}
	if x.Run(10) != 35 || x.Run(35) != 35 || x.Run(4) != 4 || x.Bytes() != 4+25+10+10 {
		t.Error(x.Run(10), x.Run(35), x.Run(4), x.Bytes())
	}
	for _, c := range []struct{ from, to, start, end int64 }{{0, 100, 0, 5}, {10, 100, 35, 40}, {12, 38, 35, 38}, {65, 80, 70, 80}, {12, 35, 0, 0}} {
		gap, missing := x.Gap(c.from, c.to)
		if gap != (Extent{c.start, c.end}) || missing != (c.end > 0) {
			t.Errorf("%+v: %v %t", c, gap, missing)
		}
	}
}

func TestPartsOutliveAKillAndNotTheMachine(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<30)
	text := strings.Repeat("0123456789", 3000)
	m := &Meta{URL: "http://a/", Status: 200, Header: http.Header{}, Received: time.Now(), Size: int64(len(text))}
	f, err := s.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte(text[20_000:]), 20_000)
	f.WriteAt([]byte(text[:10]), 0)
	if err := f.SaveParts(m, Extents{{0, 10}, {20_000, 30_000}}); err != nil {
		t.Fatal(err)
	}
	s.Close() // as a kill would, without a word to the fill

	s = open(t, dir, 1<<30)
	o := s.Partial("http://a/")
	if n, used := s.Usage(); o == nil || n != 1 || used != 10_010+overhead {
		t.Fatal(o, n, used)
	}
	f, m, err = s.Resume(o)
	if err != nil || s.Partial("http://a/") != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Resume(o); err == nil {
		t.Error("two go on with one object")
	}
	if err := f.KeepPartial(m, m.Parts, never); err != nil {
		t.Fatal(err)
	}
	if f, m, err = s.Resume(s.Partial("http://a/")); err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte(text[10:20_000]), 10)
	if err := f.Commit(m, int64(len(text)), never); err != nil {
		t.Fatal(err)
	}
	if got, ok := body(t, s, "http://a/"); !ok || got != text {
		t.Errorf("%t, %d bytes", ok, len(got))
	}
	checked, err := s.Open(s.Lookup("http://a/")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer checked.Close()
	if b, _ := io.ReadAll(checked); string(b) != text {
		t.Error("the body is not what was written")
	}
	s.Lookup("http://a/")[0].trusted.Store(false)
	if _, err := s.Load(s.Lookup("http://a/")[0], noNote); err != nil {
		t.Errorf("the checksum of a body that came in parts: %v", err)
	}

	if f, err = s.Create(0); err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("half"), 0)
	m = &Meta{URL: "http://a/other", Header: http.Header{}, Size: 8}
	if err := f.KeepPartial(m, Extents{{0, 4}}, never); err != nil {
		t.Fatal(err)
	}
	s.Close()
	restarted := &Store{dir: dir, boot: "another"}
	if _, err := restarted.loadObject(strings.TrimSuffix(s.path(f.id, bodySuffix), bodySuffix), "1"); err == nil {
		t.Error("parts were trusted after a restart of the machine")
	}
	s = open(t, dir, 1<<30)
	if n := s.RemoveIf(func(url string) bool { return strings.HasSuffix(url, "other") }); n != 1 || files(t, dir) != 2 {
		t.Errorf("%d removed, %d files remain", n, files(t, dir))
	}
	_ = os.RemoveAll(dir)
}
