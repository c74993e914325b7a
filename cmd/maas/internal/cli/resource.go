package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A resource is a kind of object that the API lists, shows, creates, changes and deletes in the
// same way. One set of commands serves all resources, from the tables in resources.go and its
// neighbors.
type resource struct {
	name string // name of the command, such as static-route
	what string // noun in sentences; if empty, name with spaces
	help string
	// collection is the path of all objects below the API's; item is the path of one object before
	// its identifier (if empty, collection). A path with {node} belongs to a machine or device,
	// which is the first argument of each command.
	collection, item string
	// within names the field of the collection's objects that holds the objects of this resource.
	// If empty, the collection holds them itself.
	within string
	// make is the path that creates objects; if empty, collection. {fabric} stands for the fabric's
	// number in the form.
	make string
	id   string // field that identifies an object in paths
	// direct is set if the API also finds an object by its name.
	direct bool
	// names are the patterns of an object's names, made of its fields: "{start_ip}-{end_ip}".
	names []string
	// bare names the form field of a first argument without "="; "A-B" splits the argument at the
	// dash into two fields.
	bare    string
	fields  []string // form fields; a final * stands for any ending
	columns []column
	shown   []column // columns of show; nil = all fields
	// further commands, each with its operation of the API
	ops map[string]string
}

// object is a JSON object whose numbers are text.
type object = map[string]any

// column is a column of a table.
type column struct {
	head string
	of   func(object) string
}

// col returns the column of a field, given by its path. Lists and objects are summarized.
func col(head, path string) column {
	return column{head, func(o object) string { return summary(at(o, path)) }}
}

// at returns the value at a path such as vlan.vid, or nil if the path ends early. It follows the
// path in each element of a list.
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

// called lists the fields that may represent an object in a summary; the first that exists does.
var called = []string{"fqdn", "cidr", "username", "ip", "start_ip", "name", "hostname", "ip_address", "vid", "id"}

// summary returns a value on one line.
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

// pairs returns the fields of an object that has no name.
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

// articled returns the resource's noun with its article.
func (r *resource) articled() string {
	s := r.sentence()
	if strings.ContainsAny(s[:1], "aeio") || strings.HasPrefix(s, "SSH") { // but "a user"
		return "an " + s
	}
	return "a " + s
}

// owned reports whether the objects belong to a machine or device.
func (r *resource) owned() bool { return strings.Contains(r.collection, "{node}") }

// namesOf returns all names of an object, the best first.
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

// expand puts fields into a pattern. It returns false if one of them is empty.
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

// decode reads JSON and keeps all digits of numbers.
func decode(raw []byte, to any) error {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	return dec.Decode(to)
}

// fieldOrder returns the field names of a JSON object in their order in the text.
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
