package boottest

import (
	"errors"
	"fmt"
	"strings"
)

// A GRUB configuration is parsed into statements. The language is the part of GRUB's manual that
// boot configurations use: commands, if, for, while, until, menuentry, submenu, function; quotes,
// $name and ${name}.

// grubWord is a word made of pieces; it is split at blanks where an unquoted variable brings some.
type grubWord []grubPiece

type grubPiece struct {
	text   string
	isVar  bool
	quoted bool
}

// grubStmt is one of the types below.
type grubStmt any

type (
	grubCommand struct{ words []grubWord }
	grubIf      struct {
		conds  [][]grubStmt
		bodies [][]grubStmt // one more than conds if there is an else
	}
	grubFor struct {
		name  string
		words []grubWord
		body  []grubStmt
	}
	grubWhile struct {
		cond, body []grubStmt
		until      bool
	}
	grubBlock struct { // menuentry, submenu, function
		kind  string
		words []grubWord
		body  []grubStmt
	}
)

// grubToken is a word, or an operator: newline, ;, {, }.
type grubToken struct {
	op   string // "" = a word
	word grubWord
}

// literal returns the text of a word without variables or quotes, "" for others: what keywords are
// recognised by.
func (t grubToken) literal() string {
	if t.op == "" && len(t.word) == 1 && !t.word[0].isVar && !t.word[0].quoted {
		return t.word[0].text
	}
	return ""
}

// lexGRUB splits a configuration into tokens.
func lexGRUB(s string) (tokens []grubToken, err error) {
	for len(s) > 0 {
		switch c := s[0]; {
		case c == '\n' || c == ';':
			tokens = append(tokens, grubToken{op: ";"})
			s = s[1:]
		case c == ' ' || c == '\t' || c == '\r':
			s = s[1:]
		case strings.HasPrefix(s, "\\\n"):
			s = s[2:]
		case c == '#':
			_, s, _ = strings.Cut(s, "\n")
			s = "\n" + s
			if s == "\n" {
				return tokens, nil
			}
		case (c == '{' || c == '}') && (len(s) == 1 || strings.IndexByte(" \t\n;", s[1]) >= 0):
			tokens = append(tokens, grubToken{op: string(c)})
			s = s[1:]
		default:
			var w grubWord
			if w, s, err = lexWord(s); err != nil {
				return nil, err
			}
			tokens = append(tokens, grubToken{word: w})
		}
	}
	return tokens, nil
}

// lexWord reads a word from the front of s.
func lexWord(s string) (w grubWord, rest string, err error) {
	lit := func(text string, quoted bool) {
		if n := len(w) - 1; n >= 0 && !w[n].isVar && w[n].quoted == quoted {
			w[n].text += text
			return
		}
		w = append(w, grubPiece{text: text, quoted: quoted})
	}
	for len(s) > 0 && strings.IndexByte(" \t\r\n;", s[0]) < 0 {
		switch s[0] {
		case '\'':
			end := strings.IndexByte(s[1:], '\'')
			if end < 0 {
				return nil, "", errors.New("' is not closed")
			}
			lit(s[1:1+end], true)
			s = s[end+2:]
		case '"':
			if w, s, err = lexDouble(w, s[1:]); err != nil {
				return nil, "", err
			}
		case '\\':
			if len(s) > 1 {
				lit(s[1:2], true)
			}
			s = s[min(2, len(s)):]
		case '$':
			var p grubPiece
			if p, s, err = lexVariable(s); err != nil {
				return nil, "", err
			}
			w = append(w, p)
		default:
			lit(s[:1], false)
			s = s[1:]
		}
	}
	return w, s, nil
}

// lexDouble reads up to the closing double quote.
func lexDouble(w grubWord, s string) (grubWord, string, error) {
	text := ""
	flush := func() { w = append(w, grubPiece{text: text, quoted: true}); text = "" }
	for len(s) > 0 {
		switch {
		case s[0] == '"':
			flush()
			return w, s[1:], nil
		case s[0] == '\\' && len(s) > 1 && strings.IndexByte("\"\\$", s[1]) >= 0:
			text += s[1:2]
			s = s[2:]
		case s[0] == '$':
			flush()
			p, rest, err := lexVariable(s)
			if err != nil {
				return nil, "", err
			}
			p.quoted = true
			w, s = append(w, p), rest
		default:
			text += s[:1]
			s = s[1:]
		}
	}
	return nil, "", errors.New("\" is not closed")
}

// lexVariable reads $name, ${name} or $?; a lone $ is itself.
func lexVariable(s string) (grubPiece, string, error) {
	if strings.HasPrefix(s, "${") {
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return grubPiece{}, "", errors.New("${ is not closed")
		}
		return grubPiece{text: s[2:end], isVar: true}, s[end+1:], nil
	}
	n := 1
	for n < len(s) && (s[n] == '_' || s[n] == '?' && n == 1 || isAlnum(s[n])) {
		n++
	}
	if n == 1 {
		return grubPiece{text: "$"}, s[1:], nil
	}
	return grubPiece{text: s[1:n], isVar: true}, s[n:], nil
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// grubParser turns tokens into statements.
type grubParser struct {
	tokens []grubToken
	depth  int
}

// maxNesting bounds the nesting of statements.
const maxNesting = 100

func parseGRUB(text string) ([]grubStmt, error) {
	tokens, err := lexGRUB(text)
	if err != nil {
		return nil, err
	}
	p := grubParser{tokens: tokens}
	stmts, err := p.list()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("unexpected %q", p.describe())
	}
	return stmts, err
}

func (p *grubParser) describe() string {
	if len(p.tokens) == 0 {
		return "end of file"
	}
	return p.tokens[0].op + p.tokens[0].literal()
}

// list reads statements until a token that ends one: a closing keyword or brace, or the end.
func (p *grubParser) list() (out []grubStmt, err error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("nested too deep")
	}
	defer func() { p.depth-- }()
	for len(p.tokens) > 0 {
		t := p.tokens[0]
		if t.op == ";" {
			p.tokens = p.tokens[1:]
			continue
		}
		switch t.literal() {
		case "then", "else", "elif", "fi", "do", "done":
			return out, nil
		}
		if t.op == "}" {
			return out, nil
		}
		s, err := p.statement()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (p *grubParser) statement() (grubStmt, error) {
	switch kind := p.tokens[0].literal(); kind {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "while", "until":
		p.tokens = p.tokens[1:]
		cond, body, err := p.loop()
		return grubWhile{cond, body, kind == "until"}, err
	case "menuentry", "submenu", "function":
		return p.block(kind)
	}
	return grubCommand{p.words()}, nil
}

// words reads the words of a command.
func (p *grubParser) words() (out []grubWord) {
	for len(p.tokens) > 0 && p.tokens[0].op != ";" && p.tokens[0].op != "}" {
		t := p.tokens[0]
		if t.op == "{" {
			t.word = grubWord{{text: "{"}}
		}
		out = append(out, t.word)
		p.tokens = p.tokens[1:]
	}
	return out
}

// expect takes a keyword or an operator.
func (p *grubParser) expect(want string) error {
	for len(p.tokens) > 0 && p.tokens[0].op == ";" && want != ";" {
		p.tokens = p.tokens[1:]
	}
	if len(p.tokens) == 0 || p.tokens[0].op != want && p.tokens[0].literal() != want {
		return fmt.Errorf("expected %q, found %q", want, p.describe())
	}
	p.tokens = p.tokens[1:]
	return nil
}

func (p *grubParser) ifStatement() (grubStmt, error) {
	var s grubIf
	p.tokens = p.tokens[1:]
	for {
		cond, err := p.list()
		if err == nil {
			err = p.expect("then")
		}
		if err != nil {
			return nil, err
		}
		body, err := p.list()
		if err != nil {
			return nil, err
		}
		s.conds, s.bodies = append(s.conds, cond), append(s.bodies, body)
		if p.expect("elif") == nil {
			continue
		}
		if p.expect("else") == nil {
			body, err := p.list()
			if err != nil {
				return nil, err
			}
			s.bodies = append(s.bodies, body)
		}
		return s, p.expect("fi")
	}
}

func (p *grubParser) forStatement() (grubStmt, error) {
	p.tokens = p.tokens[1:]
	words := p.words()
	if len(words) < 2 || len(words[0]) != 1 || len(words[1]) != 1 || words[1][0].text != "in" {
		return nil, errors.New("for without a name and \"in\"")
	}
	if err := p.expect("do"); err != nil {
		return nil, err
	}
	body, err := p.list()
	if err != nil {
		return nil, err
	}
	return grubFor{words[0][0].text, words[2:], body}, p.expect("done")
}

// loop reads the condition and the body of while and until.
func (p *grubParser) loop() (cond, body []grubStmt, err error) {
	if cond, err = p.list(); err != nil {
		return nil, nil, err
	}
	if err = p.expect("do"); err != nil {
		return nil, nil, err
	}
	if body, err = p.list(); err != nil {
		return nil, nil, err
	}
	return cond, body, p.expect("done")
}

// block reads menuentry "title" options { ... }.
func (p *grubParser) block(kind string) (grubStmt, error) {
	p.tokens = p.tokens[1:]
	var words []grubWord
	for len(p.tokens) > 0 && p.tokens[0].op == "" {
		words = append(words, p.tokens[0].word)
		p.tokens = p.tokens[1:]
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	body, err := p.list()
	if err != nil {
		return nil, err
	}
	return grubBlock{kind, words, body}, p.expect("}")
}
