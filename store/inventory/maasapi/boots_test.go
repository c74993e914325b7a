package maasapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

func TestBootsOfAMachine(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	m, err := s.inv.Machines.Find(t.Context(), "node1")
	if err != nil {
		t.Fatal(err)
	}
	offer := pxe.Event{MAC: m.Interfaces[0].MAC, Time: time.Now().Add(-time.Hour), Stage: pxe.StageOffer, Path: "shimx64.efi", Proto: "tftp", Method: "uefi-pxe", Size: -1}
	if err := s.inv.Boots.Record(t.Context(), offer); err != nil {
		t.Fatal(err)
	}
	code, body := s.do("GET", "/api/v1/machines/"+m.SystemID+"/boots", nil)
	if code != 200 || !strings.Contains(body, `"path":"shimx64.efi"`) || !strings.Contains(body, "never asked for it") {
		t.Errorf("%d %s", code, body)
	}
	if strings.Contains(body, `"console"`) {
		t.Errorf("a console that no client attached to: %s", body)
	}
	// What the console showed belongs to the boot before it, and the last lines count.
	for _, shown := range []struct {
		at   time.Duration
		text string
	}{
		{-2 * time.Hour, "an earlier boot"}, {-50 * time.Minute, "Booting"}, {-40 * time.Minute, "Booting" + inventory.ConsoleLine + "Kernel panic"},
	} {
		e := inventory.Event{Time: time.Now().Add(shown.at), NodeID: m.ID, Kind: "console", Description: shown.text}
		if err := s.inv.Events.Add(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := s.do("GET", "/api/v1/machines/"+m.SystemID+"/boots", nil); !strings.Contains(body, `"console":["Booting","Kernel panic"]`) {
		t.Errorf("with a console: %s", body)
	}
	if code, _ := s.do("GET", "/api/v1/machines/nobody/boots", nil); code != 404 {
		t.Errorf("of nobody: %d", code)
	}
}
