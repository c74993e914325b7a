package siteimport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a word, a punctuation mark, or a string without its quotes.
type token struct {
	text   string
	quoted bool
	line   int
}

// is reports whether the token is the word or mark. Keywords have no case.
func (t token) is(text string) bool { return !t.quoted && strings.EqualFold(t.text, text) }

// statement is words up to a semicolon or a block: the grammar of dhcpd.conf needs nothing else to
// find where each statement ends.
type statement struct {
	file   string
	line   int
	words  []token
	body   []*statement
	tokens int // words and marks of the statement without the tokens of its body
}

// word returns a word in lower case; "" = there are fewer, or it is a string.
func (s *statement) word(i int) string {
	if i >= len(s.words) || s.words[i].quoted {
		return ""
	}
	return strings.ToLower(s.words[i].text)
}

// text is the statement for people.
func (s *statement) text() string {
	if s.word(0) == "secret" {
		return "secret ..."
	}
	var out strings.Builder
	for i, w := range s.words {
		if i > 0 && !w.is(",") {
			out.WriteByte(' ')
		}
		if w.quoted {
			out.WriteString(strconv.Quote(w.text))
		} else {
			out.WriteString(w.text)
		}
		if out.Len() > 80 {
			return strings.ToValidUTF8(out.String()[:80], "") + "..."
		}
	}
	return out.String()
}

// tree reads files into statements. The grammar of named.conf is dhcpd's, with more comments.
type tree struct {
	*source
	bind bool
	// each takes a statement outside of all blocks, or reports that it did not. If nil, none is
	// taken.
	each func(s *statement) (taken bool, err error)
}

// parser reads one file.
type parser struct {
	*tree
	file  string
	stack []string // files that are being read, to find loops
	src   string
	line  int
}

func (p *parser) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

func (t *tree) read(name string, stack []string, depth int) ([]*statement, error) {
	name = clean(name)
	text, err := t.source.read(name)
	if err != nil {
		return nil, err
	}
	p := parser{tree: t, file: name, stack: append(slices.Clip(stack), name), src: text, line: 1}
	return p.block(depth, 0)
}

// block reads statements up to the end of a block that was opened in a line, or of the file if that
// is 0.
func (p *parser) block(depth, opened int) (out []*statement, err error) {
	for {
		s := &statement{file: p.file}
		end, err := p.words(s)
		if err != nil {
			return nil, err
		}
		switch {
		case end == "" && opened != 0:
			return nil, p.errorf(opened, "the block has no end; add }")
		case end == "":
			return out, nil
		case end == "}" && opened == 0:
			return nil, p.errorf(p.line, "} closes no block; remove it")
		case end == "}":
			return out, nil
		case end == ";" && len(s.words) == 0:
			// Many close a block with "};". The mark belongs to that block.
			if len(out) == 0 {
				return nil, p.errorf(p.line, "; ends no statement; remove it")
			}
			out[len(out)-1].tokens++
			continue
		case end == "{":
			if depth == maxDepth {
				return nil, p.errorf(p.line, "blocks are nested more than %d deep", maxDepth)
			}
			if s.body, err = p.block(depth+1, p.line); err != nil {
				return nil, err
			}
			s.tokens++ // the end of the block
		case s.word(0) == "include":
			if s.body, err = p.include(s, depth); err != nil {
				return nil, err
			}
		}
		if p.statements++; p.statements > maxStatements {
			return nil, p.errorf(s.line, "the configuration has more than %d statements", maxStatements)
		}
		if p.each != nil && opened == 0 && len(p.stack) == 1 {
			if p.markAfterBlock(s, end) {
				s.tokens++
			}
			if taken, err := p.each(s); err != nil {
				return nil, err
			} else if taken {
				continue
			}
		}
		out = append(out, s)
	}
}

// markAfterBlock passes the mark after a block, since what is taken now gets no tokens later.
func (p *parser) markAfterBlock(s *statement, end string) bool {
	if end != "{" {
		return false
	}
	p.skip()
	if !strings.HasPrefix(p.src, ";") {
		return false
	}
	p.src = p.src[1:]
	p.tokens++
	return true
}

func (p *parser) include(s *statement, depth int) ([]*statement, error) {
	if len(s.words) != 2 || !s.words[1].quoted {
		return nil, p.errorf(s.line, `include needs the name of a file in quotes`)
	}
	name := from(p.file, s.words[1].text)
	if err := include(s.place(), name, p.stack); err != nil {
		return nil, err
	}
	body, err := p.read(name, p.stack, depth+1)
	return body, absent(s.place(), err)
}

// words reads the words of a statement and returns the mark after them: ";", "{", "}", or "" at the
// end of the file.
func (p *parser) words(s *statement) (string, error) {
	braces := 0
	for {
		t, err := p.next()
		if err != nil {
			return "", err
		}
		if t.text == "" && !t.quoted {
			if len(s.words) > 0 {
				return "", p.errorf(s.line, "the statement has no end; add ;")
			}
			return "", nil
		}
		s.tokens++
		if s.line == 0 {
			s.line = t.line
		}
		switch {
		case t.is("{") && len(s.words) > 0 && (s.words[len(s.words)-1].is("record") || s.words[len(s.words)-1].is("=")):
			braces++ // the type of an option: code 200 = record { ... }
		case t.is("}") && braces > 0:
			braces--
		case t.is("{") && len(s.words) == 0:
			return "", p.errorf(t.line, "the block has no name; write for example: group {")
		case t.is("}") && len(s.words) > 0:
			return "", p.errorf(s.line, "the statement has no end; add ;")
		case t.is(";"), t.is("{"), t.is("}"):
			return t.text, nil
		}
		if s.words = append(s.words, t); len(s.words) > maxWords {
			return "", p.errorf(s.line, "the statement has more than %d words; is a ; missing?", maxWords)
		}
	}
}

// next returns the next token; one without text and quotes at the end of the file.
func (p *parser) next() (token, error) {
	p.skip()
	t := token{line: p.line}
	if p.src == "" {
		return t, nil
	}
	p.tokens++
	switch c := p.src[0]; {
	case c == '"':
		return p.quoted()
	case strings.IndexByte("!~<>", c) >= 0 && len(p.src) > 1 && p.src[1] == '=':
		t.text, p.src = p.src[:2], p.src[2:]
		return t, nil
	case strings.IndexByte(";{},=()", c) >= 0:
		t.text, p.src = p.src[:1], p.src[1:]
		return t, nil
	}
	end := strings.IndexAny(p.src[:min(len(p.src), maxWord+1)], " \t\r\n\f\v;{},=()\"#")
	if end < 0 {
		end = len(p.src)
	}
	t.text, p.src = p.src[:end], p.src[end:]
	return t, p.check(t)
}

// check refuses what no server would read as it was meant.
func (p *parser) check(t token) error {
	switch {
	case len(t.text) > maxWord:
		return p.errorf(t.line, "a word has more than %d bytes; is a quote missing?", maxWord)
	case !t.quoted && strings.IndexByte(t.text, 0) >= 0:
		return p.errorf(t.line, "the file is not text; convert it to UTF-8")
	case !t.quoted && !utf8.ValidString(t.text):
		return p.errorf(t.line, "the text is not UTF-8; convert the file")
	}
	return nil
}

// skip passes white space and comments.
func (p *parser) skip() {
	for p.src != "" {
		switch p.src[0] {
		case '\n':
			p.line++
		case ' ', '\t', '\r', '\f', '\v':
		case '#':
			p.passLine()
			continue
		case '/':
			if !p.bind || !p.slashes() {
				return
			}
			continue
		default:
			return
		}
		p.src = p.src[1:]
	}
}

// passLine passes the rest of a line.
func (p *parser) passLine() {
	end := strings.IndexByte(p.src, '\n')
	if end < 0 {
		end = len(p.src)
	}
	p.src = p.src[end:]
}

// slashes passes a comment of named.conf, and reports whether there was one. One without end goes
// to the end of the file, where the statement before it is missed.
func (p *parser) slashes() bool {
	switch {
	case strings.HasPrefix(p.src, "//"):
		p.passLine()
	case strings.HasPrefix(p.src, "/*"):
		end := strings.Index(p.src[2:], "*/") + 4
		if end < 4 {
			end = len(p.src)
		}
		p.line += strings.Count(p.src[:end], "\n")
		p.src = p.src[end:]
	default:
		return false
	}
	return true
}

// quoted reads a string. Escapes are written as in C; a line may not end in it.
func (p *parser) quoted() (token, error) {
	t := token{line: p.line, quoted: true}
	var text []byte
	for i := 1; i < len(p.src) && i < maxWord; i++ {
		switch c := p.src[i]; c {
		case '"':
			t.text, p.src = string(text), p.src[i+1:]
			return t, p.check(t)
		case '\n':
			return t, p.errorf(t.line, "the string has no end; add a quote")
		case '\\':
			b, n := unescape(p.src[i+1 : min(len(p.src), i+4)])
			text = append(text, b)
			i += n
		default:
			text = append(text, c)
		}
	}
	return t, p.errorf(t.line, "the string has no end; add a quote")
}

// unescape returns the byte that follows a backslash, and the length of its notation.
func unescape(s string) (byte, int) {
	if s == "" {
		return '\\', 0
	}
	if at := strings.IndexByte("tnrb", s[0]); at >= 0 {
		return "\t\n\r\b"[at], 1
	}
	base, from, to := 8, 0, 3
	if s[0] == 'x' {
		base, from = 16, 1
	}
	if len(s) >= to {
		if n, err := strconv.ParseUint(s[from:to], base, 8); err == nil {
			return byte(n), to
		}
	}
	return s[0], 1
}

// name returns a word that may be in quotes.
func (s *statement) name(i int) string {
	if i < 0 || i >= len(s.words) {
		return ""
	}
	return s.words[i].text
}
