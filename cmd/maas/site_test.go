package main

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestSite runs the command line against a region that the script starts; see testdata/site.
func TestSite(t *testing.T) {
	binary := build(t) // it starts faster than the test, and starts a hundred times
	testscript.Run(t, testscript.Params{
		Dir: "testdata/site",
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"API", "RACKS"} {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv(name, ln.Addr().String())
				ln.Close()
			}
			env.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"eventually": says},
	})
}

// says runs a command until it succeeds and its output has the text: eventually TEXT COMMAND ARG...
func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually TEXT COMMAND ARG...")
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		program = args[1]
	}
	var last string
	for range 100 {
		var out strings.Builder
		err := ts.Exec(program, args[2:]...)
		fmt.Fprint(&out, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		if last = out.String(); err == nil && strings.Contains(last, args[0]) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("%v never said %q; it said %s", args[1:], args[0], last)
}
