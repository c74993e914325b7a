package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// manCmd is the hidden command that writes the manual page for the package.
type manCmd struct{}

// Run runs the command.
func (manCmd) Run(app *kong.Application, io stdio) error {
	_, err := io.out.Write([]byte(manual(app)))
	return err
}

// manual returns the manual page of all commands, in roff.
func manual(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH MAAS 1\n.SH NAME\nmaas \\- %s\n.SH SYNOPSIS\n.B maas\n.I command\n[\n.I arguments\n]\n", roff(strings.TrimSuffix(app.Help, ".")))
	b.WriteString(".SH DESCRIPTION\nEvery flag is also a variable of the environment: MAAS_ and its name in capitals, with _ for \\-. " +
		"Commands about the site's objects take NAME=VALUE, and find objects by name, prefix or number.\n.SH COMMANDS\n")
	manCommands(&b, app.Node, "maas", examples(app.Node))
	b.WriteString(".SH EXIT STATUS\n0 when it was done, 1 when it failed, 2 when the command was not understood.\n" +
		".SH FILES\n.TP\n.I /var/lib/gomaas\nData of the daemon.\n.TP\n.I /etc/gomaas/maas.yaml\nConfiguration of the daemon.\n" +
		".TP\n.I ~/.config/maas/logins.json\nLog\\-ins to sites.\n")
	return b.String()
}

// manCommands writes the commands below a node, depth first.
func manCommands(w io.Writer, n *kong.Node, path string, shown map[string]string) {
	for _, child := range n.Children {
		if child.Hidden || child.Type != kong.CommandNode {
			continue
		}
		name := path + " " + child.Name
		if len(child.Children) > 0 {
			fmt.Fprintf(w, ".SS %s\n%s\n", roff(name), roff(child.Help))
			manCommands(w, child, name, shown)
			continue
		}
		fmt.Fprintf(w, ".TP\n.B %s", roff(name))
		for _, arg := range child.Positional {
			fmt.Fprintf(w, " %s", roff(arg.Summary()))
		}
		fmt.Fprintf(w, "\n%s\n", roff(child.Help))
		manFlags(w, child)
		if line := shown[name]; line != "" {
			fmt.Fprintf(w, ".RS\n.PP\n.EX\n%s\n.EE\n.RE\n", roff(line))
		}
	}
}

// manFlags writes the flags of a command.
func manFlags(w io.Writer, n *kong.Node) {
	fmt.Fprintln(w, ".RS")
	for _, arg := range n.Positional {
		fmt.Fprintf(w, ".TP\n.I %s\n%s\n", roff(arg.Name), roff(arg.Help))
	}
	for _, flag := range n.Flags {
		if flag.Hidden {
			continue
		}
		name := "--" + flag.Name
		if flag.Short != 0 {
			name = "-" + string(flag.Short) + ", " + name
		}
		if !flag.IsBool() {
			name += "=" + flag.FormatPlaceHolder()
		}
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(name), roff(flag.Help))
	}
	fmt.Fprintln(w, ".RE")
}

// roff escapes the characters that have a meaning in roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
