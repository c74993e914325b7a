package siteimport

import (
	"fmt"
	"slices"
	"strings"
)

// dhcpdClass is a class with the members that subclass statements name.
type dhcpdClass struct {
	decl    *classDecl
	match   []token // expression whose values the members are
	members int
}

func (d *dhcpd) class(s *statement, in *scope) error {
	c := d.addClass(s.place(), s.name(1), in)
	if d.byName[s.name(1)] == nil {
		d.byName[s.name(1)] = &dhcpdClass{decl: c}
	}
	return d.block(s.body, c.at)
}

// match translates the condition of a class, or learns what its subclasses are compared with.
func (d *dhcpd) match(s *statement, c *classDecl) {
	if s.word(1) != "if" {
		own := d.byName[c.doc.Name]
		if own == nil || own.decl != c || len(s.words) < 2 {
			d.leave(s, noCounterpart)
			return
		}
		own.match = s.words[1:]
		d.add(s, Taken, "its subclasses are members")
		return
	}
	any, ok := d.condition(s.words[2:])
	why := ""
	if !ok {
		why = noCounterpart
	}
	d.setCondition(s.place(), c, any, why)
}

// subclass translates: subclass "NAME" VALUE; with options of its own in a block.
func (d *dhcpd) subclass(s *statement, in *scope) error {
	of := d.byName[s.name(1)]
	if of == nil || len(of.match) == 0 || len(s.words) < 3 {
		d.leave(s, "its class compares nothing; declare the class before it, with a match")
		return nil
	}
	// match hardware; subclass "x" 1:02:..; is the same as match if hardware = 1:02:..;
	any, ok := d.condition(append(append(slices.Clone(of.match), token{text: "="}), s.words[2:]...))
	if !ok || len(any) != 1 {
		d.leave(s, noCounterpart)
		return nil
	}
	if of.members++; len(s.body) == 0 {
		c := of.decl
		if !c.known {
			c.known = true
			any[0].fill(&c.doc)
		} else {
			c.others = append(c.others, any[0])
		}
		if len(c.others) >= maxClasses {
			c.why = fmt.Sprintf("a site has up to %d classes", maxClasses)
		}
		d.add(s, Taken, "member of DHCP class %s", c.doc.Name)
		return nil
	}
	// One with options is a class of its own: the sequence puts it after the classes before.
	c := d.addClass(s.place(), fmt.Sprintf("%s-member-%d", s.name(1), of.members), in)
	c.known = true
	any[0].fill(&c.doc)
	// The options of the class apply to its members, too.
	for _, o := range of.decl.at.options {
		c.inherited = append(c.inherited, option{name: o.name, value: o.value, item: -1})
	}
	return d.block(s.body, c.at)
}

// finishSubclasses explains classes whose members all have options of their own.
func (d *dhcpd) finishSubclasses() {
	for _, c := range d.byName {
		if !c.decl.known && c.members > 0 {
			c.decl.why = "its members are DHCP classes of their own"
		}
	}
}

// condition reads an expression of dhcp-eval(5).
func (d *dhcpd) condition(words []token) ([]condition, bool) {
	e := expression{words: words, term: dhcpdTerm, types: d.types}
	return e.alternatives()
}

// dhcpdTerm reads: exists OPTION, known, or DATA = DATA with DATA as option NAME, substring (DATA,
// FROM, LENGTH), hardware, or a value.
func dhcpdTerm(e *expression) ([]condition, bool) {
	if e.accept("exists") {
		// Of "exists user-class and option user-class = ..." the second part decides.
		e.take()
		return []condition{{}}, e.is("and") || len(e.words) > 0 && e.is(")")
	}
	left, ok := dhcpdData(e)
	if !ok || !e.accept("=") {
		return nil, false
	}
	right, ok := dhcpdData(e)
	if !ok || right.by != "" {
		return nil, false
	}
	left.value = right.value
	// Bytes with colons are the digits of a MAC address or architecture, and elsewhere the text
	// itself.
	if raw := identity(token{text: right.value}); right.bytes && left.by == "circuit" {
		left.value = fmt.Sprintf("0x%x", raw)
	} else if right.bytes && (left.by == "vendor" || left.by == "user") {
		left.value = string(raw)
	}
	c, ok := left.condition()
	return []condition{c}, ok && left.by != ""
}

func dhcpdData(e *expression) (x comparison, ok bool) {
	x.from = "0"
	switch {
	case e.accept("substring"):
		if !e.accept("(") {
			return x, false
		}
		if x, ok = dhcpdData(e); !ok || !e.accept(",") {
			return x, false
		}
		x.sub, x.from = true, e.take().text
		if !e.accept(",") {
			return x, false
		}
		e.take() // how many bytes: as many as the value has
		return x, e.accept(")")
	case e.accept("option"):
		name := strings.ToLower(e.take().text)
		if x.by = selectors[name]; x.by == "" {
			x.by = selectors[e.types[name].code]
		}
		return x, x.by != ""
	case e.accept("pick-first-value"):
		// Usual is (option dhcp-client-identifier, hardware): most clients of Ethernet send their
		// MAC address, after a byte for its type, as the identifier.
		for !e.is(")") && len(e.words) > 0 {
			if e.take().is("hardware") {
				x.by = "mac"
			}
		}
		return x, e.accept(")") && x.by != ""
	case e.accept("hardware"):
		x.by = "mac"
		return x, true
	}
	t := e.take()
	x.value, x.bytes = t.text, !t.quoted && hexBytes.MatchString(t.text)
	return x, t.text != "" && (t.quoted || !strings.ContainsAny(t.text, "(),="))
}

// conditional translates a chain of if, elsif and else. What it says of boot files is what racks do
// by themselves; each branch with options becomes a class, in the order of the chain, and the
// options of else are options of the block around it.
func (d *dhcpd) conditional(all []*statement, at int, in *scope) error {
	s := all[at]
	first := s.word(0)
	broken := first != "if" && (at == 0 || !slices.Contains([]string{"if", "elsif"}, all[at-1].word(0)))
	words := s.words[1:]
	if first == "else" && s.word(1) == "if" { // some write elsif so
		first, words = "elsif", s.words[2:]
	}
	options := slices.ContainsFunc(s.body, func(x *statement) bool { return x.word(0) == "option" })
	switch {
	case broken:
		d.leave(s, "belongs to no if; correct it")
		return nil
	case !options && bootOnly(s.body):
		d.add(s, Changed, "racks choose the boot file by firmware themselves")
		for _, x := range s.body {
			if err := d.conditionalPart(x, in); err != nil {
				return err
			}
		}
		return nil
	// Classes win over the options around them, so the options of else hold for clients of no
	// class. They would hold for all if a branch before could not be a class.
	case first == "else" && options:
		if !d.chainKept(all, at) {
			d.leave(s, "its if is left out, so that its options would apply to all")
			return nil
		}
		d.add(s, Taken, "its options apply to clients of no class")
		return d.block(s.body, in)
	}
	any, ok := d.condition(words)
	if !ok || !options || in.class != nil || in.host != nil {
		d.leave(s, "expressions are not evaluated; racks know firmware by what it sends, see dhcp_classes")
		return nil
	}
	d.ifs++
	c := d.addClass(s.place(), fmt.Sprintf("if-%d", d.ifs), in)
	c.known = true
	any[0].fill(&c.doc)
	c.others = any[1:]
	// Classes are of the whole site, and the condition may be of one subnet.
	if in.kind != "" {
		c.wide = true
	}
	return d.block(s.body, c.at)
}

// conditionalPart translates a statement of a branch that has boot files alone.
func (d *dhcpd) conditionalPart(x *statement, in *scope) error {
	if w := x.word(0); w == "if" || w == "elsif" || w == "else" {
		d.add(x, Changed, "racks choose the boot file by firmware themselves")
		for _, y := range x.body {
			if err := d.conditionalPart(y, in); err != nil {
				return err
			}
		}
		return nil
	}
	return d.statement(x, in)
}

// bootOnly reports whether statements name boot files and nothing else.
func bootOnly(body []*statement) bool {
	return !slices.ContainsFunc(body, func(s *statement) bool {
		switch s.word(0) {
		case "filename", "next-server", "server-name":
			return false
		case "if", "elsif", "else":
			return !bootOnly(s.body)
		}
		return true
	})
}

// chainKept reports whether the branches before an else can be classes.
func (d *dhcpd) chainKept(all []*statement, at int) bool {
	for at--; at >= 0; at-- {
		w := all[at].word(0)
		if w != "if" && w != "elsif" {
			return true
		}
		if _, ok := d.condition(all[at].words[1:]); !ok {
			return false
		}
		if w == "if" {
			return true
		}
	}
	return true
}
