package dnssrv_test

import (
	"fmt"
	"path/filepath"
	"strings"
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
	write(t, path, "nonsense")
	if _, err := dnssrv.OpenSerials(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged file: %v", err)
	}
}
