package maasapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
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
	if code, _ := s.do("GET", "/api/v1/machines/nobody/boots", nil); code != 404 {
		t.Errorf("of nobody: %d", code)
	}
}
