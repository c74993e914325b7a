package dnssrv

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// Access says who may do more than ask. The zero value allows nothing.
type Access struct {
	// Transfer lists the networks of secondaries, which may fetch whole zones.
	Transfer []netip.Prefix `json:"transfer,omitempty"`
	// TransferKeys are names of keys that may do so from anywhere.
	TransferKeys []string `json:"transfer_keys,omitempty"`
	// Notify are secondaries that are told of each change (RFC 1996), while [Server.SendNotifies] runs.
	Notify []netip.AddrPort `json:"notify,omitempty"`
	// Update lists who may change records (RFC 2136). It always takes a key.
	Update []UpdateRule `json:"update,omitempty"`
}

// An UpdateRule lets the holder of a key change names.
type UpdateRule struct {
	// Key is the name of a key in [Config].Keys.
	Key string `json:"key"`
	// Below is the name at and below which records may be changed.
	Below string `json:"below"`
	// Types are the types that may be changed, such as "A". None means all.
	Types []string `json:"types,omitempty"`
}

// policy is Access in the form that questions need.
type policy struct {
	transfer     networks
	transferKeys map[string]bool
	notify       []netip.AddrPort
	update       []updateRule
}

type updateRule struct {
	key, below string
	types      map[uint16]bool // empty means all
}

// SetAccess replaces what [Server.SetAccess] allowed before. An error names what is not usable and changes nothing.
func (s *Server) SetAccess(a Access) error {
	p := &policy{transferKeys: map[string]bool{}, notify: slices.Clone(a.Notify)}
	var err error
	if p.transfer, err = newNetworks(a.Transfer); err != nil {
		return err
	}
	for _, name := range a.TransferKeys {
		if s.keys[dns.CanonicalName(name)] == "" {
			return fmt.Errorf("dnssrv: transfer key %q is not among the server's keys", name)
		}
		p.transferKeys[dns.CanonicalName(name)] = true
	}
	for _, target := range a.Notify {
		if !target.IsValid() || target.Port() == 0 {
			return fmt.Errorf("dnssrv: secondary %q needs an address and a port", target)
		}
	}
	for _, r := range a.Update {
		rule, err := s.updateRule(r)
		if err != nil {
			return err
		}
		p.update = append(p.update, rule)
	}
	s.policy.Store(p)
	return nil
}

func (s *Server) updateRule(r UpdateRule) (updateRule, error) {
	out := updateRule{key: dns.CanonicalName(r.Key), types: map[uint16]bool{}}
	if s.keys[out.key] == "" {
		return out, fmt.Errorf("dnssrv: update key %q is not among the server's keys", r.Key)
	}
	var err error
	if out.below, err = canonical(r.Below); err != nil {
		return out, err
	}
	for _, name := range r.Types {
		qtype, ok := dns.StringToType[name]
		if !ok {
			return out, fmt.Errorf("dnssrv: update key %q: there is no type %q", r.Key, name)
		}
		out.types[qtype] = true
	}
	return out, nil
}

func (p *policy) mayTransfer(client netip.Addr, key string) bool {
	return p.transferKeys[key] || p.transfer.contains(client)
}

// mayUpdate reports whether the key's holder may change a type at a name. TypeANY stands for all types.
func (p *policy) mayUpdate(key, name string, qtype uint16) bool {
	return key != "" && slices.ContainsFunc(p.update, func(r updateRule) bool {
		return r.key == key && dns.IsSubDomain(r.below, name) && (len(r.types) == 0 || r.types[qtype])
	})
}

func canonicalKeys(keys map[string]string) map[string]string {
	out := make(map[string]string, len(keys))
	for name, secret := range keys {
		out[dns.CanonicalName(name)] = secret
	}
	return out
}

const tsigFudge = 300 // seconds that clocks may differ (RFC 8945 section 10)

// signer signs the messages of an answer as its question was. The zero value leaves them as they are.
type signer struct {
	key, secret, algorithm string
	mac                    string
	more                   bool // than the first message
}

// verify checks the signature of a question, if there is one.
func (s *Server) verify(q *dns.Msg, in []byte) (sign signer, tsigError uint16) {
	t := q.IsTsig()
	if t == nil {
		return signer{}, 0
	}
	name := dns.CanonicalName(t.Hdr.Name)
	secret := s.keys[name]
	if secret == "" {
		return signer{}, dns.RcodeBadKey
	}
	switch err := dns.TsigVerify(in, secret, "", false); {
	case errors.Is(err, dns.ErrTime):
		return signer{}, dns.RcodeBadTime
	case err != nil:
		return signer{}, dns.RcodeBadSig
	}
	return signer{key: name, secret: secret, algorithm: t.Algorithm, mac: t.MAC}, 0
}

// pack encodes and signs one message.
func (g *signer) pack(m *dns.Msg, now int64) ([]byte, error) {
	m.Compress = true
	if g.secret == "" {
		return m.Pack()
	}
	m.SetTsig(g.key, g.algorithm, tsigFudge, now)
	out, mac, err := dns.TsigGenerate(m, g.secret, g.mac, g.more)
	g.mac, g.more = mac, true
	return out, err
}
