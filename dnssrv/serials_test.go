package dnssrv_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/dnssrv"
)

func TestSerialsNeverGoBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serials")
	var last uint32
	for restart := range 4 {
		serials, err := dnssrv.OpenSerials(path)
		if err != nil {
			t.Fatal(err)
		}
		s := dnssrv.New(dnssrv.Config{Serials: serials})
		update(t, s, dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}})
		if now, _ := s.Serial("maas"); now <= last {
			t.Fatalf("restart %d begins with %d after %d", restart, now, last)
		}
		for i := range 20_000 { // faster than the clock, and more than is reserved at once
			update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("a.maas", "A", fmt.Sprintf("192.0.2.%d", i%2))}})
		}
		last, _ = s.Serial("maas")
		update(t, s, dnssrv.Change{RemoveZones: []string{"maas"}})
		update(t, s, dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}})
		if now, _ := s.Serial("maas"); now <= last {
			t.Fatalf("a zone that comes back begins with %d after %d", now, last)
		}
		last, _ = s.Serial("maas")
	}
}

// Whichever bit is flipped and wherever the file ends, the server starts, with a serial of the clock, and the file is kept.
func TestDamagedSerialsAreMovedAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "serials")
	if _, err := dnssrv.OpenSerials(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var spoiled [][]byte
	for bit := range 8 * len(whole) {
		one := bytes.Clone(whole)
		one[bit/8] ^= 1 << (bit % 8)
		spoiled = append(spoiled, one)
	}
	for n := range whole {
		spoiled = append(spoiled, whole[:n])
	}
	spoiled = append(spoiled, []byte("nonsense"), append(whole, 0))
	for _, text := range spoiled {
		write(t, path, string(text))
		s, err := dnssrv.OpenSerials(path)
		if err != nil {
			t.Fatalf("%x: %v", text, err)
		}
		if kept, err := os.ReadFile(s.Damaged()); err != nil || !bytes.Equal(kept, text) {
			t.Fatalf("%x: kept %x, %v", text, kept, err)
		}
		if s, err = dnssrv.OpenSerials(path); err != nil || s.Damaged() != "" {
			t.Fatalf("%x: the file is not whole afterwards: %v", text, err)
		}
	}
	if names, _ := filepath.Glob(path + "*"); len(names) != 4 {
		t.Errorf("%d damaged files are left: %v", len(spoiled), names)
	}
}
