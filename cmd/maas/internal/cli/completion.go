package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// completionCmd is `maas completion`.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// completionScripts call `maas __complete` for every word.
var completionScripts = map[string]string{
	"bash": `# Completion of maas: put this into /etc/bash_completion.d/maas, or: source <(maas completion bash)
_maas() {
    local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=($(maas __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
    fi
}
complete -o default -F _maas maas
`,
	"zsh": `#compdef maas
# Completion of maas: put this into a directory of $fpath as _maas, or: source <(maas completion zsh)
_maas() {
    local -a found
    found=("${(@f)$(maas __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if (( ${#found} )) && [[ -n $found[1] ]]; then
        compadd -S '' -- ${(M)found:#*=}
        compadd -- ${found:#*=}
    else
        _files
    fi
}
if [[ $funcstack[1] == _maas ]]; then _maas "$@"; else compdef _maas maas; fi
`,
	"fish": `# Completion of maas: put this into ~/.config/fish/completions/maas.fish, or: maas completion fish | source
complete -c maas -a '(maas __complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}

// Run runs the command.
func (c completionCmd) Run(io stdio) error {
	_, err := fmt.Fprint(io.out, completionScripts[c.Shell])
	return err
}

// completeCmd is the hidden command that completion scripts call for every word.
type completeCmd struct {
	Words []string `arg:"" optional:""`
}

// completeTime bounds the wait for names: a shell that hangs is worse than a completion without
// names.
const completeTime = time.Second

// Run runs the command.
func (c completeCmd) Run(ctx context.Context, app *kong.Application, io stdio) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	ctx, cancel := context.WithTimeout(ctx, completeTime)
	defer cancel()
	for _, word := range complete(ctx, app.Node, words) {
		fmt.Fprintln(io.out, word)
	}
	return nil
}

// complete returns the completions of the last word.
func complete(ctx context.Context, n *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	var args []string // of the command, without flags
	var site remote
	var pending *kong.Flag
	for _, word := range words[:len(words)-1] {
		switch {
		case pending != nil:
			site.take(pending.Name, word)
			pending = nil
		case strings.HasPrefix(word, "-"):
			name, value, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
			flag := flagNamed(n, name)
			if flag != nil && !has && !flag.IsBool() {
				pending = flag
			}
			site.take(name, value)
		case child(n, word) != nil:
			n = child(n, word)
		default:
			args = append(args, word)
		}
	}
	var all []string
	switch {
	case pending != nil:
		all = pending.EnumSlice()
	case strings.HasPrefix(last, "-"):
		all = flagsOf(n)
	default:
		all = positional(ctx, site, n, args)
	}
	return slices.DeleteFunc(all, func(w string) bool { return w == "" || !strings.HasPrefix(w, last) })
}

// take records the flags that choose the site, which names are read from.
func (c *remote) take(flag, value string) {
	switch flag {
	case "data":
		c.Data = value
	case "profile":
		c.Profile = value
	}
}

// child returns the subcommand with a name, or nil.
func child(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name && c.Type == kong.CommandNode {
			return c
		}
	}
	return nil
}

// flagNamed returns the flag with a name, of the command or one above it, or nil.
func flagNamed(n *kong.Node, name string) *kong.Flag {
	for ; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			if f.Name == name || len(name) == 1 && string(f.Short) == name {
				return f
			}
		}
	}
	return nil
}

// flagsOf returns all flags of a command, those of the commands above included.
func flagsOf(n *kong.Node) (out []string) {
	for ; n != nil; n = n.Parent {
		for _, f := range n.Flags {
			if !f.Hidden {
				out = append(out, "--"+f.Name)
			}
		}
	}
	return out
}

// positional returns subcommands or, after a command, its choices, object names and fields.
func positional(ctx context.Context, site remote, n *kong.Node, args []string) (out []string) {
	for _, c := range n.Children {
		if !c.Hidden && c.Type == kong.CommandNode {
			out = append(out, c.Name)
		}
	}
	if len(out) > 0 || n.Parent == nil {
		return out
	}
	if len(args) < len(n.Positional) {
		if choices := n.Positional[len(args)].EnumSlice(); len(choices) > 0 && choices[0] != "" {
			return choices
		}
	}
	if n.Name == "events" || n.Name == "timeline" || n.Name == "power" || n.Name == "sensors" {
		return siteNamesOf(ctx, site, resourceNamed("machine"), nil)
	}
	r := resourceNamed(n.Parent.Name)
	if r == nil || n.Name == "list" {
		return nil
	}
	before := 0 // arguments that name objects
	if r.owned() {
		before = 1
	}
	if n.Name != "create" {
		before++
	}
	switch {
	case r.owned() && len(args) == 0:
		return siteNamesOf(ctx, site, resourceNamed("machine"), nil)
	case len(args) < before || n.Name == "delete":
		return siteNamesOf(ctx, site, r, args)
	case n.Name == "show":
		return nil
	}
	for _, f := range r.fields {
		if !strings.HasSuffix(f, "*") {
			out = append(out, f+"=")
		}
	}
	return out
}

// siteNamesOf reads the names of objects from the site. It returns none if the site does not
// answer.
func siteNamesOf(ctx context.Context, site remote, r *resource, args []string) (out []string) {
	t, _, err := site.target(ctx, r, args)
	if err != nil {
		return nil
	}
	all, err := t.list(ctx, nil)
	if err != nil {
		return nil
	}
	for _, raw := range all {
		if m, err := t.matched(raw); err == nil {
			out = append(out, m.name)
		}
	}
	return out
}
