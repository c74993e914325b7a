package siteimport

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// node is a value of a JSON text with its place, which package encoding/json does not keep.
type node struct {
	file string
	line int
	kind byte   // '{', '[', '"', or 'x' for numbers, true, false and null
	text string // of scalars; strings without quotes
	keys []string
	kids []*node
	item int // one more than the index of its item; 0 = none yet
}

// jsonTree reads JSON in the form of Kea: with comments of #, // and /* */, commas before closing
// braces, and <?include "FILE"?> in the place of a value or of some members.
type jsonTree struct {
	*source
	relaxed bool
}

type jsonParser struct {
	*jsonTree
	file  string
	stack []string
	src   string
	line  int
}

func (t *jsonTree) parse(name string, stack []string) (*node, error) {
	text, err := t.text(name)
	if err != nil {
		return nil, err
	}
	p := jsonParser{jsonTree: t, file: name, stack: append(slices.Clip(stack), name), src: text, line: 1}
	n, err := p.value(len(stack))
	if err != nil {
		return nil, err
	}
	if err := p.skip(); err != nil {
		return nil, err
	}
	if p.src != "" {
		return nil, p.errorf("text follows the end of the value; remove it")
	}
	return n, nil
}

func (p *jsonParser) errorf(format string, args ...any) error {
	return place{file: p.file, line: p.line}.errorf(format, args...)
}

// skip passes white space and comments.
func (p *jsonParser) skip() error {
	for p.src != "" {
		end := -1
		switch c := p.src[0]; {
		case c == '\n':
			p.line++
			end = 1
		case c == ' ', c == '\t', c == '\r':
			end = 1
		case p.relaxed && (c == '#' || strings.HasPrefix(p.src, "//")):
			if end = strings.IndexByte(p.src, '\n'); end < 0 {
				end = len(p.src)
			}
		case p.relaxed && strings.HasPrefix(p.src, "/*"):
			at := strings.Index(p.src[2:], "*/")
			if at < 0 {
				return p.errorf("the comment has no end; add */")
			}
			end = at + 4
			p.line += strings.Count(p.src[:end], "\n")
		default:
			return nil
		}
		p.src = p.src[end:]
	}
	return nil
}

// value reads a value. Each value is a token, and an object or array has one more for its end.
func (p *jsonParser) value(depth int) (*node, error) {
	if err := p.skip(); err != nil {
		return nil, err
	}
	n := &node{file: p.file, line: p.line}
	if err := p.count(place{file: p.file, line: p.line, tokens: 1}); err != nil {
		return nil, err
	}
	if p.src == "" {
		return nil, p.errorf("the text ends within a value; is the file truncated?")
	}
	switch n.kind = p.src[0]; {
	case n.kind == '{', n.kind == '[':
		if depth >= maxDepth {
			return nil, p.errorf("values are nested more than %d deep", maxDepth)
		}
		p.src = p.src[1:]
		p.tokens++
		return n, p.members(n, depth+1, false)
	case n.kind == '"':
		text, err := p.str()
		n.text = text
		return n, err
	case p.relaxed && strings.HasPrefix(p.src, "<?include"):
		p.tokens-- // the value in the file is counted there
		return p.include(depth)
	}
	end := strings.IndexFunc(p.src, func(r rune) bool {
		return r != '-' && r != '+' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if end < 0 {
		end = len(p.src)
	}
	n.kind, n.text = 'x', p.src[:end]
	if p.src = p.src[end:]; !json.Valid([]byte(n.text)) {
		return nil, p.errorf("%q is no value; write strings in quotes", clip(n.text+p.src[:min(1, len(p.src))]))
	}
	return n, nil
}

// members reads what an object or array has, up to its end or, of a part that another file
// includes, to the end of the file.
func (p *jsonParser) members(n *node, depth int, part bool) error {
	closing := n.kind + 2 // } and ] are two after { and [ in ASCII
	opened := p.line
	for comma := true; ; {
		if err := p.skip(); err != nil {
			return err
		}
		switch {
		case p.src == "" && part:
			return nil
		case part && (p.src[0] == '}' || p.src[0] == ']'):
			return p.errorf("%c ends nothing in this file; remove it", p.src[0])
		case p.src == "":
			p.line = opened
			return p.errorf("the %c has no end; add %c", n.kind, closing)
		case p.src[0] == closing && (!comma || len(n.kids) == 0 || p.relaxed):
			p.src = p.src[1:]
			return nil
		case p.src[0] == ',' && !comma:
			p.src, comma = p.src[1:], true
			continue
		case !comma:
			return p.errorf("%q follows a value; is a comma missing?", clip(p.src[:min(10, len(p.src))]))
		}
		comma = false
		if p.relaxed && strings.HasPrefix(p.src, "<?include") {
			if err := p.includeMembers(n, depth); err != nil {
				return err
			}
			continue
		}
		if n.kind == '{' {
			if p.src[0] != '"' {
				return p.errorf("%q is no name; write it in quotes", clip(p.src[:min(10, len(p.src))]))
			}
			key, err := p.str()
			if err != nil {
				return err
			}
			p.tokens++
			if err := p.skip(); err != nil {
				return err
			}
			if !strings.HasPrefix(p.src, ":") {
				return p.errorf("the name %q has no value; add a colon and the value", clip(key))
			}
			p.src = p.src[1:]
			// Which of two counts depends on the reader. Objects of configurations have tens of
			// names; the bound keeps the search of others short.
			if slices.Contains(n.keys, key) && len(n.keys) < maxDepth*8 {
				return p.errorf("%q is there twice; remove one", clip(key))
			}
			n.keys = append(n.keys, key)
		}
		kid, err := p.value(depth)
		if err != nil {
			return err
		}
		n.kids = append(n.kids, kid)
	}
}

func (p *jsonParser) str() (string, error) {
	for i := 1; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '\\':
			i++
		case c == '\n':
			return "", p.errorf("the string has no end; add a quote")
		case c == '"':
			raw := p.src[:i+1]
			p.src = p.src[i+1:]
			if !strings.Contains(raw, `\`) {
				return raw[1:i], nil
			}
			var out string
			if err := json.Unmarshal([]byte(raw), &out); err != nil {
				return "", p.errorf("the string has an escape that JSON does not know; correct it")
			}
			if !utf8.ValidString(out) || strings.ContainsRune(out, 0) {
				return "", p.errorf("the string is not text; correct it")
			}
			return out, nil
		}
	}
	return "", p.errorf("the string has no end; add a quote")
}

// includeMembers reads the members of n that the file of an include has.
func (p *jsonParser) includeMembers(n *node, depth int) error {
	inner, err := p.open()
	if err != nil {
		return err
	}
	return inner.members(n, depth, true)
}

// include reads the value that the file of an include has.
func (p *jsonParser) include(depth int) (*node, error) {
	inner, err := p.open()
	if err != nil {
		return nil, err
	}
	n, err := inner.value(depth)
	if err != nil {
		return nil, err
	}
	if err := inner.skip(); err != nil || inner.src != "" {
		return nil, inner.errorf("text follows the end of the value; remove it")
	}
	return n, nil
}

// open passes an include and returns the parser of its file.
func (p *jsonParser) open() (*jsonParser, error) {
	_, rest, ok1 := strings.Cut(p.src, `"`)
	file, rest, ok2 := strings.Cut(rest, `"`)
	_, after, ok3 := strings.Cut(rest, "?>")
	if !ok1 || !ok2 || !ok3 || strings.Contains(file, "\n") {
		return nil, p.errorf(`write an include as <?include "FILE"?>`)
	}
	at := place{file: p.file, line: p.line}
	name := clean(file)
	if !path.IsAbs(file) {
		name = from(p.file, file)
	}
	if err := include(at, name, p.stack); err != nil {
		return nil, err
	}
	p.src = after
	inner := &jsonParser{jsonTree: p.jsonTree, file: name, stack: append(slices.Clip(p.stack), name), line: 1}
	text, err := p.text(name)
	if err != nil {
		return nil, absent(at, err)
	}
	inner.src = text
	return inner, nil
}

// pending is the outcome of a node before it is translated.
const pending Outcome = ""

// announce adds an item for each node below n, in the order of reading.
func (b *builder) announce(n *node) {
	for i, kid := range n.kids {
		text, tokens := "", 1
		if kid.kind == '{' || kid.kind == '[' {
			tokens = 2
		}
		switch {
		case n.kind == '{' && tokens == 1:
			tokens, text = 2, fmt.Sprintf("%q: %s", n.keys[i], kid.shown(n.keys[i]))
		case n.kind == '{':
			tokens, text = tokens+1, fmt.Sprintf("%q: %c", n.keys[i], kid.kind)
		case tokens == 1:
			text = kid.shown("")
		default:
			text = kid.label()
		}
		kid.item = 1 + b.put(place{file: kid.file, line: kid.line, text: clip(text), tokens: tokens}, pending, "")
		b.announce(kid)
	}
}

// shown is a scalar for people. Values of names that sound like secrets are not shown.
func (n *node) shown(key string) string {
	key = strings.ToLower(key)
	if strings.Contains(key, "password") || strings.Contains(key, "secret") || strings.Contains(key, "token") {
		return "..."
	}
	if n.kind == '"' {
		return fmt.Sprintf("%q", n.text)
	}
	return n.text
}

// label names an object of an array by the first of its scalars.
func (n *node) label() string {
	for i, kid := range n.kids {
		if n.kind == '{' && kid.kind == '"' {
			return fmt.Sprintf("{ %q: %s", n.keys[i], kid.shown(n.keys[i]))
		}
	}
	return string(n.kind)
}

// place is the statement of a node.
func (n *node) place() place { return place{file: n.file, line: n.line, item: n.item} }

// get returns a member; nil = there is none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	if at := slices.Index(n.keys, key); at >= 0 {
		return n.kids[at]
	}
	return nil
}

// str returns the text of a scalar member; "" = there is none, or null.
func (n *node) str(key string) string {
	m := n.get(key)
	if m == nil || m.kind == 'x' && m.text == "null" || len(m.kids) > 0 {
		return ""
	}
	return m.text
}

// each yields the elements of an array member, after it was taken.
func (b *builder) each(n *node, key string, why string) []*node {
	m := n.get(key)
	if m == nil || m.kind != '[' {
		return nil
	}
	b.put(m.place(), Taken, "%s", why)
	return m.kids
}

// took settles a member, if there is one.
func (b *builder) took(n *node, o Outcome, why string, keys ...string) {
	for _, key := range keys {
		if m := n.get(key); m != nil {
			b.put(m.place(), o, "%s", why)
		}
	}
}

// drop leaves a node out with all that is in it and has no outcome yet.
func (b *builder) drop(n *node, why string) {
	if n == nil {
		return
	}
	if n.item > 0 && b.out.Report[n.item-1].Outcome == pending {
		b.put(n.place(), LeftOut, "%s", why)
	}
	for _, kid := range n.kids {
		b.drop(kid, why)
	}
}

// rest settles the nodes that no part of the translation took: those with a known name are left out
// with their reason, others are unknown.
func (b *builder) rest(n *node, reasons map[string]string) error {
	for i, kid := range n.kids {
		if b.out.Report[kid.item-1].Outcome != pending {
			if err := b.rest(kid, reasons); err != nil {
				return err
			}
			continue
		}
		key := ""
		if n.kind == '{' {
			key = n.keys[i]
		}
		why, known := reasons[key]
		switch {
		case known:
			b.drop(kid, why)
		case n.kind == '[':
			b.put(kid.place(), LeftOut, "is not an object; correct it")
			b.drop(kid, "is part of a value that is left out")
		case !b.o.AllowUnknown:
			p := kid.place()
			p.text = b.out.Report[kid.item-1].Statement
			return b.unknown(p)
		default:
			b.drop(kid, "is not known")
		}
	}
	return nil
}
