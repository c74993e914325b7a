package siteimport

import (
	"fmt"
	"slices"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// classDecl is a class declaration.
type classDecl struct {
	doc       sitedoc.Class
	at        *scope
	item      int
	match     int         // item of its condition; -1 = none
	known     bool        // it has a condition that a class can have
	others    []condition // alternatives that are classes of their own
	inherited []option    // options of a class that it is a member of
	wide      bool        // the configuration has it for a part of the site
	why       string
}

// maxClasses bounds the classes: a site has no more, since each packet is compared with all.
const maxClasses = 256

func (b *builder) finishClasses() {
	made := map[string]int{} // number of classes that one became
	total := 0
	for _, c := range b.order {
		docs, why := c.documents()
		if why == "" && total+len(docs) > maxClasses {
			why = fmt.Sprintf("a site has up to %d classes", maxClasses)
		}
		if why != "" {
			b.leaveClass(c, why)
			continue
		}
		total += len(docs)
		made[c.doc.Name] = len(docs)
		if b.settle(c.item, Taken, "DHCP class %s", c.doc.Name); len(b.order) > 1 {
			b.settle(c.item, Changed, "DHCP class %s; a client of several classes belongs to the first alone", c.doc.Name)
		}
		if c.wide {
			b.settle(c.item, Changed, "DHCP class %s, whose options apply in all subnets", c.doc.Name)
		}
		for _, o := range c.at.options {
			b.settle(o.item, Taken, "options of DHCP class %s", c.doc.Name)
		}
		b.out.Document.Classes = append(b.out.Document.Classes, docs...)
	}
	// A range for all clients instead of a few would answer machines of others, and a range has one
	// class.
	for _, p := range b.pools {
		if p.class == "" || made[p.class] == 1 {
			continue
		}
		p.at.closed = "allow members of " + p.class
		why := "the class is left out"
		if made[p.class] > 1 {
			why = "the class became several, and a range has one"
		}
		b.settle(p.permit, LeftOut, "%s; the ranges of the pool are reserved, and give no addresses until you change that", why)
	}
}

// documents returns the classes that a declaration becomes, or why there are none.
func (c *classDecl) documents() (docs []sitedoc.Class, why string) {
	switch {
	case c.why != "":
		return nil, c.why
	case c.doc.Name == "":
		return nil, "it has no name"
	case !c.known:
		return nil, "it has no condition that a class can have"
	}
	options := c.at.options
	for _, o := range c.inherited {
		if !slices.ContainsFunc(options, func(have option) bool { return have.name == o.name }) {
			options = append(slices.Clip(options), o)
		}
	}
	c.doc.Options = lines(options)
	docs = []sitedoc.Class{c.doc}
	for i, other := range c.others {
		doc := c.doc
		doc.Name = fmt.Sprintf("%s-%d", c.doc.Name, i+2)
		other.fill(&doc)
		docs = append(docs, doc)
	}
	for _, d := range docs {
		_, err := inventory.Class{Name: d.Name, VendorClass: d.VendorClass, UserClass: d.UserClass, Arch: d.Arch,
			MACPrefix: d.MACPrefix, CircuitID: d.CircuitID, Options: d.Options}.DHCP()
		if err != nil {
			return nil, err.Error()
		}
	}
	return docs, ""
}

// leaveClass leaves a class out with its condition and options.
func (b *builder) leaveClass(c *classDecl, why string) {
	b.settle(c.item, LeftOut, "%s; select by what clients send, see dhcp_classes", why)
	if c.known && c.match >= 0 {
		b.settle(c.match, LeftOut, "the class is left out")
	}
	for _, o := range c.at.options {
		b.settle(o.item, LeftOut, "the class is left out")
	}
}

// addClass declares a class.
func (b *builder) addClass(p place, name string, in *scope) *classDecl {
	c := &classDecl{doc: sitedoc.Class{Name: name}, item: b.put(p, Taken, "")}
	c.match = -1
	c.at = &scope{parent: in, kind: "class", class: c}
	b.order = append(b.order, c)
	if b.classes[name] {
		c.why = "a class of this name is declared already"
		return c
	}
	b.classes[name] = true
	c.doc.Sequence = len(b.classes) // the first that a client satisfies counts
	return c
}

// setCondition gives a class its condition. Of alternatives that do not fit into one class, the
// others become classes with the same options.
func (b *builder) setCondition(p place, c *classDecl, any []condition, why string) {
	c.match = b.put(p, Taken, "DHCP class %s", c.doc.Name)
	if why == "" && (c.known || len(any) == 0) {
		why = "the condition has no counterpart; classes compare vendor class, user class, architecture, MAC prefix and circuit"
	}
	if why != "" {
		b.settle(c.match, LeftOut, "%s", why)
		if c.why == "" {
			c.why = "its condition has no counterpart"
		}
		return
	}
	c.known = true
	any[0].fill(&c.doc)
	c.others = any[1:]
	switch {
	case len(c.others) > 0:
		b.settle(c.match, Changed, "DHCP class %s, and one more class for each alternative", c.doc.Name)
	case any[0].loose:
		b.settle(c.match, Changed, "vendor classes that begin with the text belong to it, too")
	}
}
