package maasapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// lineOf returns the line of a document that an error is about: the field's if the error names one,
// else the line in which the object begins. It returns 0 if the line is not known.
func lineOf(data []byte, isJSON bool, e *sitedoc.Error) int {
	path := e.Path
	if field := fieldOf(e.Err); field != "" {
		path = append(path[:len(path):len(path)], field)
	}
	if isJSON {
		dec := json.NewDecoder(bytes.NewReader(data))
		at := int64(-1)
		if seekJSON(dec, path, &at) != nil || at < 0 {
			return 0
		}
		// The offset is that after the token before: white space and a comma may follow it.
		rest := data[at:]
		at += int64(len(rest) - len(bytes.TrimLeft(rest, " \t\r\n,")))
		return 1 + bytes.Count(data[:at], []byte("\n"))
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil || len(file.Docs) == 0 {
		return 0
	}
	return seekYAML(file.Docs[0].Body, path, 0)
}

var leadingField = regexp.MustCompile(`^([a-z][a-z0-9_]*)(:| is )`)

// fieldOf returns the field that an error is about; "" = it names none.
func fieldOf(err error) string {
	if invalid := (*inventory.InvalidError)(nil); errors.As(err, &invalid) {
		return invalid.Field
	}
	if m := leadingField.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

// seekYAML returns the line of the last part of a path that exists; line is that of the node.
func seekYAML(node ast.Node, path []any, line int) int {
	if len(path) == 0 || node == nil {
		return line
	}
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == path[0] {
				return seekYAML(v.Value, path[1:], v.Key.GetToken().Position.Line)
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == path[0] {
			return seekYAML(n.Value, path[1:], n.Key.GetToken().Position.Line)
		}
	case *ast.SequenceNode:
		if i, ok := path[0].(int); ok && i < len(n.Values) {
			return seekYAML(n.Values[i], path[1:], beginning(n.Values[i]))
		}
	}
	return line
}

// beginning returns the line in which a node begins. The token of a block mapping is the first
// colon in it, which may be anywhere after the key.
func beginning(node ast.Node) int {
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		node = m.Values[0]
	}
	if v, ok := node.(*ast.MappingValueNode); ok {
		return v.Key.GetToken().Position.Line
	}
	return node.GetToken().Position.Line
}

// seekJSON reads a value, and sets at to the offset before the last part of the path that exists.
func seekJSON(dec *json.Decoder, path []any, at *int64) error {
	start, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := start.(json.Delim)
	for i := 0; nested && dec.More(); i++ {
		before, part := dec.InputOffset(), any(i)
		if delim == '{' {
			if part, err = dec.Token(); err != nil {
				return err
			}
		}
		var below []any
		if wanted := len(path) > 0 && path[0] == part; wanted {
			*at, below = before, path[1:]
		}
		if err := seekJSON(dec, below, at); err != nil {
			return err
		}
	}
	if nested {
		_, err = dec.Token() // the closing bracket
	}
	return err
}
