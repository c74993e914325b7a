package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// built is the command as a file, for tests that run it in a namespace. Tests that need it do not run in parallel.
var built string

// build makes the command at its first call.
func build(t *testing.T) string {
	t.Helper()
	if built != "" {
		return built
	}
	dir, err := os.MkdirTemp("", "maas-test-")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "maas")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		t.Fatalf("go build: %v: %s", err, out)
	}
	built = binary
	return built
}
