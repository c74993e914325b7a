package openapi_test

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/openapi"
)

type base struct {
	ID int64 `json:"id"`
}

type vlanJSON struct {
	base
	Next    *vlanJSON         `json:"next"`
	Created time.Time         `json:"created"`
	Addr    netip.Addr        `json:"addr"`
	Count   *big.Int          `json:"count"`
	Names   []string          `json:"names,omitempty"`
	Params  map[string]string `json:"params"`
	Usage   float64           `json:"usage"`
	Hidden  string            `json:"-"`
	plain   bool
}

func describe(t *testing.T, op openapi.Operation) (operation, schemas map[string]any) {
	t.Helper()
	text, err := json.Marshal(openapi.Describe(openapi.Info{Title: "T", Version: "1", Server: "/base", Package: "github.com/gomaas/maas/store/inventory/maasapi/internal/openapi_test"}, []openapi.Operation{op}))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Servers    []struct{ URL string }
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.Servers[0].URL != "/base" {
		t.Fatal(err, string(text))
	}
	for _, methods := range doc.Paths {
		for _, op := range methods {
			operation = op
		}
	}
	return operation, doc.Components.Schemas
}

func TestSchemas(t *testing.T) {
	_, schemas := describe(t, openapi.Operation{Method: "GET", Path: "/x", Answer: vlanJSON{plain: true}})
	text := map[string]any{"type": "string"}
	want := map[string]any{"VLAN": map[string]any{"type": "object", "properties": map[string]any{
		"id": map[string]any{"type": "integer"}, "next": map[string]any{"nullable": true, "allOf": []any{map[string]any{"$ref": "#/components/schemas/VLAN"}}},
		"created": map[string]any{"type": "string", "format": "date-time"}, "addr": text, "count": map[string]any{"nullable": true, "allOf": []any{map[string]any{}}},
		"names": map[string]any{"type": "array", "items": text}, "params": map[string]any{"type": "object", "additionalProperties": text},
		"usage": map[string]any{"type": "number"},
	}}}
	if diff := cmp.Diff(want, schemas); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOperations(t *testing.T) {
	for _, c := range []struct {
		op     openapi.Operation
		id     string
		params []string
		code   string
		body   string
	}{
		{openapi.Operation{Method: "GET", Path: "/a/{id}/", Name: "a/{id}/", Answer: vlanJSON{}}, "get-a-by-id", []string{"id"}, "200", ""},
		{openapi.Operation{Method: "GET", Path: "/a/", Name: "a/", Answer: vlanJSON{}, List: true, Query: []string{"q"}}, "get-a", []string{"q", "limit", "offset"}, "200", ""},
		{openapi.Operation{Method: "POST", Path: "/a/", Name: "a/", Ops: []string{"x"}}, "post-a", []string{"op", "Idempotency-Key"}, "200", "multipart/form-data"},
		{openapi.Operation{Method: "PUT", Path: "/v1/a", Name: "v1/a", Body: vlanJSON{}}, "put-v1-a", []string{"If-Match"}, "200", "application/json"},
		{openapi.Operation{Method: "DELETE", Path: "/a/", Name: "a/"}, "delete-a", []string{"If-Match"}, "204", ""},
	} {
		op, _ := describe(t, c.op)
		var params []string
		list, _ := op["parameters"].([]any)
		for _, p := range list {
			params = append(params, p.(map[string]any)["name"].(string))
		}
		if diff := cmp.Diff(c.params, params); diff != "" || op["operationId"] != c.id {
			t.Errorf("%s (-want +got)\n%s", op["operationId"], diff)
		}
		if op["responses"].(map[string]any)[c.code] == nil {
			t.Errorf("%s: no response %s", c.id, c.code)
		}
		body, _ := op["requestBody"].(map[string]any)
		if content, _ := body["content"].(map[string]any); (content[c.body] != nil) != (c.body != "") {
			t.Errorf("%s: body %v", c.id, body)
		}
	}
}
