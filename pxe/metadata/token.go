package metadata

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// EC2's version 2 of metadata has clients fetch a token first, so that a request which a client can
// be tricked into cannot read the metadata by itself. Version 1 goes without.
const (
	tokenPath   = "/latest/api/token"
	tokenHeader = "X-aws-ec2-metadata-token"
	tokenLife   = "X-aws-ec2-metadata-token-ttl-seconds"
	maxLife     = 6 * time.Hour
)

// tokens makes and checks tokens. They name their end and are bound to the client's address, so
// that nothing is kept of them.
type tokens struct{ key []byte }

func newTokens() tokens {
	key := make([]byte, 32)
	rand.Read(key) // it never fails
	return tokens{key}
}

func (t tokens) sum(client netip.Addr, end []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write(end)
	h.Write(client.AsSlice())
	return h.Sum(nil)[:16]
}

func (t tokens) make(client netip.Addr, end time.Time) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(end.Unix()))
	return base64.URLEncoding.EncodeToString(append(raw, t.sum(client, raw)...))
}

// serve answers a request for a token, and reports whether it was one.
func (t tokens) serve(w http.ResponseWriter, r *request) bool {
	if r.URL.Path != tokenPath {
		return false
	}
	if r.Method != http.MethodPut {
		w.Header().Set("Allow", "PUT")
		http.Error(w, "a token is asked for by PUT", http.StatusMethodNotAllowed)
		return true
	}
	seconds, err := strconv.Atoi(r.Header.Get(tokenLife))
	life := time.Duration(seconds) * time.Second
	if err != nil || seconds < 1 || life > maxLife {
		http.Error(w, tokenLife+" is not a number of seconds from 1 to 21600", http.StatusBadRequest)
		return true
	}
	w.Header().Set(tokenLife, strconv.Itoa(seconds))
	_, _ = io.WriteString(w, t.make(r.client, time.Now().Add(life)))
	return true
}

// allow reports whether a request has a valid token or none.
func (t tokens) allow(r *request) bool {
	text := r.Header.Get(tokenHeader)
	if text == "" {
		return true
	}
	raw, err := base64.URLEncoding.DecodeString(text)
	if err != nil || len(raw) != 8+16 || !hmac.Equal(raw[8:], t.sum(r.client, raw[:8])) {
		return false
	}
	return time.Now().Unix() < int64(binary.BigEndian.Uint64(raw))
}
