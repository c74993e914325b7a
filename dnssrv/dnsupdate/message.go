package dnsupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// maxRounds bounds how often a name is found free and taken in turn, as two DHCP servers that
// update it may cause.
const maxRounds = 4

// send does what a job asks for.
func (c *Client) send(ctx context.Context, j *job) (result, error) {
	switch {
	case j.qtype == dns.TypePTR:
		return c.sendReverse(ctx, j)
	case !j.target.IsValid():
		return c.sendRemoval(ctx, j)
	}
	return c.sendAddress(ctx, j)
}

// sendAddress takes the name if it is free, or the client's already (RFC 4703 section 5.3).
func (c *Client) sendAddress(ctx context.Context, j *job) (result, error) {
	for range maxRounds {
		free := update(j.zone)
		free.NameNotUsed([]dns.RR{blank(j.name)})
		free.Insert([]dns.RR{j.address(), j.identity()})
		code, err := c.ask(ctx, free)
		if r, end := outcome(code, err, dns.RcodeYXDomain); end {
			return r, err
		}
		own := update(j.zone)
		if !c.cfg.Replace {
			own.NameUsed([]dns.RR{blank(j.name)})
			own.Used([]dns.RR{j.identity()})
		} else {
			// Whatever else it is: no alias may be beside the address.
			own.RemoveName([]dns.RR{blank(j.name)})
		}
		own.RemoveRRset([]dns.RR{j.address()})
		own.Insert([]dns.RR{j.address(), j.identity()})
		code, err = c.ask(ctx, own)
		if code == dns.RcodeNXRrset && err == nil {
			return conflict, nil
		}
		// NXDOMAIN: it is free again.
		if r, end := outcome(code, err, dns.RcodeNameError); end {
			return r, err
		}
	}
	return refused, fmt.Errorf("name %s is taken and free in turn", j.name)
}

// sendRemoval removes addresses, and the name with the last one (RFC 4703 section 5.5).
func (c *Client) sendRemoval(ctx context.Context, j *job) (result, error) {
	m := update(j.zone)
	m.Used([]dns.RR{j.identity()})
	for _, a := range j.gone {
		m.Remove([]dns.RR{addressRecord(j.name, a, 0)})
	}
	code, err := c.ask(ctx, m)
	if err == nil && (code == dns.RcodeNXRrset || code == dns.RcodeNameError) {
		return done, nil // another's, or gone
	}
	if r, end := outcome(code, err, dns.RcodeSuccess); end {
		return r, err
	}
	last := update(j.zone)
	last.Used([]dns.RR{j.identity()})
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
		last.RRsetNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: j.name, Rrtype: t, Class: dns.ClassINET}}})
	}
	last.RemoveRRset([]dns.RR{j.identity()})
	code, err = c.ask(ctx, last)
	if err == nil && (code == dns.RcodeYXRrset || code == dns.RcodeNXRrset || code == dns.RcodeNameError) {
		return done, nil // the name has an address of the other family
	}
	r, _ := outcome(code, err, -1)
	return r, err
}

// sendReverse sets or removes the name of an address (RFC 4703 section 5.4).
func (c *Client) sendReverse(ctx context.Context, j *job) (result, error) {
	m := update(j.zone)
	if j.ptr != "" {
		m.RemoveRRset([]dns.RR{j.pointer(j.ptr)})
		m.Insert([]dns.RR{j.pointer(j.ptr)})
	} else {
		m.Remove([]dns.RR{j.pointer(j.notPTR)}) // that of another client stays
	}
	code, err := c.ask(ctx, m)
	r, _ := outcome(code, err, -1)
	return r, err
}

// outcome reads an answer. It returns false for the code that leads on.
func outcome(code int, err error, leadsOn int) (result, bool) {
	switch {
	case err != nil:
		return unheard, true
	case code == leadsOn:
		return 0, false
	case code == dns.RcodeSuccess:
		return done, true
	}
	return refused, true
}

func update(zone string) *dns.Msg { return new(dns.Msg).SetUpdate(zone) }

func blank(name string) dns.RR {
	return &dns.ANY{Hdr: dns.RR_Header{Name: name, Class: dns.ClassINET}}
}

func (j *job) address() dns.RR { return addressRecord(j.name, j.target, j.ttl) }

func addressRecord(name string, a netip.Addr, ttl uint32) dns.RR {
	h := dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
	if a.Is4() {
		return &dns.A{Hdr: h, A: a.AsSlice()}
	}
	h.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: h, AAAA: a.AsSlice()}
}

func (j *job) identity() dns.RR {
	return &dns.DHCID{Hdr: dns.RR_Header{Name: j.name, Rrtype: dns.TypeDHCID, Class: dns.ClassINET, Ttl: j.ttl}, Digest: j.dhcid}
}

func (j *job) pointer(to string) dns.RR {
	return &dns.PTR{Hdr: dns.RR_Header{Name: j.name, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: j.ttl}, Ptr: to}
}

// ask sends an update and returns the response code.
func (c *Client) ask(ctx context.Context, m *dns.Msg) (int, error) {
	answer, err := c.exchange(ctx, m)
	if err != nil {
		return 0, err
	}
	if answer.Opcode != dns.OpcodeUpdate || !answer.Response {
		return 0, errors.New("the answer is none to an update")
	}
	return answer.Rcode, nil
}

// exchangeUDP sends a message, and over TCP what does not fit or was cut.
func (c *Client) exchangeUDP(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: "udp", Timeout: timeout, UDPSize: 1232}
	if c.cfg.Key.Name != "" {
		name := dns.CanonicalName(c.cfg.Key.Name)
		client.TsigSecret = map[string]string{name: string(c.cfg.Key.Secret)}
		m.SetTsig(name, dns.CanonicalName(cmp.Or(c.cfg.Key.Algorithm, "hmac-sha256")), 300, time.Now().Unix())
	}
	if m.Len() > dns.MinMsgSize {
		client.Net = "tcp"
	}
	answer, _, err := client.ExchangeContext(ctx, m, c.cfg.Server)
	if err == nil && answer.Truncated && client.Net == "udp" {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, m, c.cfg.Server)
	}
	if err != nil {
		return nil, err
	}
	// Without this check anyone who sees the question could answer it.
	if c.cfg.Key.Name != "" && answer.IsTsig() == nil {
		return nil, fmt.Errorf("the answer %s is not signed", dns.RcodeToString[answer.Rcode])
	}
	return answer, nil
}
