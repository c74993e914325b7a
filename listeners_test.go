package maas_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testKit matches directories of peers for tests, and of examples; what they accept is no client of a product.
var testKit = regexp.MustCompile(`^(examples|power/powersim|pxe/boottest|.*test|internal/bounds)(/|$)`)

// Product code accepts connections through bounds.Listen only, so that each listener has bounds and outlives an error of Accept.
func TestAllListenersAreBounded(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if testKit.MatchString(filepath.ToSlash(filepath.Dir(path))) {
			return nil
		}
		for _, fault := range unbounded(t, path) {
			t.Error(fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unbounded returns the places of a file that accept connections in another way: a call of Accept or of a function that listens and
// serves by itself, and an http.Server in a file that does not bound a listener.
func unbounded(t *testing.T, path string) (faults []string) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	limits, servers := false, []token.Pos(nil)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if name := n.Sel.Name; name == "Listen" && isName(n.X, "bounds") || name == "LimitClients" {
				limits = true
			}
		case *ast.CompositeLit:
			if sel, ok := n.Type.(*ast.SelectorExpr); ok && isName(sel.X, "http") && sel.Sel.Name == "Server" {
				servers = append(servers, n.Pos())
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch name := sel.Sel.Name; {
			case name == "Accept" && len(n.Args) == 0, name == "AcceptTCP", name == "AcceptUnix":
				servers = append(servers, n.Pos())
			case strings.HasPrefix(name, "ListenAndServe"), isName(sel.X, "http") && strings.HasPrefix(name, "Serve") && len(n.Args) == 2:
				faults = append(faults, fset.Position(n.Pos()).String()+": "+name+" serves without bounds; use bounds.Listen")
			}
		}
		return true
	})
	if limits {
		return faults
	}
	for _, pos := range servers {
		faults = append(faults, fset.Position(pos).String()+": connections are accepted without bounds; use bounds.Listen")
	}
	return faults
}

func isName(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}
