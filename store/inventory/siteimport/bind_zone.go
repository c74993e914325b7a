package siteimport

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// zoneReader reads the entries of a zone file (RFC 1035 section 5). The entries are cut here and
// their data is parsed by the library, which does not report lines of records.
type zoneReader struct {
	*bind
	file   string
	src    string
	line   int
	zone   string
	stack  []string
	origin string // with the dot at its end
	owner  string
	ttl    int // of $TTL; -1 = there was none
	made   int // names of $GENERATE
}

// maxGenerated bounds the names that $GENERATE makes in a file: a zone for each host of a /16.
const maxGenerated = 1 << 16

func (d *bind) zoneFile(name, zone string) error {
	z := &zoneReader{bind: d, zone: strings.ToLower(zone), origin: absolute(strings.ToLower(zone)), ttl: -1}
	return z.read(name)
}

func (z *zoneReader) read(name string) error {
	text, err := z.bind.src.text(name)
	if err != nil {
		return err
	}
	outer := *z
	z.file, z.src, z.line = name, text, 1
	z.stack = append(slices.Clip(z.stack), name)
	for {
		words, blank, err := z.entry()
		if err != nil {
			return err
		}
		if len(words) == 0 {
			break
		}
		p := place{file: z.file, line: words[0].line, text: shownEntry(words), tokens: len(words)}
		if err := z.bind.src.count(p); err != nil {
			return err
		}
		if err := z.one(p, words, blank); err != nil {
			return err
		}
	}
	// Origin and owner of an included file end with it (RFC 1035 section 5.1).
	z.file, z.src, z.line, z.stack, z.origin, z.owner = outer.file, outer.src, outer.line, outer.stack, outer.origin, outer.owner
	return nil
}

// entry cuts the next entry into words: it ends with its line, or after its last parenthesis. Blank
// says that it begins with white space, and so has the owner of the entry before.
func (z *zoneReader) entry() (words []token, blank bool, err error) {
	depth, start := 0, true
	bad := func(format string, args ...any) error {
		return place{file: z.file, line: z.line}.errorf(format, args...)
	}
	for z.src != "" {
		c := z.src[0]
		switch c {
		case '\n':
			z.line++
			z.src = z.src[1:]
			if depth == 0 && len(words) > 0 {
				return words, blank, nil
			}
			start = depth == 0
			if start {
				blank = false
			}
			continue
		case ' ', '\t', '\r':
			if start && len(words) == 0 {
				blank = true
			}
			z.src = z.src[1:]
		case ';':
			end := strings.IndexByte(z.src, '\n')
			if end < 0 {
				end = len(z.src)
			}
			z.src = z.src[end:]
		case '(', ')':
			if depth += 1; c == ')' {
				depth -= 2
			}
			if depth < 0 || depth > 1 {
				return nil, false, bad("the %c has no counterpart; remove it", c)
			}
			z.src = z.src[1:]
		default:
			t, err := z.word()
			if err != nil {
				return nil, false, err
			}
			if words = append(words, t); len(words) > maxWords {
				return nil, false, bad("the entry has more than %d words; is a ) missing?", maxWords)
			}
		}
		start = false
	}
	if depth > 0 {
		return nil, false, bad("the ( has no end; add )")
	}
	return words, blank, nil
}

// word reads a word with its escapes as they are, or a string without its quotes.
func (z *zoneReader) word() (t token, err error) {
	t.line = z.line
	end := 0
	if z.src[0] == '"' {
		t.quoted = true
		for end = 1; end < len(z.src) && z.src[end] != '"' && z.src[end] != '\n'; end++ {
			if z.src[end] == '\\' {
				end++
			}
		}
		if end >= len(z.src) || z.src[end] != '"' {
			return t, place{file: z.file, line: z.line}.errorf("the string has no end; add a quote")
		}
		t.text, z.src = z.src[1:end], z.src[end+1:]
	} else {
		for end < len(z.src) && !strings.ContainsRune(" \t\r\n;()\"", rune(z.src[end])) {
			if z.src[end] == '\\' && end+1 < len(z.src) && z.src[end+1] != '\n' {
				end++
			}
			end++
		}
		t.text, z.src = z.src[:end], z.src[end:]
	}
	if len(t.text) > maxWord {
		return t, place{file: z.file, line: t.line}.errorf("a word has more than %d bytes; is a quote missing?", maxWord)
	}
	return t, nil
}

func shownEntry(words []token) string {
	parts := make([]string, 0, min(len(words), 8))
	for _, w := range words[:min(len(words), 8)] {
		parts = append(parts, w.text)
	}
	return clip(strings.Join(parts, " "))
}

// full returns a name of the file with its origin, and the dot at its end.
func (z *zoneReader) full(name string) string {
	switch {
	case name == "@":
		return z.origin
	case strings.HasSuffix(name, "."):
		return strings.ToLower(name)
	case z.origin == ".":
		return strings.ToLower(name) + "."
	}
	return strings.ToLower(name) + "." + z.origin
}

// one translates an entry.
func (z *zoneReader) one(p place, words []token, blank bool) error {
	switch directive := strings.ToUpper(words[0].text); {
	case blank || words[0].quoted:
	case directive == "$ORIGIN" && len(words) == 2:
		z.origin = z.full(words[1].text)
		z.put(p, Taken, "the origin of the names that follow")
		return nil
	case directive == "$TTL" && len(words) == 2:
		ttl, ok := zoneTTL(words[1].text)
		if !ok {
			return p.errorf("%q is not a TTL; write seconds, such as 3600", clip(words[1].text))
		}
		z.ttl = ttl
		z.defaultTTL(p, ttl)
		return nil
	case directive == "$INCLUDE" && len(words) > 1:
		return z.include(p, words)
	case directive == "$GENERATE" && len(words) > 3:
		return z.generate(p, words[1:])
	case strings.HasPrefix(directive, "$"):
		return z.unknown(p)
	}
	if !blank {
		z.owner = z.full(words[0].text)
		words = words[1:]
	}
	if z.owner == "" {
		return p.errorf("the first entry has no name; begin the line with it")
	}
	return z.record(p, z.owner, words)
}

// defaultTTL gives the domain the first $TTL of its zone.
func (z *zoneReader) defaultTTL(p place, ttl int) {
	doc := z.domainDoc(z.zone)
	switch {
	case strings.HasSuffix(z.zone, ".arpa"):
		z.put(p, Taken, "racks choose the TTL of reverse zones")
	case doc == nil: // the SOA record declares the domain of a file by itself
		z.bind.pendingTTL = append(z.bind.pendingTTL, zoneTTLOf{z.zone, ttl})
		z.put(p, Taken, "TTL of domain %s", z.zone)
	case doc.TTL == 0:
		doc.TTL = ttl
		z.put(p, Taken, "TTL of domain %s", z.zone)
	default:
		z.put(p, Taken, "TTL of the records that follow")
	}
}

// zoneTTL reads seconds, or 1w2d3h4m5s.
func zoneTTL(text string) (seconds int, ok bool) {
	number := ""
	for _, c := range strings.ToLower(text) {
		if c >= '0' && c <= '9' {
			number += string(c)
			continue
		}
		unit := map[rune]int{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}[c]
		n, err := strconv.Atoi(number)
		if unit == 0 || err != nil || n > 1<<31/unit {
			return 0, false
		}
		seconds += n * unit
		number = ""
	}
	if number != "" {
		n, err := strconv.Atoi(number)
		if err != nil {
			return 0, false
		}
		seconds += n
	}
	return seconds, text != "" && seconds < 1<<31
}

var zoneClass = regexp.MustCompile(`(?i)^(IN|CH|HS|CS|ANY)$`)

// record translates a TTL and a class in any order, both optional, the type and the data.
func (z *zoneReader) record(p place, name string, words []token) error {
	ttl, class := z.ttl, "IN"
	for len(words) > 1 && !words[0].quoted {
		if n, ok := zoneTTL(words[0].text); ok && words[0].text[0] >= '0' && words[0].text[0] <= '9' {
			ttl = n
		} else if zoneClass.MatchString(words[0].text) {
			class = strings.ToUpper(words[0].text)
		} else {
			break
		}
		words = words[1:]
	}
	if len(words) < 2 {
		return p.errorf("the entry has no type and data; correct it")
	}
	kind := strings.ToUpper(words[0].text)
	if _, known := dns.StringToType[kind]; !known && !strings.HasPrefix(kind, "TYPE") {
		return z.unknown(p)
	}
	if class != "IN" {
		z.put(p, LeftOut, "records of another class than IN have no counterpart")
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %d IN %s", name, max(ttl, 0), kind)
	for _, w := range words[1:] {
		if text.WriteByte(' '); w.quoted {
			text.WriteString(`"` + w.text + `"`)
		} else {
			text.WriteString(w.text)
		}
	}
	text.WriteByte('\n')
	// The origin completes relative names in the data. Directives cannot be in the text: it begins
	// with a name.
	parser := dns.NewZoneParser(strings.NewReader(text.String()), z.origin, "")
	rr, ok := parser.Next()
	if !ok || rr == nil {
		return p.errorf("the data of the %s record cannot be read; correct it", clip(kind))
	}
	z.take(p, rr, ttl)
	return nil
}

// take declares a parsed record.
func (z *zoneReader) take(p place, rr dns.RR, ttl int) {
	name := strings.TrimSuffix(rr.Header().Name, ".")
	if name == z.zone || !strings.HasSuffix(z.zone, ".arpa") && rr.Header().Rrtype == dns.TypeSOA {
		if rr.Header().Rrtype == dns.TypeSOA {
			z.start(p, name)
			return
		}
	}
	switch rr := rr.(type) {
	case *dns.PTR:
		addr, ok := reverseAddr(name)
		if !ok {
			z.put(p, LeftOut, "is not the name of an address, such as 1.2.0.192.in-addr.arpa")
			return
		}
		z.addPTR(p, addr, rr.Ptr)
		return
	case *dns.RRSIG, *dns.DNSKEY, *dns.NSEC, *dns.NSEC3, *dns.NSEC3PARAM, *dns.CDS, *dns.CDNSKEY:
		z.put(p, LeftOut, "racks sign the domain with keys of their own; see dnssec of the domain")
		return
	case *dns.DS:
		z.put(p, LeftOut, "keys of delegated zones have no counterpart")
		return
	}
	if strings.HasSuffix(z.zone, ".arpa") {
		z.inReverse(p, rr, name)
		return
	}
	kind := dns.TypeToString[rr.Header().Rrtype]
	data := strings.TrimPrefix(rr.String(), rr.Header().String())
	// Records without a TTL of their own follow the domain when its TTL changes.
	if ttl < 0 || z.zoneTTL() == ttl {
		ttl = 0
	}
	z.addRecord(p, name, kind, data, ttl)
}

// zoneTTL returns the TTL of the domain.
func (z *zoneReader) zoneTTL() int {
	if doc := z.domainDoc(z.zone); doc != nil {
		return doc.TTL
	}
	return 0
}

// start translates the SOA record. In a file by itself it says which zone the file has.
func (z *zoneReader) start(p place, name string) {
	z.zone = name
	if strings.HasSuffix(name, ".arpa") {
		z.put(p, Taken, "racks answer for the reverse zones of subnets")
		return
	}
	if _, why := z.addDomain(name); why != "" {
		z.put(p, LeftOut, "%s", why)
		return
	}
	doc := z.domainDoc(name)
	for _, t := range z.bind.pendingTTL {
		if doc.TTL == 0 {
			doc.TTL = t.ttl
		}
	}
	z.bind.pendingTTL = nil
	z.put(p, Changed, "racks have an SOA record of their own for domain %s", name)
}

// inReverse explains the records of a reverse zone that are not PTR records.
func (z *zoneReader) inReverse(p place, rr dns.RR, name string) {
	switch rr.Header().Rrtype {
	case dns.TypeNS:
		if name == z.zone {
			z.put(p, LeftOut, "racks and regions name themselves as servers of the zone")
			return
		}
		z.put(p, LeftOut, "a part of the zone is delegated: declare the subnet, for which racks answer as RFC 2317 has it")
	case dns.TypeCNAME:
		z.put(p, Taken, "racks alias the addresses of subnets smaller than a zone as RFC 2317 has it")
	default:
		z.put(p, LeftOut, "reverse zones have PTR records alone")
	}
}

// include reads another file, with an origin of its own if one is given.
func (z *zoneReader) include(p place, words []token) error {
	name := clean(words[1].text)
	if !strings.HasPrefix(words[1].text, "/") {
		name = clean(z.bind.dir + "/" + words[1].text)
		if z.bind.first == "" {
			name = from(z.file, words[1].text)
		}
	}
	if err := include(p, name, z.stack); err != nil {
		return err
	}
	z.put(p, Taken, "its entries follow")
	outer, owner := z.origin, z.owner
	if len(words) > 2 {
		z.origin = z.full(words[2].text)
	}
	err := z.read(name)
	z.origin, z.owner = outer, owner
	return absent(p, err)
}

// generate translates the template of a record, in which $ stands for each number of a range.
func (z *zoneReader) generate(p place, words []token) error {
	span, step, stepped := strings.Cut(words[0].text, "/")
	first, last, _ := strings.Cut(span, "-")
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	by := 1
	var err3 error
	if stepped {
		by, err3 = strconv.Atoi(step)
	}
	if err1 != nil || err2 != nil || err3 != nil || from < 0 || to < from || by < 1 {
		return p.errorf("%q is not a range; write for example 1-99", clip(words[0].text))
	}
	// A range is checked before it is made: 0-4294967295 is a line of 30 bytes.
	if z.made += (to-from)/by + 1; z.made > maxGenerated {
		return p.errorf("$GENERATE makes more than %d names; write a smaller range", maxGenerated)
	}
	z.put(p, Taken, "its %d names follow", (to-from)/by+1)
	for n := from; n <= to; n += by {
		each := make([]token, len(words)-1)
		for i, w := range words[1:] {
			text, err := generated(w.text, n)
			if err != nil {
				return p.errorf("%v", err)
			}
			each[i] = token{text: text, quoted: w.quoted}
		}
		if err := z.record(p.part(shownEntry(each)), z.full(each[0].text), each[1:]); err != nil {
			return err
		}
	}
	return nil
}

var generateField = regexp.MustCompile(`\\\$|\$\$|\$\{([^}]*)\}|\$`)

// generated replaces $ and ${OFFSET,WIDTH,BASE} with a number.
func generated(text string, n int) (string, error) {
	var wrong error
	out := generateField.ReplaceAllStringFunc(text, func(m string) string {
		switch m {
		case `\$`, "$$":
			return "$"
		case "$":
			return strconv.Itoa(n)
		}
		offset, width, base := 0, 0, "d"
		parts := strings.Split(m[2:len(m)-1], ",")
		var err error
		if offset, err = strconv.Atoi(parts[0]); err != nil {
			wrong = fmt.Errorf("%s is no field of $GENERATE; write ${offset,width,base}", clip(m))
		}
		if len(parts) > 1 {
			if width, err = strconv.Atoi(parts[1]); err != nil || width < 0 || width > 63 {
				wrong = fmt.Errorf("%s is no field of $GENERATE; write ${offset,width,base}", clip(m))
				width = 0
			}
		}
		if len(parts) > 2 {
			base = parts[2]
		}
		switch base {
		case "d", "o", "x", "X":
			return fmt.Sprintf("%0*"+base, width, n+offset)
		case "n", "N": // nibbles of ip6.arpa, the last one first
			digits := []rune(fmt.Sprintf("%0*x", (width+1)/2, n+offset))
			slices.Reverse(digits)
			return strings.Join(strings.Split(string(digits), ""), ".")
		}
		wrong = fmt.Errorf("%s is no field of $GENERATE; write ${offset,width,base}", clip(m))
		return ""
	})
	return out, wrong
}
