package maasapi

import (
	"cmp"
	"net/http"
	"reflect"
	"strings"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/openapi"
)

// openAPIPath is the path of the API's own description.
const openAPIPath = "/api/v1/openapi.json"

// openAPI describes the routes that are served.
func (a *API) openAPI(*http.Request) (any, error) {
	var operations []openapi.Operation
	for _, x := range a.table {
		name := strings.Replace(x.path, "/api/v1/", "v1/", 1)
		if x.path == authenticatePath {
			name = "maas" + x.path
		}
		operations = append(operations, openapi.Operation{
			Method: x.method, Path: strings.TrimPrefix(a.at(x.path), a.root), Name: name,
			Ops: x.ops, Query: x.query, Answer: x.answer, Body: x.body, List: x.list,
		})
	}
	return openapi.Describe(openapi.Info{
		Title: "MAAS", Version: a.version, Description: "The API of MAAS 2.0 and, below /api/v1/, what it has no name for.",
		Server: cmp.Or(a.root, "/"), Package: reflect.TypeFor[API]().PkgPath(),
	}, operations), nil
}

// YAML writes JSON as YAML in blocks, fields in their order. Texts are quoted wherever a reader of
// YAML 1.1 or 1.2 would take them for something else.
func YAML(text []byte) ([]byte, error) { return openapi.YAML(text) }
