package sitedoc

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
)

// Parameters are settings by name.
type Parameters map[string]string

// UnmarshalYAML reads each value as it is written. YAML takes 0123 for a number and would make 83
// of a password.
func (p *Parameters) UnmarshalYAML(node ast.Node) error {
	if node.Type() == ast.NullType {
		*p = nil
		return nil
	}
	m, ok := node.(ast.MapNode)
	if !ok {
		return fmt.Errorf("parameters: %s was used where a mapping is expected", node.Type())
	}
	*p = Parameters{}
	for each := m.MapRange(); each.Next(); {
		name := each.Key().GetToken().Value
		switch v := each.Value().(type) {
		case *ast.StringNode:
			(*p)[name] = v.Value
		case *ast.LiteralNode:
			(*p)[name] = v.Value.Value
		case *ast.NullNode:
			(*p)[name] = ""
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
			(*p)[name] = v.GetToken().Value
		default:
			return fmt.Errorf("parameters: %s has to be text", name)
		}
	}
	return nil
}
