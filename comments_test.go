package maas_test

import (
	"bufio"
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

// source is a parsed product file.
type source struct {
	path string
	file *ast.File
}

// sources parses all Go files of the module, with their comments. Files of other modules and generated code are left out.
func sources(t *testing.T, fset *token.FileSet, tests bool) (out []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || !tests && strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil && !ast.IsGenerated(file) {
			out = append(out, source{path, file})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// oddPhrases match phrases that comments must not contain, with the rule.
var oddPhrases = []struct {
	pattern *regexp.Regexp
	rule    string
}{
	{regexp.MustCompile(`^(?:An? |The )?[\w.\[\]]+ (?:is|are|was) (?:what|who|whom|whose|where|how|when|why)\b`),
		"say what it does, holds or returns, not what it \"is\""},
	{regexp.MustCompile(`(?i)\b(?:nobody|somebody|everybody|anybody|whoever)\b`),
		"name the actor: a client, a caller, a rack"},
	{regexp.MustCompile(`(?:^|[;:.(] )[Ww]ho [a-z]+`),
		"name the actor: a client, a caller, a rack"},
	{regexp.MustCompile(`\b(?:is|are|was|were|be) there\b|\bcomes? and goe?s?\b`),
		"write exists, arrives, is removed"},
}

// Comments follow the rules of the project's language: an actor is named, and a thing is described by what it does.
func TestCommentsFollowTheRules(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range sources(t, fset, true) {
		for _, group := range s.file.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ")
			for _, odd := range oddPhrases {
				if phrase := odd.pattern.FindString(text); phrase != "" {
					t.Errorf("%s: %q: %s", fset.Position(group.Pos()), phrase, odd.rule)
				}
			}
		}
	}
}

// Comments end at column 100, where a line can end.
func TestCommentsHaveOneWidth(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range sources(t, fset, false) {
		text, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(strings.NewReader(string(text)))
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimLeft(lines.Text(), "\t")
			words, is := strings.CutPrefix(line, "// ")
			if is && len([]rune(lines.Text())) > 100 && strings.Contains(words, " ") {
				t.Errorf("%s:%d: the comment is wider than 100 columns", s.path, n)
			}
		}
	}
}

// declared returns the names that a package's files declare at the top level, as Name and Type.Member.
func declared(files []*ast.File) map[string]bool {
	names := map[string]bool{}
	members := func(of string, list *ast.FieldList) {
		for _, field := range list.List {
			for _, name := range field.Names {
				names[of+"."+name.Name] = true
			}
			if len(field.Names) == 0 { // embedded: its members are not resolved
				names[of+".*"] = true
			}
		}
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				names[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.ValueSpec:
						for _, name := range s.Names {
							names[name.Name] = true
						}
					case *ast.TypeSpec:
						names[s.Name.Name] = true
						switch of := s.Type.(type) {
						case *ast.StructType:
							members(s.Name.Name, of.Fields)
						case *ast.InterfaceType:
							members(s.Name.Name, of.Methods)
						case *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr:
							names[s.Name.Name+".*"] = true
						}
					}
				}
			}
		}
	}
	return names
}

// receiver returns "Type." for a method, "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	of := d.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.IndexListExpr:
			of = x.X
		case *ast.Ident:
			return x.Name + "."
		default:
			return ""
		}
	}
}

var (
	docLink   = regexp.MustCompile(`\[\*?([A-Za-z][\w./-]*)\]`)
	firstWord = regexp.MustCompile(`^(?:An? |The )?(\w+)`)
)

// A link in a doc comment leads to something that exists, and the comment of a function or type begins with its own name: a
// comment that kept the former name after a renaming fails.
func TestDocCommentsNameWhatExists(t *testing.T) {
	fset := token.NewFileSet()
	byDir := map[string][]source{}
	for _, s := range sources(t, fset, true) {
		byDir[filepath.ToSlash(filepath.Dir(s.path))] = append(byDir[filepath.ToSlash(filepath.Dir(s.path))], s)
	}
	names := map[string]map[string]bool{} // by import path
	for dir, files := range byDir {
		var parsed []*ast.File
		for _, s := range files {
			if !strings.HasSuffix(s.path, "_test.go") {
				parsed = append(parsed, s.file)
			}
		}
		names[strings.TrimSuffix(module+"/"+dir, "/.")] = declared(parsed)
	}
	for dir, files := range byDir {
		own := names[strings.TrimSuffix(module+"/"+dir, "/.")]
		imports := importsOf(files, names)
		for _, s := range files {
			if strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			for _, group := range s.file.Comments {
				for _, m := range docLink.FindAllStringSubmatch(prose(group.Text()), -1) {
					if !linkExists(m[1], own, imports, names) {
						t.Errorf("%s: the comment names [%s], which does not exist", fset.Position(group.Pos()), m[1])
					}
				}
			}
			for _, decl := range s.file.Decls {
				fn, is := decl.(*ast.FuncDecl)
				if !is || fn.Doc == nil {
					continue
				}
				word := firstWord.FindStringSubmatch(fn.Doc.Text())
				if word != nil && word[1] != fn.Name.Name && !slices.Contains([]string{"Deprecated"}, word[1]) {
					t.Errorf("%s: the comment of %s begins with %q; begin with the name", fset.Position(fn.Pos()), fn.Name.Name, word[1])
				}
			}
		}
	}
}

// importsOf returns import paths by the names that the files of a package have for them, and packages of this module by their
// base names, which comments may use without an import.
func importsOf(files []source, names map[string]map[string]bool) map[string]string {
	out := map[string]string{}
	for path := range names {
		out[path[strings.LastIndex(path, "/")+1:]] = path
	}
	for _, s := range files {
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				continue
			}
			name := path[strings.LastIndex(path, "/")+1:]
			if imp.Name != nil {
				name = imp.Name.Name
			}
			out[name] = path
		}
	}
	return out
}

// prose returns a comment without its code, which is indented.
func prose(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "\t") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// linkExists reports whether a link of a doc comment resolves. Packages outside the module are taken at their word.
func linkExists(link string, own map[string]bool, imports map[string]string, names map[string]map[string]bool) bool {
	has := func(in map[string]bool, name string) bool {
		of, _, isMember := strings.Cut(name, ".")
		return in[name] || isMember && in[of+".*"]
	}
	if path, isPath := strings.CutPrefix(link, module); isPath {
		dir, name := path, ""
		if i := strings.LastIndex(path, "/"); strings.Contains(path[max(i, 0):], ".") {
			base, member, _ := strings.Cut(path[i:], ".")
			dir, name = path[:i]+base, member
		}
		in, exists := names[module+dir]
		return exists && (name == "" || has(in, name))
	}
	pkg, member, qualified := strings.Cut(link, ".")
	if qualified {
		if path, imported := imports[pkg]; imported {
			in, ours := names[path]
			return !ours || has(in, member)
		}
	}
	if !token.IsExported(pkg) || strings.Contains(link, "/") { // text in brackets, or a package of the standard library
		return true
	}
	return has(own, link)
}

// logKeys are the keys of log lines. Operators filter by them, so that one thing has one key.
var logKeys = strings.Fields(`
	mac ip subnet vlan interface rack partner client zone machine err retry_in count took
	address arch bytes component data directory duty expires file fingerprint firmware free from handler host hostname interfaces key kind
	level loader method offset options panic path port prefixes proto question racks records region regions reservations result
	ranges ports revision server skipped stack stats step subnets task to token topic torn total url user`)

// Log messages begin in lower case, have no full stop, and use keys of one list.
func TestLogLinesHaveOneForm(t *testing.T) {
	fset := token.NewFileSet()
	levels := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "Log": 3, "With": 0}
	for _, s := range sources(t, fset, false) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, is := n.(*ast.CallExpr)
			if !is {
				return true
			}
			sel, is := call.Fun.(*ast.SelectorExpr)
			if !is || !isLogger(sel.X) {
				return true
			}
			first, is := levels[sel.Sel.Name]
			if !is || len(call.Args) < first {
				return true
			}
			if first > 0 {
				if message := literal(call.Args[first-1]); message != "" && (strings.ToLower(message[:2]) != message[:2] && strings.ToUpper(message[:2]) != message[:2] || strings.HasSuffix(message, ".")) {
					t.Errorf("%s: log message %q: begin in lower case, without a full stop", fset.Position(call.Pos()), message)
				}
			}
			for i := first; i < len(call.Args); i += 2 {
				if key := literal(call.Args[i]); key != "" && !slices.Contains(logKeys, key) {
					t.Errorf("%s: log key %q is not of the list", fset.Position(call.Pos()), key)
				}
			}
			return true
		})
	}
}

// isLogger reports whether an expression is called log or Log, as all loggers are.
func isLogger(x ast.Expr) bool {
	switch e := x.(type) {
	case *ast.Ident:
		return strings.EqualFold(e.Name, "log") || e.Name == "slog"
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "log")
	}
	return false
}

// literal returns the value of a string literal, "" for anything else.
func literal(x ast.Expr) string {
	lit, is := x.(*ast.BasicLit)
	if !is || lit.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(lit.Value)
	return text
}
