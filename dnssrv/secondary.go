package dnssrv

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A Secondary is a zone that another server is the primary of.
type Secondary struct {
	// Zone is its name.
	Zone string
	// Primaries are asked in order. At least one is needed. NOTIFY is taken from their addresses, whatever the port.
	Primaries []netip.AddrPort
	// Key is the name of the key in [Access].Keys that signs the transfers. Empty means none.
	Key string
	// File keeps the zone, so that a restart does not need a primary. Empty keeps it in memory only.
	File string
}

// Limits of what a primary can make this server do.
const (
	leastRefresh    = time.Second // between two questions for the serial, whatever the SOA says
	mostRefresh     = 24 * time.Hour
	firstRetry      = 2 * time.Second // while there is no zone yet; doubles
	transferTimeout = 30 * time.Second
	maxTransferred  = 10_000_000 // records of a transfer
)

// followed are the zones of other primaries.
type followed struct {
	mu    sync.Mutex // guards following; locked after Server.mu
	zones map[string]*following
}

// following is one zone while [Server.Follow] runs.
type following struct {
	conf Secondary
	name string
	wake chan struct{} // buffer 1: the primary says that there is something new
}

func (s *Server) follows(zone string) bool {
	s.followed.mu.Lock()
	defer s.followed.mu.Unlock()
	return s.followed.zones[zone] != nil
}

// Follow serves a zone of another server's until ctx ends, then stops serving it and returns nil. It fetches the zone, by
// IXFR once it has it, when the primary notifies and as often as the SOA record says, and stops answering for it when no
// primary could be reached for the time that the SOA record allows. Transfers that are not a whole zone change nothing.
// A zone with DNSSEC records is refused, since its denials could not be proven. It returns an error at once if the
// description is not usable, or if the zone is one that [Server.Update] made or that is followed already.
func (s *Server) Follow(ctx context.Context, conf Secondary) error {
	f, err := s.follow(conf)
	if err != nil {
		return err
	}
	defer func() {
		s.followed.mu.Lock()
		delete(s.followed.zones, f.name)
		s.followed.mu.Unlock()
		s.drop(f.name)
	}()
	if err := s.loadFollowed(f); err != nil {
		s.log.Warn("stored zone unusable", "zone", f.name, "err", err)
	}
	reached := time.Now()
	pause := firstRetry
	for {
		soa, err := s.refreshZone(ctx, f)
		wait := pause
		switch {
		case err == nil:
			reached, pause = time.Now(), firstRetry
			wait = seconds(soa.Refresh)
		case ctx.Err() != nil:
			return nil
		case soa != nil: // there is an old copy
			wait = seconds(soa.Retry)
			if time.Since(reached) > time.Duration(soa.Expire)*time.Second {
				s.drop(f.name)
			}
		default:
			pause = min(2*pause, 5*time.Minute)
		}
		if err != nil {
			s.log.Warn("zone not refreshed", "zone", f.name, "retry_in", wait, "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-f.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func seconds(n uint32) time.Duration {
	return min(max(time.Duration(n)*time.Second, leastRefresh), mostRefresh)
}

// follow checks the description and takes note of it.
func (s *Server) follow(conf Secondary) (*following, error) {
	name, err := canonical(conf.Zone)
	if err != nil {
		return nil, err
	}
	if len(conf.Primaries) == 0 {
		return nil, fmt.Errorf("dnssrv: secondary of %s needs a primary", conf.Zone)
	}
	for _, p := range conf.Primaries {
		if !p.IsValid() || p.Port() == 0 {
			return nil, fmt.Errorf("dnssrv: secondary of %s: primary %q needs an address and a port", conf.Zone, p)
		}
	}
	if _, known := s.policy.Load().keys[dns.CanonicalName(conf.Key)]; conf.Key != "" && !known {
		return nil, fmt.Errorf("dnssrv: secondary of %s: key %q is not among the server's keys", conf.Zone, conf.Key)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.followed.mu.Lock()
	defer s.followed.mu.Unlock()
	if s.data.zones[name] != nil || s.followed.zones[name] != nil {
		return nil, fmt.Errorf("dnssrv: zone %s is served already; remove it first", conf.Zone)
	}
	conf.Primaries = slices.Clone(conf.Primaries)
	f := &following{conf: conf, name: name, wake: make(chan struct{}, 1)}
	s.followed.zones[name] = f
	return f, nil
}

// notified answers NOTIFY (RFC 1996). Only a primary of the zone makes this server ask for the serial.
func (s *Server) notified(q, m *dns.Msg, client netip.Addr) {
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return
	}
	s.followed.mu.Lock()
	f := s.followed.zones[dns.CanonicalName(q.Question[0].Name)]
	s.followed.mu.Unlock()
	m.Rcode = dns.RcodeNotAuth
	if f == nil {
		return
	}
	if !slices.ContainsFunc(f.conf.Primaries, func(p netip.AddrPort) bool { return p.Addr().Unmap() == client.Unmap() }) {
		m.Rcode = dns.RcodeRefused
		return
	}
	m.Rcode, m.Authoritative = dns.RcodeSuccess, true
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// refreshZone asks the primaries in order and takes what is new. It returns the SOA record that is served now, nil for
// none.
func (s *Server) refreshZone(ctx context.Context, f *following) (*dns.SOA, error) {
	var errs []error
	for _, primary := range f.conf.Primaries {
		err := s.refreshFrom(ctx, f, primary)
		if err == nil {
			return s.followedSOA(f.name), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", primary, err))
	}
	return s.followedSOA(f.name), errors.Join(errs...)
}

func (s *Server) followedSOA(name string) *dns.SOA {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if z := s.data.zones[name]; z != nil {
		return z.primary
	}
	return nil
}

func (s *Server) refreshFrom(ctx context.Context, f *following, primary netip.AddrPort) error {
	have := s.followedSOA(f.name)
	records, err := s.fetchZone(ctx, f, primary, have)
	if err != nil {
		return err
	}
	t, err := parseTransfer(f.name, have, records)
	if err != nil || t.soa == nil {
		return err
	}
	var changed map[string]uint32
	if t.whole {
		changed, err = s.install(f.name, t.soa, t.records)
	} else {
		changed, err = s.advanceFollowed(f.name, t.steps)
		if err != nil { // what it has differs from what the primary thinks: start over
			s.drop(f.name)
		}
	}
	if err != nil {
		return err
	}
	s.log.Info("zone transferred", "zone", f.name, "primary", primary, "serial", t.soa.Serial, "whole", t.whole)
	s.notify(changed)
	return s.saveFollowed(f)
}

// fetchZone asks for what is new. Incremental transfers are asked for over TCP too: they answer both questions, whether
// there is anything new and what, in one.
func (s *Server) fetchZone(ctx context.Context, f *following, primary netip.AddrPort, have *dns.SOA) ([]dns.RR, error) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	q := new(dns.Msg)
	if have == nil {
		q.SetAxfr(f.name)
	} else {
		q.SetIxfr(f.name, have.Serial, have.Ns, have.Mbox)
	}
	records, err := s.exchangeZone(ctx, f, primary, q)
	var rcode *transferError
	if have != nil && errors.As(err, &rcode) { // one that does not know IXFR
		q = new(dns.Msg).SetAxfr(f.name)
		records, err = s.exchangeZone(ctx, f, primary, q)
	}
	return records, err
}

// transferError is a primary's refusal.
type transferError struct{ text string }

func (e *transferError) Error() string { return e.text }

func (s *Server) exchangeZone(ctx context.Context, f *following, primary netip.AddrPort, q *dns.Msg) ([]dns.RR, error) {
	conn, err := (&dns.Client{Net: "tcp"}).DialContext(ctx, primary.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	t := &dns.Transfer{Conn: conn, ReadTimeout: transferTimeout}
	if f.conf.Key != "" {
		name := dns.CanonicalName(f.conf.Key)
		key, known := s.policy.Load().keys[name]
		if !known {
			return nil, fmt.Errorf("dnssrv: key %s is not among the server's keys any more", f.conf.Key)
		}
		t.TsigSecret = map[string]string{name: string(key.Secret)}
		q.SetTsig(name, key.algorithm()+".", tsigFudge, time.Now().Unix())
	}
	envelopes, err := t.In(q, primary.String())
	if err != nil {
		return nil, err
	}
	var out []dns.RR
	for e := range envelopes {
		switch {
		case err != nil: // the channel must be read to its end
		case e.Error != nil:
			err = e.Error
		case len(out)+len(e.RR) > maxTransferred:
			err = fmt.Errorf("the zone has more than %d records", maxTransferred)
			conn.Close()
		default:
			out = append(out, e.RR...)
		}
	}
	if err != nil && strings.Contains(err.Error(), "bad xfr rcode") {
		err = &transferError{err.Error()}
	}
	return out, err
}

// loadFollowed serves what was kept.
func (s *Server) loadFollowed(f *following) error {
	if f.conf.File == "" {
		return nil
	}
	file, err := os.Open(f.conf.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	parser := dns.NewZoneParser(file, ".", f.conf.File)
	var records []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		return err
	}
	if len(records) == 0 {
		return errors.New("the file has no records")
	}
	t, err := parseTransfer(f.name, nil, append(records, records[0]))
	if err != nil {
		return err
	}
	_, err = s.install(f.name, t.soa, t.records)
	return err
}

// saveFollowed keeps what is served.
func (s *Server) saveFollowed(f *following) error {
	if f.conf.File == "" {
		return nil
	}
	var text strings.Builder
	if err := s.WriteZone(&text, f.name); err != nil {
		return err
	}
	return writeDurably(f.conf.File, []byte(text.String()))
}
