package siteimport

import (
	"path"
	"slices"
	"strings"
)

// dump holds the objects of an API by their model. Each object has one item, which counts all of
// its values: APIs give tens of computed fields with each object.
type dump struct {
	*builder
	objects map[string][]*node
}

// readDump reads JSON files: a list of objects, a page of one, or lists by model. The name of a
// file names the model of its list. Models are known by any of their names.
func readDump(b *builder, src *source, files []string, models []string) (*dump, error) {
	d := &dump{builder: b, objects: map[string][]*node{}}
	for _, name := range files {
		t := jsonTree{source: src}
		before := src.tokens
		root, err := t.parse(name, nil)
		if err != nil {
			return nil, err
		}
		counted := 0
		if list := root.get("results"); list != nil || root.kind == '[' {
			if list == nil {
				list = root
			}
			model := modelOf(path.Base(name), models)
			if model == "" {
				return nil, place{file: name, line: 1}.errorf("the file has a list of an unknown model; name it one of %s, with .json", strings.Join(models, ", "))
			}
			counted = d.add(model, list)
		} else {
			for i, key := range root.keys {
				model := modelOf(key, models)
				if model == "" || root.kids[i].kind != '[' {
					if err := b.unknown(place{file: name, line: root.kids[i].line, text: clip(key)}); err != nil {
						return nil, err
					}
					continue
				}
				counted += d.add(model, root.kids[i])
			}
		}
		// Brackets and counts around the objects have no statement.
		src.tokens = before + counted
	}
	return d, nil
}

// modelOf returns the model that a name stands for; "" = none.
func modelOf(name string, models []string) string {
	name, _, _ = strings.Cut(strings.ReplaceAll(strings.ToLower(name), "-", "_"), ".")
	if slices.Contains(models, name) {
		return name
	}
	return ""
}

// add announces the objects of a list and returns their tokens.
func (d *dump) add(model string, list *node) (tokens int) {
	for _, n := range list.kids {
		size := n.size()
		tokens += size
		what := model + " " + clip(firstOf(n.str("name"), n.str("display"), n.str("cidr"), n.str("prefix"), n.str("address"), n.str("hostname"), n.str("ip"), n.str("id")))
		n.item = 1 + d.put(place{file: n.file, line: n.line, text: what, tokens: size}, LeftOut, "is not an object; correct it")
		if n.kind == '{' {
			d.objects[model] = append(d.objects[model], n)
		}
	}
	return tokens
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// size counts the tokens of a value: as the parser does.
func (n *node) size() int {
	total := 1 + len(n.keys)
	if n.kind == '{' || n.kind == '[' {
		total++
	}
	for _, kid := range n.kids {
		total += kid.size()
	}
	return total
}

// choice returns the value of a field that is an object with a value, or the value itself: both are
// usual in versions of NetBox.
func (n *node) choice(key string) string {
	if m := n.get(key); m != nil && m.kind == '{' {
		return firstOf(m.str("value"), m.str("slug"), m.str("name"))
	}
	return n.str(key)
}

// isSet reports whether a value says something: null, false, zero and what is empty do not.
func (n *node) isSet() bool {
	switch n.kind {
	case '{', '[':
		return len(n.kids) > 0
	case '"':
		return n.text != ""
	}
	return n.text != "null" && n.text != "false" && strings.Trim(n.text, "0.") != ""
}

// noteLost lists those of the named fields that are set.
func (d *dump) noteLost(n *node, fields []string) {
	var lost []string
	for _, key := range fields {
		if kid := n.get(key); kid != nil && kid.isSet() {
			lost = append(lost, key)
		}
	}
	d.noteFields(n, lost)
}

// noteRest lists the fields that are set and not among those that are kept or that the API computes
// from other objects: an object may have any field of a plugin or of a version to come.
func (d *dump) noteRest(n *node, known ...[]string) {
	var lost []string
	for i, key := range n.keys {
		if slices.ContainsFunc(known, func(k []string) bool { return slices.Contains(k, key) }) || strings.HasSuffix(key, "_count") || strings.HasPrefix(key, "count_") || !n.kids[i].isSet() {
			continue
		}
		if key == "custom_fields" {
			for k, field := range n.kids[i].keys {
				if n.kids[i].kids[k].isSet() {
					lost = append(lost, key+"."+field)
				}
			}
			continue
		}
		lost = append(lost, key)
	}
	d.noteFields(n, lost)
}

// maxNoted bounds the fields that are named of an object.
const maxNoted = 40

func (d *dump) noteFields(n *node, lost []string) {
	if len(lost) > maxNoted {
		lost = append(lost[:maxNoted], "...")
	}
	for i := range lost {
		lost[i] = clip(lost[i])
	}
	if len(lost) > 0 {
		d.note(n.item-1, "not kept, since a site has no counterpart: %s", strings.Join(lost, ", "))
	}
}
