package cli

import (
	_ "embed"
	"strings"

	"github.com/alecthomas/kong"
)

//go:embed examples.txt
var exampleLines string

// examples returns the example of each command by its path, such as "maas subnet list".
func examples(app *kong.Node) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(exampleLines) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "- ")
		if !strings.HasPrefix(line, "maas ") {
			continue
		}
		n := app
		for _, word := range strings.Fields(line)[1:] {
			next := child(n, word)
			if next == nil {
				break
			}
			n = next
		}
		out[n.FullPath()] = line
	}
	return out
}

// leaves returns the commands below a node that people run, depth first.
func leaves(n *kong.Node) []*kong.Node {
	var out []*kong.Node
	for _, c := range n.Children {
		switch {
		case c.Hidden || c.Type != kong.CommandNode:
		case len(c.Children) > 0:
			out = append(out, leaves(c)...)
		default:
			out = append(out, c)
		}
	}
	return out
}

// addExamples adds the examples to the help of their commands.
func addExamples(app *kong.Node) {
	shown := examples(app)
	for _, n := range leaves(app) {
		if line := shown[n.FullPath()]; line != "" {
			n.Detail = strings.TrimSpace(n.Detail + "\n\nExample:\n\n    " + line)
		}
	}
}
