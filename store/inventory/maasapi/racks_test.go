package maasapi_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// rack registers a rack with an interface.
func (s *site) rack(t *testing.T, name string) {
	t.Helper()
	_, err := s.inv.RegisterRack(t.Context(), inventory.Rack{Name: name, Links: []inventory.RackLink{
		{Name: "eth0", MAC: "02:00:00:00:00:71", Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.2/24")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRackIsMovedAndDeleted(t *testing.T) {
	s := newSite(t)
	s.rack(t, "rack1")
	const path = base + "rackcontrollers/rack1/"
	if code, body := s.do("POST", base+"zones/", url.Values{"name": {"east"}}); code != 200 {
		t.Fatal(code, body)
	}
	for _, c := range []struct {
		form url.Values
		code int
		want string
	}{
		{url.Values{"zone": {"east"}}, 200, `"name":"east"`},
		{url.Values{}, 200, `"name":"east"`},
		{url.Values{"hostname": {"rack1"}}, 200, `"hostname":"rack1"`},
		{url.Values{"zone": {"west"}}, 400, `there is no zone`},
		{url.Values{"hostname": {"rack2"}}, 200, `"hostname":"rack2"`},
		{url.Values{}, 404, "rack rack1 does not exist"},
	} {
		if code, body := s.do("PUT", path, c.form); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%v: %d %s", c.form, code, body)
		}
	}
	if code, body := s.do("PUT", base+"rackcontrollers/rack2/", url.Values{"hostname": {"rack1"}}); code != 200 {
		t.Errorf("renamed back: %d %s", code, body)
	}
	if code, body := s.do("PUT", path+"?op=x", url.Values{}); code != 501 {
		t.Errorf("op: %d %s", code, body)
	}
	olga := s.user(t, "olga", "operator")
	if code, body := olga("DELETE", path, nil); code != 403 {
		t.Errorf("by an operator: %d %s", code, body)
	}
	for _, want := range []int{204, 404} {
		if code, body := s.do("DELETE", path, nil); code != want {
			t.Errorf("delete: %d %s, want %d", code, body, want)
		}
	}
	if code, _ := s.do("PUT", path, url.Values{}); code != 404 {
		t.Errorf("update after delete: %d", code)
	}
}

// A rack that is at work would register again, so it is deleted only when it is away.
func TestConnectedRackIsNotDeleted(t *testing.T) {
	s := newSite(t)
	s.rack(t, "rack1")
	const path = base + "rackcontrollers/rack1/"
	if err := s.inv.Health.Report(t.Context(), "rack1", "region1", inventory.RackReport{}); err != nil {
		t.Fatal(err)
	}
	if code, body := s.do("PUT", path, url.Values{"hostname": {"rack2"}}); code != 409 || !strings.Contains(body, "is connected") {
		t.Errorf("renamed while connected: %d %s", code, body)
	}
	if code, body := s.do("DELETE", path, nil); code != 409 || !strings.Contains(body, "maas rack revoke rack1") {
		t.Errorf("connected: %d %s", code, body)
	}
	if _, err := s.inv.Health.NoticeAway(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if code, body := s.do("DELETE", path, nil); code != 204 {
		t.Errorf("away: %d %s", code, body)
	}
}

// A revoked rack is cut off, so it is deleted at once; one that joins by a token loses its certificate.
func TestRevokedRackIsDeleted(t *testing.T) {
	s := newSite(t)
	ctx, soon := t.Context(), time.Now().Add(time.Hour)
	for _, name := range []string{"rack1", "rack2"} {
		if _, err := s.inv.RackTokens.Create(ctx, inventory.RackToken{Hash: name, Expires: soon}); err != nil {
			t.Fatal(err)
		}
		if err := s.inv.Enrolment.Admit(ctx, name, inventory.RackCertificate{Generation: 1, Serial: name, Rack: name, Expires: soon}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.inv.Health.Report(ctx, "rack1", "region1", inventory.RackReport{}); err != nil {
		t.Fatal(err)
	}
	if code, body := s.do("DELETE", base+"rackcontrollers/rack1/", nil); code != 409 {
		t.Errorf("with a certificate: %d %s", code, body)
	}
	if err := s.inv.Enrolment.Revoke(ctx, "rack1"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rack1", "rack2"} { // rack2 has never reported
		if code, body := s.do("DELETE", base+"rackcontrollers/"+name+"/", nil); code != 204 {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	all, err := s.inv.Enrolment.Certificates(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Revoked.IsZero() {
			t.Errorf("the certificate of %s is valid", c.Rack)
		}
	}
}
