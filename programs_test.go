package maas_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// onEveryMachine are the programs that tests start and no package of install_peers brings: Go, and the
// programs of a minimal Debian.
var onEveryMachine = []string{"go", "sh", "timeout", "unshare"}

// packagesOfEveryMachine are the Debian packages of those programs.
var packagesOfEveryMachine = []string{"bash", "apt", "dpkg", "coreutils"}

// A new machine has only Go and what .ci/run installs. So each program that a test starts is declared
// as a need of the test, with its package, and install_peers installs that package.
func TestProgramsOfTestsAreInstalled(t *testing.T) {
	installed := installedPackages(t)
	needs, starts := map[string]string{}, map[string]string{} // program or file: its package; program: the place of a call
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil || !forTests(path, file) {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			texts := literals(call)
			switch name := calledName(call); {
			case (name == "Program" || name == "File") && texts[0] != "" && texts[1] != "":
				needs[texts[0]] = texts[1]
			case name == "Command" && texts[0] != "":
				starts[texts[0]] = set.Position(call.Pos()).String()
			case (name == "CommandContext" || name == "Command" || name == "start") && programName.MatchString(texts[1]) && !isField(call.Args[0]):
				starts[texts[1]] = set.Position(call.Pos()).String()
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(needs) < 20 || len(starts) < 20 {
		t.Fatalf("only %d needs and %d calls are found", len(needs), len(starts))
	}
	for program, pkg := range needs {
		if !slices.Contains(installed, pkg) && !slices.Contains(packagesOfEveryMachine, pkg) {
			t.Errorf("a test needs %s of the package %s, which install_peers in .ci/run does not install", program, pkg)
		}
	}
	for program, at := range starts {
		_, declared := needs[program]
		if !declared && !slices.Contains(onEveryMachine, program) {
			t.Errorf("%s starts %s: declare the need by netlab.Program, with the Debian package that has it", at, program)
		}
	}
}

// programName matches names of programs, and no options.
var programName = regexp.MustCompile(`^[a-z][a-z0-9_.-]*$`)

// isField reports whether an argument is a field, such as the path of a program that the test built.
func isField(e ast.Expr) bool {
	_, is := e.(*ast.SelectorExpr)
	return is
}

// installedPackages reads the list of install_peers.
func installedPackages(t *testing.T) []string {
	t.Helper()
	script, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?s)local want=\((.*?)\)`).FindSubmatch(script)
	if list == nil {
		t.Fatal(".ci/run has no list of packages")
	}
	return strings.Fields(string(list[1]))
}

// forTests reports whether a file is a test or part of a test kit.
func forTests(path string, file *ast.File) bool {
	return strings.HasSuffix(path, "_test.go") || slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` })
}

// calledName is the last part of the name of what is called.
func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// literals are the first two arguments as far as they are text, else empty.
func literals(call *ast.CallExpr) (texts [2]string) {
	for i := range min(len(call.Args), 2) {
		if lit, ok := call.Args[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			texts[i], _ = strconv.Unquote(lit.Value)
		}
	}
	return texts
}
