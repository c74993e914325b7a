package dnssrv

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// The sizes of RFC 7873 and the layout of RFC 9018: version 1, three octets of nothing, the time,
// and a hash. Only this server has to know its own cookies again, so the hash is HMAC-SHA-256, cut.
const (
	clientCookie = 8
	serverCookie = 16
	cookieAge    = time.Hour
	cookieAhead  = 5 * time.Minute
)

// A cookieSecret lives as long as the server.
type cookieSecret [32]byte

func newCookieSecret() (s cookieSecret) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// make returns the server's part for a client.
func (s *cookieSecret) make(client netip.Addr, cookie []byte, at time.Time) []byte {
	out := make([]byte, 8, serverCookie)
	out[0] = 1
	binary.BigEndian.PutUint32(out[4:], uint32(at.Unix()))
	mac := hmac.New(sha256.New, s[:])
	mac.Write(cookie[:clientCookie])
	mac.Write(out)
	// The address is in the hash: a cookie proves that its sender receives there.
	mac.Write(client.AsSlice())
	return mac.Sum(out)[:serverCookie]
}

// valid reports whether this server lately gave the client this cookie.
func (s *cookieSecret) valid(client netip.Addr, cookie []byte) bool {
	if len(cookie) != clientCookie+serverCookie {
		return false
	}
	at := time.Unix(int64(binary.BigEndian.Uint32(cookie[clientCookie+4:])), 0)
	// A stolen cookie is of no use after an hour (RFC 9018 section 4.3).
	if age := time.Since(at); age > cookieAge || age < -cookieAhead {
		return false
	}
	// In constant time, since a client can try
	return hmac.Equal(cookie[clientCookie:], s.make(client, cookie, at))
}

// answer puts the cookie that answers the question's into the OPT record. It returns false if the
// question's is malformed (RFC 7873 section 5.2.2).
func (s *cookieSecret) answer(q, m *dns.OPT, client netip.Addr) bool {
	for _, option := range q.Option {
		c, ok := option.(*dns.EDNS0_COOKIE)
		if !ok {
			continue
		}
		cookie, err := hex.DecodeString(c.Cookie)
		if n := len(cookie); err != nil || n != clientCookie && (n < clientCookie+8 || n > clientCookie+32) {
			return false
		}
		answer := &provenCookie{proven: s.valid(client, cookie), first: len(cookie) == clientCookie}
		cookie = append(cookie[:clientCookie:clientCookie], s.make(client, cookie, time.Now())...)
		answer.EDNS0_COOKIE = dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie)}
		m.Option = append(m.Option, answer)
		return true
	}
	return true
}

// provenCookie remembers what the client sent.
type provenCookie struct {
	dns.EDNS0_COOKIE
	proven bool // a valid one of this server
	first  bool // none of a server
}

// status is the code for a client that asks for nothing but a cookie (RFC 7873 section 5.4).
func (c *provenCookie) status() int {
	if c.first || c.proven {
		return dns.RcodeSuccess
	}
	return dns.RcodeBadCookie
}

// cookieIn returns the cookie of an answer, nil if there is none.
func cookieIn(m *dns.Msg) *provenCookie {
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, option := range opt.Option {
		if c, ok := option.(*provenCookie); ok {
			return c
		}
	}
	return nil
}
