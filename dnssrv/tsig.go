package dnssrv

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"
)

// A Key is shared by two servers that sign their messages to each other (TSIG, RFC 8945).
type Key struct {
	// Name is a domain name, the same at both. Case and a final dot do not matter.
	Name string `json:"name"`
	// Algorithm is "hmac-sha256", "hmac-sha384" or "hmac-sha512". Empty means hmac-sha256. Messages
	// that are signed by another are refused.
	Algorithm string    `json:"algorithm,omitempty"`
	Secret    KeySecret `json:"secret"`
}

// A KeySecret is the secret of a [Key], at least 16 octets in base64. However it is printed, only
// stars appear; its JSON form holds it.
type KeySecret string

// Format shows stars, whatever the verb.
func (KeySecret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// leastSecret is the smallest length of a secret in octets: a shorter one can be found by trying.
const leastSecret = 16

// digests are the octets of what each algorithm makes, as long as which a secret should be (RFC
// 8945 section 8).
var digests = map[string]int{"hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64}

// NewKey returns a key with a random secret. The error is [Key.Check]'s.
func NewKey(name, algorithm string) (Key, error) {
	k := Key{Name: name, Algorithm: algorithm}
	raw := make([]byte, max(digests[k.algorithm()], leastSecret))
	_, _ = rand.Read(raw) // never fails
	k.Secret = KeySecret(base64.StdEncoding.EncodeToString(raw))
	return k, k.Check()
}

// Check says what is not usable about a key. The error does not hold the secret.
func (k Key) Check() error {
	if _, err := canonical(k.Name); err != nil {
		return fmt.Errorf("dnssrv: key: %w", err)
	}
	if digests[k.algorithm()] == 0 {
		return fmt.Errorf("dnssrv: key %s: %q is none of hmac-sha256, hmac-sha384 and hmac-sha512", k.Name, k.Algorithm)
	}
	raw, err := base64.StdEncoding.DecodeString(string(k.Secret))
	// The secret is not repeated: errors go to logs.
	if err != nil || len(raw) < leastSecret {
		return fmt.Errorf("dnssrv: key %s: the secret must be at least %d octets in base64", k.Name, leastSecret)
	}
	return nil
}

func (k Key) algorithm() string {
	return strings.ToLower(strings.TrimSuffix(cmp.Or(k.Algorithm, "hmac-sha256"), "."))
}

func keysByName(keys []Key) (map[string]Key, error) {
	out := make(map[string]Key, len(keys))
	for _, k := range keys {
		if err := k.Check(); err != nil {
			return nil, err
		}
		out[dns.CanonicalName(k.Name)] = k
	}
	return out, nil
}

const tsigFudge = 300 // seconds that clocks may differ (RFC 8945 section 10)

// signer signs the messages of an answer as its question was. The zero value leaves them as they
// are.
type signer struct {
	key, secret, algorithm string
	mac                    string
	more                   bool // than the first message
}

// verify checks the signature of a question, if there is one. It returns how to sign the answer
// also when only the time of the question is wrong.
func (s *Server) verify(q *dns.Msg, in []byte) (sign signer, tsigError uint16) {
	t := q.IsTsig()
	if t == nil {
		return signer{}, 0
	}
	name := dns.CanonicalName(t.Hdr.Name)
	key, known := s.policy.Load().keys[name]
	if !known || dns.CanonicalName(t.Algorithm) != key.algorithm()+"." {
		return signer{}, dns.RcodeBadKey
	}
	// The answer's signature covers the question's, so that it answers only this one (RFC 8945
	// section 5.3).
	sign = signer{key: name, secret: string(key.Secret), algorithm: t.Algorithm, mac: t.MAC}
	switch err := dns.TsigVerify(in, string(key.Secret), "", false); {
	// The signature is right and only old: the answer may be signed, and shows the server's clock.
	case errors.Is(err, dns.ErrTime):
		return sign, dns.RcodeBadTime
	case err != nil:
		return signer{}, dns.RcodeBadSig
	}
	return sign, 0
}

// pack encodes and signs one message.
func (g *signer) pack(m *dns.Msg, now int64) ([]byte, error) {
	m.Compress = true
	if g.secret == "" {
		return m.Pack()
	}
	m.SetTsig(g.key, g.algorithm, tsigFudge, now)
	out, mac, err := dns.TsigGenerate(m, g.secret, g.mac, g.more)
	// Each message of a transfer covers the one before, so that none can be left out (RFC 8945
	// section 5.3.1).
	g.mac, g.more = mac, true
	return out, err
}
