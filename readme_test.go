package maas_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```")

// blocks returns the code of the README in one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no %s", language)
	}
	return found
}

// The program in the README compiles, against this tree.
func TestREADMEProgramCompiles(t *testing.T) {
	for _, program := range blocks(t, "go") {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// The commands of the README are understood: each is given to the command with --help behind its flags, which parses them
// and does nothing. What they do is tested with real firmware in cmd/maas, which runs the same ones.
func TestREADMECommandsAreUnderstood(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "maas")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/maas").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := blocks(t, "yaml")[0]
	if err := os.WriteFile(filepath.Join(dir, "maas.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "site.zip"), nil, 0o600); err != nil { // a backup that is restored has to exist
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.Join(blocks(t, "sh"), ""), "\n") {
		args, ok := command(line)
		if !ok {
			continue
		}
		if args[0] != "config" && args[0] != "try" { // those two change nothing and are run as they stand
			args = append(args, "--help")
		}
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
}

var word = regexp.MustCompile(`"([^"]*)"|\S+`)

// command returns the arguments of a line that runs maas.
func command(line string) ([]string, bool) {
	var args []string
	for _, m := range word.FindAllStringSubmatch(line, -1) {
		if m[1] != "" {
			args = append(args, m[1])
		} else {
			args = append(args, m[0])
		}
	}
	for i, a := range args {
		if a == "./maas" || a == "./cmd/maas" && i > 1 && args[1] == "run" {
			return args[i+1:], len(args) > i+1
		}
	}
	return nil, false
}
