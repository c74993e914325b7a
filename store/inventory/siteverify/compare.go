package siteverify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gomaas/maas/store/inventory/siteimport"
)

// Options say how a site is verified.
type Options struct {
	// Against is "real", "model" or "": the real server where it is installed and may run.
	Against string
	// Files are the configuration and lease files of the old server, for running it.
	Files []string
	// Accept names parts whose differences are expected and not reported, such as "boot file".
	Accept []string
	// Packets is the number of packets that are asked at most, about; 0 = DefaultPackets.
	Packets int
	// Now is the time at which leases last or have ended; zero = now.
	Now time.Time
}

// Report holds the differences in the order of the questions that show them first.
type Report struct {
	Against     string       `json:"against"`                // "model", or the program that was asked
	Why         string       `json:"why"`                    // of the model, where a program was looked for; "" = it was asked for
	Without6    string       `json:"without_ipv6,omitempty"` // why no packet of IPv6 was asked, where the site has subnets of it
	Questions   int          `json:"questions"`
	Different   int          `json:"different"` // questions with differences
	Differences []Difference `json:"differences"`
}

// Difference is a part of answers that is not equal, with the questions that have the same one.
type Difference struct {
	What      string   `json:"what"` // "answer", "address", "lease time", "boot file", "next server" or "option N"
	Old       string   `json:"old"`
	Ours      string   `json:"ours"`
	Questions []string `json:"questions"`
}

// errNotRun says why no real server runs, where that is no mistake.
type errNotRun string

func (e errNotRun) Error() string { return string(e) }

// Verify asks both sides and compares. It takes some seconds at most.
func Verify(ctx context.Context, got siteimport.Result, o Options) (Report, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	s := newSite(got.Document)
	if len(s.subnets)+len(s.subnets6) == 0 {
		return Report{}, errors.New("siteverify: the document has no subnet with room for a relay; nothing can be asked")
	}
	if o.Packets <= 0 {
		o.Packets = DefaultPackets
	}
	// Of a site with both families each gets its part.
	most := o.Packets
	if len(s.subnets) > 0 && len(s.subnets6) > 0 {
		most /= 2
	}
	all := s.questions(got.Leases, o.Now, boundsOf(most))
	own, err := newOurs(ctx, s, got.Leases)
	if err != nil {
		return Report{}, err
	}
	report := Report{Against: "model"}
	old, err := s.askOld(ctx, got.Kind, o, all, &report)
	if err != nil {
		return Report{}, err
	}
	if len(s.subnets6) > 0 {
		if all, old, err = s.askOld6(ctx, got, o, most, all, old, &report); err != nil {
			return Report{}, err
		}
	}
	report.Questions = len(all)
	mine, err := own.ask(ctx, all)
	if err != nil {
		return Report{}, err
	}
	for i, q := range all {
		if report.add(s.compare(q, old[i], mine[i], report.Against == "model"), o.Accept) {
			report.Different++
		}
	}
	return report, nil
}

// askOld asks the other server the questions of IPv4, or the model of the import where that server
// does not run here.
func (s *site) askOld(ctx context.Context, kind string, o Options, all []Question, report *Report) ([]Answer, error) {
	if o.Against != "model" && len(s.subnets) > 0 {
		program, answers, err := askReal(ctx, kind, s, o.Files, all)
		var not errNotRun
		switch {
		case err == nil:
			report.Against = program
			return answers, nil
		case errors.As(err, &not) && o.Against == "":
			report.Why = not.Error()
		default:
			return nil, fmt.Errorf("siteverify: %w", err)
		}
	}
	return (model{s}).ask(ctx, all)
}

// askOld6 asks the other server the questions of IPv6, of which there is no model, and returns the
// questions and answers of both families.
func (s *site) askOld6(ctx context.Context, got siteimport.Result, o Options, most int, all []Question, old []Answer, report *Report) ([]Question, []Answer, error) {
	six := s.questions6(got.Leases, o.Now, most)
	program, answers, err := askReal6(ctx, got.Kind, s, o, six)
	var not errNotRun
	switch {
	case err == nil:
		// A request refers to the question before it in the whole list.
		for i := range six {
			if six[i].after > 0 {
				six[i].after += len(all)
			}
		}
		if all, old = append(all, six...), append(old, answers...); len(s.subnets) == 0 {
			report.Against = program
		}
	case errors.As(err, &not) && (o.Against != "real" || len(s.subnets) > 0):
		report.Without6 = not.Error()
	default:
		return nil, nil, fmt.Errorf("siteverify: %w", err)
	}
	return all, old, nil
}

// add adds the differences of a question, and reports whether there are some.
func (r *Report) add(found []Difference, accept []string) (any bool) {
	for _, d := range found {
		if slices.Contains(accept, d.What) {
			continue
		}
		any = true
		at := slices.IndexFunc(r.Differences, func(x Difference) bool { return x.What == d.What && x.Old == d.Old && x.Ours == d.Ours })
		if at < 0 {
			r.Differences = append(r.Differences, d)
			continue
		}
		r.Differences[at].Questions = append(r.Differences[at].Questions, d.Questions...)
	}
	return any
}

// uncompared are options that name the server or its times, or repeat what the client sent.
var uncompared = []byte{optType, optServer, optLeaseTime, optT1, optT2, optRelay, optClientID, optWanted, optBootFile, 66}

// uncompared6 are those of IPv6.
var uncompared6 = []byte{opt6Client, opt6Server, opt6IA, opt6Requested, opt6Preference, opt6Elapsed, opt6Relayed, opt6Status, opt6Interface, opt6BootURL}

// seconds is the length of a lease for people.
func seconds(n uint32) string {
	switch n {
	case 0:
		return "none"
	case 1<<32 - 2, 1<<32 - 1: // of 136 years, in which clients renew
		return "for ever"
	}
	return fmt.Sprintf("%d s", n)
}

// compare returns the differences of two answers. The model has decisions alone, and options where
// it knows them.
func (s *site) compare(q Question, old, mine Answer, decided bool) (out []Difference) {
	add := func(what, a, b string) {
		if a != b {
			out = append(out, Difference{what, a, b, []string{q.Name}})
		}
	}
	if add("answer", old.typeName(q.six), mine.typeName(q.six)); len(out) > 0 || old.Type == 0 || old.Type == nak {
		return out
	}
	if q.Known {
		add("address", old.Addr.String(), mine.Addr.String())
	} else {
		add("address", s.place(old.Addr), s.place(mine.Addr))
	}
	if !decided {
		// A renewal soon after another one gets what is left of the lease (dhcp-cache-threshold of
		// dhcpd, cache-threshold of Kea).
		if !q.renews() {
			add("lease time", seconds(old.Lease), seconds(mine.Lease))
		}
		add("boot file", old.File, mine.File)
		if old.File != "" && mine.File != "" && !q.six {
			add("next server", old.next(), mine.next())
		}
	}
	codes := map[byte]bool{}
	for code := range old.Options {
		codes[code] = true
	}
	for code := range mine.Options {
		if !decided { // the model names what the document says, and a plan adds the site's own
			codes[code] = true
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		// Servers write the name of a host in any case, with or without its domain.
		if code == optHostname && sameHost(old.Options, mine.Options) {
			continue
		}
		// A client that gets no broadcast address has the one that follows from its mask.
		if _, has := old.Options[28]; code == 28 && !has {
			continue
		}
		switch {
		case q.six && !slices.Contains(uncompared6, code):
			add(fmt.Sprintf("option6 %d", code), shown6(code, old.Options), shown6(code, mine.Options))
		case !q.six && !slices.Contains(uncompared, code):
			add(fmt.Sprintf("option %d", code), s.shown(code, old.Options), s.shown(code, mine.Options))
		}
	}
	return out
}

// sameHost reports whether two answers name the same host.
func sameHost(old, mine map[byte][]byte) bool {
	label := func(options map[byte][]byte) string {
		name, _, _ := strings.Cut(string(options[optHostname]), ".")
		return strings.TrimRight(name, "\x00")
	}
	a, b := label(old), label(mine)
	return a != "" && strings.EqualFold(a, b)
}

// place says where an address of an unknown client lies: which one of a range it gets is chance.
func (s *site) place(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	if s.dynamic(a) {
		return "of a dynamic range"
	}
	return a.String() + ", of no dynamic range"
}

// next is the server of the boot file: the answering server itself is at another address here.
func (a Answer) next() string {
	if id, ok := netip.AddrFromSlice(a.Options[optServer]); ok && id == a.Next || a.Next == netip.IPv4Unspecified() {
		return "the server itself"
	}
	return a.Next.String()
}

// shown6 is an option of IPv6 for people.
func shown6(code byte, options map[byte][]byte) string {
	raw, ok := options[code]
	switch {
	case !ok:
		return "absent"
	case (code == 23 || code == 31) && len(raw)%16 == 0:
		var addrs []string
		for ; len(raw) >= 16; raw = raw[16:] {
			addrs = append(addrs, netip.AddrFrom16([16]byte(raw)).String())
		}
		return strings.Join(addrs, ", ")
	}
	return fmt.Sprintf("%x", raw)
}

// shown is an option of IPv4 for people. Both servers have the same addresses here.
func (s *site) shown(code byte, options map[byte][]byte) string {
	raw, ok := options[code]
	text := strings.TrimRight(string(raw), "\x00") // some servers end texts with a zero byte
	switch {
	case !ok:
		return "absent"
	case slices.Contains([]byte{1, 3, 6, 28, 42, 44}, code) && len(raw)%4 == 0:
		var addrs []string
		for ; len(raw) >= 4; raw = raw[4:] {
			a := netip.AddrFrom4([4]byte(raw))
			if p, ok := s.subnetOf(a); bytes.Equal(raw[:4], options[optServer]) || ok && s.servers[p] == a {
				addrs = append(addrs, "the server itself")
				continue
			}
			addrs = append(addrs, a.String())
		}
		return strings.Join(addrs, ", ")
	case strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0:
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%x", raw)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// String is the report as a table.
func (r Report) String() string {
	var out strings.Builder
	if len(r.Differences) > 0 {
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PART\tOLD\tOURS\tPACKETS\tTHE FIRST")
		for _, d := range r.Differences {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", d.What, orNone(d.Old), orNone(d.Ours), len(d.Questions), d.Questions[0])
		}
		w.Flush()
	}
	why := ""
	if r.Why != "" {
		why = " (" + r.Why + ")"
	}
	if r.Without6 != "" {
		fmt.Fprintf(&out, "no packets of IPv6: %s\n", r.Without6)
	}
	fmt.Fprintf(&out, "%d packets compared with the %s%s: %d answered otherwise\n", r.Questions, r.Against, why, r.Different)
	return out.String()
}
