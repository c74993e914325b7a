package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A resource is a kind of object that the API lists, shows, makes, changes and deletes in the same way. The commands for all
// of them are the same code over the table in resources.go and its neighbours.
type resource struct {
	name string // of the command, such as static-route
	what string // in sentences; empty = name with spaces
	help string
	// collection is the path of all objects below that of the API, item that of one before its identifier (empty = collection). With
	// {node} in it the objects belong to a machine or device, which is the first argument of each command.
	collection, item string
	// within is the field of the collection's objects that holds the objects meant; empty = they are meant themselves.
	within string
	// make is where objects are made; empty = collection. {fabric} is replaced by the number of the fabric in the form.
	make string
	id   string // field that identifies one object in paths
	// direct means that the API finds an object by its name, too.
	direct bool
	// names are what people call an object, made of its fields: "{start_ip}-{end_ip}".
	names []string
	// bare is the form field that the first argument without "=" stands for; "A-B" splits it at the dash.
	bare    string
	fields  []string // of the form; one that ends with * stands for all that begin so
	columns []column
	shown   []column // of one object; nil = all fields
	// ops are further commands, and the operation of the API that each is.
	ops map[string]string
}

// object is a JSON object, its numbers as text.
type object = map[string]any

// column is one of a table.
type column struct {
	head string
	of   func(object) string
}

// col shows the field at a path; lists and objects are summarized.
func col(head, path string) column {
	return column{head, func(o object) string { return summary(at(o, path)) }}
}

// at is what a path such as vlan.vid leads to, nil if it ends before. In lists, it is followed in each element.
func at(value any, path string) any {
	if path == "" {
		return value
	}
	name, rest, _ := strings.Cut(path, ".")
	switch v := value.(type) {
	case object:
		return at(v[name], rest)
	case []any:
		var all []any
		for _, x := range v {
			if found := at(x, path); found != nil {
				all = append(all, found)
			}
		}
		return all
	}
	return nil
}

// called are the fields of which the first that is there stands for an object in a summary.
var called = []string{"fqdn", "cidr", "username", "ip", "start_ip", "name", "hostname", "ip_address", "vid", "id"}

// summary is a value on one line.
func summary(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return stamp(t)
		}
		return v
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, summary(x))
		}
		return strings.Join(parts, ", ")
	case object:
		for _, name := range called {
			if v[name] != nil && v[name] != "" {
				return summary(v[name])
			}
		}
		return pairs(v)
	}
	return fmt.Sprint(value)
}

// pairs is an object that has no name.
func pairs(o object) string {
	var parts []string
	for name, value := range o {
		if text := summary(value); text != "" {
			parts = append(parts, name+"="+text)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func (r *resource) sentence() string { return cmp.Or(r.what, strings.ReplaceAll(r.name, "-", " ")) }

// articled is sentence with its article.
func (r *resource) articled() string {
	s := r.sentence()
	if strings.ContainsAny(s[:1], "aeio") || strings.HasPrefix(s, "SSH") { // a user
		return "an " + s
	}
	return "a " + s
}

// owned reports whether the objects belong to a machine or device.
func (r *resource) owned() bool { return strings.Contains(r.collection, "{node}") }

// namesOf is what an object may be called, the best name first.
func (r *resource) namesOf(o object) []string {
	var out []string
	for _, pattern := range r.names {
		if name, ok := expand(pattern, o); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if id := summary(o[r.id]); id != "" && !slices.Contains(out, id) {
		out = append(out, id)
	}
	return out
}

// expand puts fields into a pattern; false = one is empty.
func expand(pattern string, o object) (string, bool) {
	var out strings.Builder
	for pattern != "" {
		before, rest, found := strings.Cut(pattern, "{")
		out.WriteString(before)
		if !found {
			break
		}
		path, after, _ := strings.Cut(rest, "}")
		text := summary(at(o, path))
		if text == "" {
			return "", false
		}
		out.WriteString(text)
		pattern = after
	}
	return out.String(), true
}

// decode reads objects; numbers keep their digits.
func decode(raw []byte, to any) error {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	return dec.Decode(to)
}

// fieldOrder are the names of a JSON object's fields as they stand.
func fieldOrder(raw []byte) (names []string) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return names
		}
		names = append(names, fmt.Sprint(name))
	}
	return names
}
