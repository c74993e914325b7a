// Package openapi describes an HTTP API as OpenAPI 3, and writes JSON as YAML.
//
//	doc := openapi.Describe(openapi.Info{Title: "MAAS", Version: "3.8.0", Server: "/"}, []openapi.Operation{
//		{Method: "GET", Path: "/machines/{id}/", Name: "machines/{id}/", Answer: Machine{}},
//	})
//
// The schemas of answers and bodies are made by reflection from the types that are encoded, so they
// cannot disagree with them.
package openapi

import (
	"encoding"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Info describes the API as a whole.
type Info struct {
	Title, Version, Description string
	// Server is the path that the paths of operations are below.
	Server string
	// Package is the import path of the API's own types. The schemas of other packages' types have
	// the name of the package in front.
	Package string
}

// Operation is one method of one path.
type Operation struct {
	Method, Path string
	// Name is made into the operation's ID.
	Name  string
	Ops   []string // values of the query parameter op
	Query []string // further query parameters
	// Answer and Body are values of the types of the answer and of a JSON body. If Body is nil, a
	// form is read.
	Answer, Body any
	// List says that the operation answers with a list of Answer, of which clients can read a part.
	List bool
}

type object = map[string]any

// Describe returns the OpenAPI document of operations, ready to be encoded as JSON.
func Describe(info Info, operations []Operation) map[string]any {
	s := &schemas{pkg: info.Package, defs: object{}, names: map[reflect.Type]string{}}
	paths := map[string]object{}
	for _, op := range operations {
		if paths[op.Path] == nil {
			paths[op.Path] = object{}
		}
		paths[op.Path][strings.ToLower(op.Method)] = op.describe(s)
	}
	return object{
		"openapi": "3.0.3",
		"info":    object{"title": info.Title, "version": info.Version, "description": info.Description},
		"servers": []object{{"url": info.Server}},
		"paths":   paths,
		"components": object{
			"schemas": s.defs,
			"securitySchemes": object{"key": object{
				"type": "apiKey", "in": "header", "name": "Authorization", "description": "OAuth 1.0a PLAINTEXT with a key of three parts",
			}},
		},
		"security": []object{{"key": []string{}}},
	}
}

// describe returns the operation object.
func (op Operation) describe(s *schemas) object {
	ok := object{"description": "done"}
	// With op= an operation has several answers, which one schema would describe wrongly.
	if op.Answer != nil && len(op.Ops) == 0 {
		schema := s.of(reflect.TypeOf(op.Answer))
		if op.List {
			schema = object{"type": "array", "items": schema}
		}
		ok["content"] = object{"application/json": object{"schema": schema}}
	}
	code := "200"
	if op.Method == http.MethodDelete {
		code = "204"
	}
	out := object{"operationId": op.id(), "responses": object{
		code: ok, "default": object{"description": "an error: a JSON object of fields and what is wrong with them, or text"},
	}}
	if params := op.parameters(); params != nil {
		out["parameters"] = params
	}
	switch {
	case op.Body != nil:
		out["requestBody"] = object{"content": object{"application/json": object{"schema": s.of(reflect.TypeOf(op.Body))}}}
	case op.Method == http.MethodPost || op.Method == http.MethodPut:
		form := object{"schema": object{"type": "object", "additionalProperties": object{"type": "string"}}}
		out["requestBody"] = object{"content": object{"application/x-www-form-urlencoded": form, "multipart/form-data": form}}
	}
	return out
}

var pathParam = regexp.MustCompile(`\{([a-z]+)\}`)

// parameters returns the parameters of the path, the query and the header.
func (op Operation) parameters() (params []object) {
	text := object{"type": "string"}
	add := func(name, in string, schema object) {
		params = append(params, object{"name": name, "in": in, "required": in == "path", "schema": schema})
	}
	for _, m := range pathParam.FindAllStringSubmatch(op.Path, -1) {
		add(m[1], "path", text)
	}
	if len(op.Ops) > 0 {
		add("op", "query", object{"type": "string", "enum": op.Ops})
	}
	for _, name := range op.Query {
		add(name, "query", text)
	}
	if op.List {
		add("limit", "query", object{"type": "integer", "minimum": 1})
		add("offset", "query", object{"type": "integer", "minimum": 0})
	}
	switch op.Method {
	case http.MethodPost:
		add("Idempotency-Key", "header", text)
	case http.MethodPut, http.MethodDelete:
		add("If-Match", "header", text)
	}
	return params
}

// id returns the operation's ID. Generators of clients make function names of it.
func (op Operation) id() string {
	name := strings.NewReplacer("{", "by-", "}", "").Replace(op.Name)
	return strings.ToLower(op.Method) + "-" + strings.ReplaceAll(strings.Trim(name, "/"), "/", "-")
}

// schemas are the types of answers and bodies, each defined once.
type schemas struct {
	pkg   string
	defs  object
	names map[reflect.Type]string
}

// of returns the schema of a type as encoding/json encodes it. Types that encode themselves have
// any form.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return object{"nullable": true, "allOf": []object{s.of(t.Elem())}}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()):
		return object{} // of any type
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
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

// object returns a reference to the schema of a struct and defines the schema the first time. The
// name is registered before the fields are read, because types refer to themselves.
func (s *schemas) object(t reflect.Type) object {
	name, known := s.names[t]
	if !known {
		name = s.name(t)
		s.names[t], s.defs[name] = name, object{}
		properties := object{}
		s.fields(t, properties)
		s.defs[name] = object{"type": "object", "properties": properties}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// initialism matches the beginnings of unexported names that are written in capitals.
var initialism = regexp.MustCompile(`^(dhcp|ip|ssh|tsig|vlan)([A-Z]|$)`)

// name returns the name of a type's schema: Machine, or SitedocMachine for a type of another
// package. Unexported types of answers are named as vlanJSON, whose schema is VLAN.
func (s *schemas) name(t reflect.Type) string {
	name := strings.TrimSuffix(t.Name(), "JSON")
	first := initialism.FindString(name)
	if first == "" {
		first = name[:1]
	}
	name = strings.ToUpper(first) + name[len(first):]
	if t.PkgPath() != s.pkg {
		pkg := path.Base(t.PkgPath())
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	return name
}

// fields adds the schemas of a struct's fields. Embedded structs without a name are flattened, as
// encoding/json does.
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
