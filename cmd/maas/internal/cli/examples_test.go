package cli

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Each command has an example, which is a command line; cmd/maas runs those that need no more than a
// region.
func TestEachCommandHasAnExample(t *testing.T) {
	parser, err := newParser()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("site.backup", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shown := examples(parser.Model.Node)
	for _, n := range leaves(parser.Model.Node) {
		line := shown[n.FullPath()]
		if line == "" {
			t.Errorf("%s has no line in examples.txt", n.FullPath())
			continue
		}
		words, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s\n' "+strings.TrimPrefix(line, "maas ")).Output()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Split(strings.TrimSpace(string(words)), "\n")); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if !strings.Contains(n.Detail, "    "+line) {
			t.Errorf("the help of %s lacks its example", n.FullPath())
		}
	}
	if manual := manual(parser.Model); !strings.Contains(manual, roff(shown["maas subnet create"])) {
		t.Error("the manual page lacks the examples")
	}
}
