package maasapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// The secret of a key is in the answer to its making and nowhere else.
func TestTSIGKeys(t *testing.T) {
	s := newSite(t)
	var made maasapi.TSIGKey
	w := s.call("POST", base+"tsigkeys/", "name=xfer&algorithm=hmac-sha512")
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.Algorithm != "hmac-sha512" || len(made.Secret) != 88 {
		t.Fatal(w.Code, err)
	}
	given := "c2VjcmV0LW9mLXRoaXMtdGVzdC1vbmx5LWFiY2RlZg=="
	if w := s.call("POST", base+"tsigkeys/", "name=given&secret="+strings.ReplaceAll(given, "=", "%3D")); w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
	if w := s.call("POST", base+"tsigkeys/", "name=k", "Idempotency-Key", "k1"); w.Code != http.StatusBadRequest {
		t.Errorf("an answer with a secret would be kept: %d", w.Code)
	}
	for _, c := range []struct {
		method, path, form string
		code               int
		want               string
	}{
		{"PUT", "domains/1/", "allow_transfer=xfer,192.0.2.0/24&notify=192.0.2.9&allow_update=xfer,given:_acme-challenge:TXT", 200, `"notify":["192.0.2.9:53"]`},
		{"PUT", "domains/1/", "allow_transfer=nobody", 400, "make the key first"},
		{"PUT", "domains/1/", "allow_update=xfer:x:ZZ", 400, "ZZ is not one of A, AAAA"},
		{"GET", "domains/1/", "", 200, `"allow_transfer":["xfer","192.0.2.0/24"],"notify":["192.0.2.9:53"],"allow_update":["xfer","given:_acme-challenge:TXT"]`},
		{"DELETE", "tsigkeys/1/", "", 409, "in the way are domain maas"},
		{"PUT", "domains/1/", "allow_transfer=&allow_update=", 200, `"allow_transfer":[]`},
		{"POST", "maas/?op=set_config", "name=dns_transfer_acl&value=given", 200, "OK"},
		{"DELETE", "tsigkeys/2/", "", 409, "in the way are setting dns_transfer_acl"},
		{"GET", "tsigkeys/", "", 200, `"name":"xfer"`},
		{"GET", "tsigkeys/1/", "", 200, `"name":"xfer"`},
		{"GET", "events/?op=query&level=AUDIT", "", 200, "create tsig-key 1 xfer"},
		{"DELETE", "tsigkeys/1/", "", 204, ""},
	} {
		w := s.call(c.method, base+c.path, c.form)
		if body := w.Body.String(); w.Code != c.code || !strings.Contains(body, c.want) || strings.Contains(body, made.Secret) || strings.Contains(body, given) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.form, w.Code, body)
		}
	}
	if doc := s.call("GET", "/api/v1/export", "").Body.String(); !strings.Contains(doc, "192.0.2.9:53") || strings.Contains(doc, given) {
		t.Errorf("exported:\n%s", doc)
	}
}
