package maas_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateAPI = flag.Bool("update", false, "write testdata/api anew")

// What a package exports stands in testdata/api, so that a review sees each change of it. CONTRIBUTING.md says which changes are
// allowed.
func TestExportedAPIIsRecorded(t *testing.T) {
	const dir = "testdata/api"
	got := exportedAPI(t)
	if *updateAPI {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range got {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	const cure = "if the change is meant, run `go test . -run ExportedAPI -update` and say it in CHANGELOG.md"
	for _, name := range slices.Sorted(maps.Keys(got)) {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v; %s", err, cure)
		} else if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got[name], "\n")); diff != "" {
			t.Errorf("%s has changed; %s (-recorded +now):\n%s", name, cure, diff)
		}
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := got[filepath.Base(file)]; !ok {
			t.Errorf("%s is of a package that does not exist; %s", file, cure)
		}
	}
}

// exportedAPI returns the declarations of each package that other modules can import, by name of its file.
func exportedAPI(t *testing.T) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch name := d.Name(); {
		case path != "." && strings.HasPrefix(name, "."), name == "testdata", name == "internal", path == "examples":
			return fs.SkipDir
		}
		if path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // a module of its own
			}
		}
		text, err := declarations(path)
		if text != "" {
			out[strings.ReplaceAll(filepath.ToSlash(path), "/", "_")+".txt"] = text
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// declarations returns what the package in a directory exports on Linux, a block each, in order; "" if it is none or a command.
// It reads the source without types: a name whose type is inferred is written with its value.
func declarations(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	linux := build.Default
	linux.GOOS, linux.GOARCH, linux.CgoEnabled = "linux", "amd64", false
	fset := token.NewFileSet()
	var blocks []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if match, err := linux.MatchFile(dir, filepath.Base(name)); err != nil || !match {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0) // without comments, so that prose may change
		if err != nil {
			return "", err
		}
		if file.Name.Name == "main" {
			return "", nil
		}
		ast.FileExports(file)
		for _, d := range file.Decls {
			found, err := show(fset, d)
			if err != nil {
				return "", err
			}
			blocks = append(blocks, found...)
		}
	}
	slices.Sort(blocks)
	return strings.Join(blocks, ""), nil
}

// show prints one declaration without bodies, and each name of a group of types, variables or constants by itself. Constants that
// take their value from the line before stay together.
func show(fset *token.FileSet, d ast.Decl) ([]string, error) {
	nodes := []ast.Node{d}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && !ast.IsExported(receiver(d)) {
			return nil, nil
		}
		d.Body = nil
	case *ast.GenDecl:
		if d.Tok == token.IMPORT {
			return nil, nil
		}
		if d.Tok == token.CONST && slices.ContainsFunc(d.Specs, func(s ast.Spec) bool { return len(s.(*ast.ValueSpec).Values) == 0 }) {
			break
		}
		nodes = nil
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR {
				v.Values = nil // a function literal would be its body
			}
			nodes = append(nodes, &ast.GenDecl{Tok: d.Tok, Specs: []ast.Spec{s}})
		}
	}
	var out []string
	for _, n := range nodes {
		var b bytes.Buffer
		if err := (&printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}).Fprint(&b, fset, n); err != nil {
			return nil, fmt.Errorf("print a declaration: %w", err)
		}
		out = append(out, strings.Join(slices.DeleteFunc(strings.Split(b.String(), "\n"), func(line string) bool { return strings.TrimSpace(line) == "" }), "\n")+"\n")
	}
	return out, nil
}
