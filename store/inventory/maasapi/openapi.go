package maasapi

import (
	"maps"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// openAPIPath is where the description of the API is.
const openAPIPath = "/api/v1/openapi.json"

// operations are the op= parameters of endpoints.
var operations = map[string][]string{
	"POST " + base + "machines/{$}":                     {"allocate", "release"},
	"GET " + base + "machines/{id}/{$}":                 {"query_power_state", "power_parameters", "details"},
	"POST " + base + "machines/{id}/{$}":                {"power_on", "power_off", "power_cycle", "release", "lock", "unlock", "clear_default_gateways"},
	"POST " + base + "ipaddresses/{$}":                  {"reserve", "release"},
	"GET " + base + "subnets/{id}/{$}":                  {"statistics", "ip_addresses", "reserved_ip_ranges", "unreserved_ip_ranges"},
	"GET " + base + "events/{$}":                        {"query"},
	"GET " + base + "discovery/{$}":                     {"by_unknown_ip", "by_unknown_mac", "by_unknown_ip_and_mac"},
	"POST " + base + "discovery/{$}":                    {"clear", "clear_by_mac_and_ip", "scan"},
	"GET " + base + "rackcontrollers/{$}":               {"describe_power_types", "is_registered"},
	"GET " + base + "maas/{$}":                          {"get_config"},
	"POST " + base + "maas/{$}":                         {"set_config"},
	"GET " + base + "users/{$}":                         {"whoami"},
	"GET " + base + "account/{$}":                       {"list_authorisation_tokens"},
	"POST " + base + "account/{$}":                      {"create_authorisation_token", "delete_authorisation_token", "update_token_name"},
	"GET " + base + "tags/{id}/{$}":                     {"machines", "devices", "nodes"},
	"POST " + base + "tags/{id}/{$}":                    {"update_nodes"},
	"POST " + base + "nodes/{node}/interfaces/{$}":      {"create_physical", "create_bond", "create_bridge", "create_vlan"},
	"POST " + base + "nodes/{node}/interfaces/{id}/{$}": {"link_subnet", "unlink_subnet", "disconnect", "set_default_gateway"},
}

// answersOf are the types of the answers, by path of the collection without base.
var answersOf = map[string]any{
	"machines/": Machine{}, "devices/": Device{}, "fabrics/": Fabric{}, "vlans/": VLAN{}, "fabrics/{id}/vlans/": VLAN{}, "subnets/": Subnet{},
	"ipranges/": RangeWithSubnet{}, "domains/": Domain{}, "tsigkeys/": TSIGKey{}, "dnsresources/": Resource{}, "dnsresourcerecords/": Record{}, "ipaddresses/": IPAddress{},
	"tags/": Tag{}, "dhcp-snippets/": Snippet{}, "users/": Account{}, "account/prefs/sshkeys/": SSHKey{}, "nodes/{node}/interfaces/": Interface{},
	"rackcontrollers/": Controller{}, "regioncontrollers/": Controller{}, "events/": Event{},
	"/api/v1/boot-profiles": BootProfile{},
}

// targets are the query parameters of the endpoints of one boot profile.
var targets = []string{"machine", "tag", "subnet"}

// queries are further query parameters of endpoints.
var queries = map[string][]string{
	"GET /api/v1/boot-profile": targets, "PUT /api/v1/boot-profile": targets, "DELETE /api/v1/boot-profile": targets,
}

// documents are the types of JSON bodies of endpoints that take no form.
var documents = map[string]any{"POST /api/v1/apply": sitedoc.Document{}, "PUT /api/v1/boot-profile": pxe.Profile{}}

type object = map[string]any

// openAPI describes the endpoints that are served, as OpenAPI 3.
func (a *API) openAPI(*http.Request) (any, error) {
	schemas := &schemas{defs: object{}, names: map[reflect.Type]string{}}
	paths := map[string]object{}
	routes := slices.Sorted(maps.Keys(a.routes()))
	for _, pattern := range append(routes, streamRoute) {
		method, at, _ := strings.Cut(pattern, " ")
		at = strings.TrimSuffix(at, "{$}")
		if paths[at] == nil {
			paths[at] = object{}
		}
		paths[at][strings.ToLower(method)] = operation(pattern, method, at, schemas)
	}
	return object{
		"openapi": "3.0.3",
		"info":    object{"title": "MAAS", "version": a.version, "description": "The API of MAAS 2.0 and, below /api/v1/, what it has no name for."},
		"paths":   paths,
		"components": object{
			"schemas": schemas.defs,
			"securitySchemes": object{"key": object{
				"type": "apiKey", "in": "header", "name": "Authorization", "description": "OAuth 1.0a PLAINTEXT with a key of three parts",
			}},
		},
		"security": []object{{"key": []string{}}},
	}, nil
}

var pathParam = regexp.MustCompile(`\{([a-z]+)\}`)

func operation(pattern, method, path string, schemas *schemas) object {
	var params []object
	add := func(name, in string, required bool, schema object) {
		params = append(params, object{"name": name, "in": in, "required": required, "schema": schema})
	}
	text := object{"type": "string"}
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		add(m[1], "path", true, text)
	}
	if ops := operations[pattern]; len(ops) > 0 {
		add("op", "query", false, object{"type": "string", "enum": ops})
	}
	for _, name := range queries[pattern] {
		add(name, "query", false, text)
	}
	answer, many := answerOf(path)
	if method == http.MethodGet && many {
		add("limit", "query", false, object{"type": "integer", "minimum": 1})
		add("offset", "query", false, object{"type": "integer", "minimum": 0})
	}
	switch method {
	case http.MethodPost:
		add(keyHeader, "header", false, text)
	case http.MethodPut, http.MethodDelete:
		add("If-Match", "header", false, text)
	}
	ok := object{"description": "done"}
	if answer != nil && method != http.MethodDelete {
		schema := schemas.of(reflect.TypeOf(answer))
		if many && method == http.MethodGet && path != base+"events/" {
			schema = object{"type": "array", "items": schema}
		}
		if len(operations[pattern]) == 0 {
			ok["content"] = object{"application/json": object{"schema": schema}}
		}
	}
	responses := object{"200": ok, "default": object{"description": "an error: a JSON object of fields and what is wrong with them, or text"}}
	if method == http.MethodDelete {
		responses = object{"204": ok, "default": responses["default"]}
	}
	out := object{"operationId": operationID(method, path), "responses": responses}
	if params != nil {
		out["parameters"] = params
	}
	if doc := documents[pattern]; doc != nil {
		out["requestBody"] = object{"content": object{"application/json": object{"schema": schemas.of(reflect.TypeOf(doc))}}}
	} else if method == http.MethodPost || method == http.MethodPut {
		form := object{"type": "object", "additionalProperties": text}
		out["requestBody"] = object{"content": object{"application/x-www-form-urlencoded": object{"schema": form}, "multipart/form-data": object{"schema": form}}}
	}
	return out
}

// answerOf is what the endpoint answers with, and whether it is a list of such; nil = not said.
func answerOf(path string) (answer any, many bool) {
	path = strings.TrimPrefix(path, base)
	if answer, ok := answersOf[path]; ok {
		return answer, true
	}
	if i := strings.LastIndex(strings.TrimSuffix(path, "/"), "/"); i >= 0 {
		return answersOf[path[:i+1]], false
	}
	return nil, strings.HasSuffix(path, "s/")
}

// operationID is unique for a method and a path.
func operationID(method, path string) string {
	name := strings.NewReplacer(base, "", "/api/v1/", "v1/", "/MAAS/", "maas/", "{", "by-", "}", "").Replace(path)
	return strings.ToLower(method) + "-" + strings.ReplaceAll(strings.Trim(name, "/"), "/", "-")
}

// schemas are the types of answers, each once.
type schemas struct {
	defs  object
	names map[reflect.Type]string
}

func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return object{"nullable": true, "allOf": []object{s.of(t.Elem())}}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Int32:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.object(t)
	}
	return object{}
}

// object refers to the definition of a type, which is made the first time.
func (s *schemas) object(t reflect.Type) object {
	name, known := s.names[t]
	if !known {
		name = schemaName(t)
		s.names[t], s.defs[name] = name, object{}
		properties := object{}
		s.fields(t, properties)
		s.defs[name] = object{"type": "object", "properties": properties}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// schemaName is the name of a type, with that of its package in front when it is another: SitedocMachine.
func schemaName(t reflect.Type) string {
	if pkg := path.Base(t.PkgPath()); pkg != path.Base(reflect.TypeFor[API]().PkgPath()) {
		return strings.ToUpper(pkg[:1]) + pkg[1:] + t.Name()
	}
	return t.Name()
}

func (s *schemas) fields(t reflect.Type, into object) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, into)
		case name != "" && name != "-":
			into[name] = s.of(f.Type)
		}
	}
}
