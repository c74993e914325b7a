package dnssrv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A SigningKey signs a zone (ECDSA P-256 with SHA-256, RFC 6605): 32 octets in base64, as in the
// field PrivateKey of the key files of other servers. It is a secret: however it is printed, only
// stars appear; its JSON form holds it.
type SigningKey string

// NewSigningKey makes a key.
func NewSigningKey() SigningKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness; nothing can go on
	}
	raw, err := key.Bytes()
	if err != nil {
		panic(err) // of a key just made
	}
	return SigningKey(base64.StdEncoding.EncodeToString(raw))
}

// DeriveSigningKey makes the key of a zone from a secret. The same secret and zone give the same
// key, two zones never do. The secret has at least 32 random octets.
func DeriveSigningKey(secret []byte, zone string) SigningKey {
	zone = dns.CanonicalName(zone)
	for attempt := 0; ; attempt++ {
		raw, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("zone %s %d", zone, attempt), 32)
		if err != nil {
			panic(err) // of a length that is fixed
		}
		if _, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw); err == nil { // it is a scalar of the curve, as nearly all numbers are
			return SigningKey(base64.StdEncoding.EncodeToString(raw))
		}
	}
}

// Format shows stars, whatever the verb.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// DS is the record that the parent of the zone needs, as its data in presentation form: key tag,
// algorithm, digest type and SHA-256 digest (RFC 4509).
func (k SigningKey) DS(zone string) (string, error) {
	name, err := canonical(zone)
	if err != nil {
		return "", err
	}
	s, err := newZoneSigner(k, name)
	if err != nil {
		return "", err
	}
	return dataOf(s.ds), nil
}

// How long signatures are good for. They are made when they are first needed, and again after half
// of the time.
const (
	signatureLife = 7 * 24 * time.Hour
	clockSkew     = time.Hour // of validators
	keyTTL        = 3600      // of the DNSKEY record: long enough not to be asked for all the time
	maxSignatures = 1 << 16   // kept for one zone
)

// zoneSigner signs record sets of one zone as they are asked for.
type zoneSigner struct {
	private *ecdsa.PrivateKey
	key     *dns.DNSKEY
	ds      *dns.DS
	tag     uint16

	mu         sync.Mutex // guards the fields below
	signatures map[[sha256.Size]byte]*dns.RRSIG
}

func newZoneSigner(k SigningKey, zone string) (*zoneSigner, error) {
	raw, err := base64.StdEncoding.DecodeString(string(k))
	if err != nil {
		return nil, fmt.Errorf("dnssrv: zone %s: the signing key is not base64", zone)
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return nil, fmt.Errorf("dnssrv: zone %s: the signing key is not a P-256 key of 32 octets", zone)
	}
	// RFC 6605 section 4 has the two coordinates, without the octet before them.
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("dnssrv: zone %s: the signing key has no public part", zone)
	}
	s := &zoneSigner{private: private, signatures: map[[sha256.Size]byte]*dns.RRSIG{}}
	s.key = &dns.DNSKEY{
		Hdr: header(zone, dns.TypeDNSKEY, keyTTL), Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
		PublicKey: base64.StdEncoding.EncodeToString(point[1:]), // without the octet that says uncompressed
	}
	s.tag, s.ds = s.key.KeyTag(), s.key.ToDS(dns.SHA256)
	return s, nil
}

// apex are the records that a signed zone has at its top, nil for other types. CDS and CDNSKEY tell
// a parent that polls for them what to publish (RFC 8078).
func (s *zoneSigner) apex(qtype uint16) []dns.RR {
	if s == nil {
		return nil
	}
	switch qtype {
	case dns.TypeDNSKEY:
		return []dns.RR{s.key}
	case dns.TypeCDNSKEY:
		key := s.key.ToCDNSKEY()
		return []dns.RR{key}
	case dns.TypeCDS:
		return []dns.RR{s.ds.ToCDS()}
	}
	return nil
}

// sign returns the signature of a record set.
func (s *zoneSigner) sign(set []dns.RR, now time.Time) (*dns.RRSIG, error) {
	id, err := identity(set)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	sig := s.signatures[id]
	s.mu.Unlock()
	// Caches may serve a signature for its TTL, so that half of its life must be left.
	if sig != nil && int64(sig.Expiration)-now.Unix() > int64(signatureLife/time.Second)/2 {
		return sig, nil
	}
	h := set[0].Header()
	sig = &dns.RRSIG{
		Hdr: header(h.Name, dns.TypeRRSIG, h.Ttl), Algorithm: s.key.Algorithm, KeyTag: s.tag, SignerName: s.key.Hdr.Name,
		// A validator whose clock is slow would take a signature of now for one of the future.
		Inception: uint32(now.Add(-clockSkew).Unix()), Expiration: uint32(now.Add(signatureLife).Unix()),
	}
	if err := sig.Sign(s.private, set); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.signatures) >= maxSignatures {
		clear(s.signatures) // names asked at random; those in use are signed again
	}
	s.signatures[id] = sig
	return sig, nil
}

// identity returns a hash that differs between record sets.
func identity(set []dns.RR) (id [sha256.Size]byte, err error) {
	hash := sha256.New()
	buf := make([]byte, 0, 512)
	for _, rr := range set {
		buf = slices.Grow(buf[:0], dns.Len(rr)+1)[:dns.Len(rr)+1]
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			return id, err
		}
		hash.Write(buf[:n])
	}
	return [sha256.Size]byte(hash.Sum(id[:0])), nil
}

// secure adds signatures and proofs to an answer from the zones, for clients that want them.
// Denials are made for the very name that was asked, which so seems to exist without any data (RFC
// 9824): nothing else of the zone shows, and nothing has to be known beforehand.
func (d *data) secure(m *dns.Msg, now time.Time) error {
	name, z := d.end(m)
	if z != nil && z.signer != nil {
		z.prove(d, m, name)
	}
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns} {
		signed, err := d.signAll(*section, z, now)
		if err != nil {
			return err
		}
		*section = signed
	}
	return nil
}

// end is the name that the answer's chain of CNAMEs comes to, and its zone.
func (d *data) end(m *dns.Msg) (string, *zoneData) {
	q := m.Question[0]
	name := dns.CanonicalName(q.Name)
	for _, rr := range m.Answer {
		if cname, ok := rr.(*dns.CNAME); ok && q.Qtype != dns.TypeCNAME {
			name = dns.CanonicalName(cname.Target)
		}
	}
	return name, d.zoneFor(name, q.Qtype)
}

// prove adds what shows that a denial or a delegation is not forged, and the answer to questions
// about such proofs.
func (z *zoneData) prove(d *data, m *dns.Msg, name string) {
	if len(m.Ns) == 0 {
		return
	}
	switch first := m.Ns[0].(type) {
	case *dns.NS:
		owner := dns.CanonicalName(first.Hdr.Name)
		if ds := z.nodes[owner].get(dns.TypeDS); ds != nil {
			m.Ns = append(m.Ns, ds.owned(owner, z.ttl)...)
			return
		}
		// Without DS the delegation is proven to be unsigned.
		m.Ns = append(m.Ns, z.nsec(owner, []uint16{dns.TypeNS}))
	case *dns.SOA:
		types := []uint16{dns.TypeNXNAME}
		if m.Rcode != dns.RcodeNameError {
			types = d.typesAt(z, name, m.Question[0].Qtype)
		}
		proof := z.nsec(name, types)
		// The proof is the answer itself when it was asked for.
		if m.Question[0].Qtype == dns.TypeNSEC && m.Rcode == dns.RcodeSuccess {
			m.Answer, m.Ns = append(m.Answer, proof), nil
			return
		}
		// Compact denial answers NOERROR: the NXNAME type shows that the name does not exist (RFC
		// 9824).
		m.Rcode = dns.RcodeSuccess
		m.Ns = append(m.Ns, proof)
	}
}

// nsec denies all types but those, at the name and nowhere else.
func (z *zoneData) nsec(name string, types []uint16) *dns.NSEC {
	types = append(slices.Clone(types), dns.TypeRRSIG, dns.TypeNSEC)
	slices.Sort(types)
	return &dns.NSEC{Hdr: header(name, dns.TypeNSEC, z.ttl), NextDomain: `\000.` + name, TypeBitMap: slices.Compact(types)}
}

// typesAt are the types that a name without data of the asked type has.
func (d *data) typesAt(z *zoneData, name string, asked uint16) []uint16 {
	if asked == dns.TypeDS && name != z.name && d.zones[name] != nil {
		return []uint16{dns.TypeNS} // a delegation, as its parent sees it
	}
	n := z.nodes[name]
	var types []uint16
	if name == z.name {
		types = append(types, dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY)
	} else if n == nil {
		if rr, _ := z.ofRange(name); rr != nil {
			return []uint16{rr.Header().Rrtype}
		}
		n, _ = z.wildcard(name)
	}
	if n != nil {
		for i := range n.slots {
			types = append(types, n.slots[i].qtype)
		}
	}
	return types
}

// signAll adds the signature behind each set of records whose zone is signed. The parent does not
// sign a delegation. Proofs belong to the zone at the end of the chain.
func (d *data) signAll(records []dns.RR, end *zoneData, now time.Time) ([]dns.RR, error) {
	var out []dns.RR
	for len(records) > 0 {
		h := records[0].Header()
		n := 1
		for n < len(records) && records[n].Header().Rrtype == h.Rrtype && strings.EqualFold(records[n].Header().Name, h.Name) {
			n++
		}
		set := records[:n]
		out, records = append(out, set...), records[n:]
		name := dns.CanonicalName(h.Name)
		z := end
		if h.Rrtype != dns.TypeNSEC {
			z = d.zoneFor(name, h.Rrtype)
		}
		// NS records below the apex are the child's (RFC 4035 section 2.2). A validator makes the
		// CNAME of a DNAME itself (RFC 6672 section 5.3.1).
		if z == nil || z.signer == nil || h.Rrtype == dns.TypeNS && name != z.name ||
			h.Rrtype == dns.TypeCNAME && z.redirects(name) {
			continue
		}
		sig, err := z.signer.sign(set, now)
		if err != nil {
			return nil, err
		}
		out = append(out, sig)
	}
	return out, nil
}
