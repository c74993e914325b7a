package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// A Need is one precondition of a test. It returns nil when it is met, otherwise an error that
// names it and how to meet it.
type Need func() error

// RequireEnv is the environment variable that, set to "all", turns skips into failures.
const RequireEnv = "MAAS_TEST_REQUIRE"

// Require ends the test unless every need is met: it skips with the reason, or fails when
// MAAS_TEST_REQUIRE=all.
func Require(t testing.TB, needs ...Need) {
	t.Helper()
	for _, need := range needs {
		err := need()
		if err == nil {
			continue
		}
		if os.Getenv(RequireEnv) == "all" {
			t.Fatalf("%v (%s=all forbids skipping)", err, RequireEnv)
		}
		t.Skip(err)
	}
}

// Root is the need to run as the superuser on Linux with the ip program, which making namespaces
// takes.
func Root() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root to make network namespaces")
	}
	return Program("ip", "iproute2")()
}

// Program is the need for an executable in PATH (or at an absolute path), which the named Debian
// package installs.
func Program(name, debianPackage string) Need {
	return func() error {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("needs the program %s (Debian package %s)", name, debianPackage)
		}
		return nil
	}
}

// File is the need for a readable file, which the named Debian package installs.
func File(path, debianPackage string) Need {
	return func() error {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("needs the file %s (Debian package %s)", path, debianPackage)
		}
		return nil
	}
}
