package dnssrv

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/miekg/dns"
)

// messageType is the media type of messages in wire form (RFC 8484 section 6).
const messageType = "application/dns-message"

// maxBase64 bounds the parameter of a GET: no question is longer, and a URL this long passes
// everywhere.
const maxBase64 = 2048

// Handler answers DNS over HTTPS (RFC 8484), by GET and POST. The path is the caller's choice,
// usually /dns-query, and so is the TLS of the HTTP server. Clients are known by the address of
// their connection: behind a proxy all of them have the proxy's.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		message, code, err := messageOf(w, r)
		if err != nil {
			http.Error(w, err.Error(), code)
			return
		}
		client, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			http.Error(w, "the client's address is not known", http.StatusBadRequest)
			return
		}
		answer := s.Handle(r.Context(), message, client.Addr().Unmap().WithZone(""))
		if answer == nil {
			http.Error(w, "this is no question", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", messageType)
		w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", lifeOf(answer)))
		_, _ = w.Write(answer) // a client that left asks again
	})
}

// messageOf reads the question of a request, or returns the status to refuse it with.
func messageOf(w http.ResponseWriter, r *http.Request) (message []byte, code int, err error) {
	switch r.Method {
	case http.MethodGet:
		text := r.URL.Query().Get("dns")
		if len(text) > maxBase64 {
			return nil, http.StatusRequestURITooLong, errors.New("the parameter dns is too long; send long questions by POST")
		}
		message, err = base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(message) == 0 {
			return nil, http.StatusBadRequest, errors.New("the parameter dns is not a message in base64url without padding")
		}
		return message, 0, nil
	case http.MethodPost:
		if r.Header.Get("Content-Type") != messageType {
			return nil, http.StatusUnsupportedMediaType, errors.New("send the message as " + messageType)
		}
		message, err = io.ReadAll(http.MaxBytesReader(w, r.Body, dns.MaxMsgSize))
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return nil, http.StatusRequestEntityTooLarge, errors.New("the message is longer than 65,535 octets")
		}
		return message, http.StatusBadRequest, err
	}
	w.Header().Set("Allow", "GET, POST")
	return nil, http.StatusMethodNotAllowed, errors.New("ask by GET or POST")
}

// lifeOf returns the seconds for which an answer may be kept: the least TTL of its records, and of
// a denial no more than the minimum of its SOA (RFC 8484 section 5.1).
func lifeOf(answer []byte) uint32 {
	m := new(dns.Msg)
	if m.Unpack(answer) != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	records := m.Answer
	if len(records) == 0 {
		records = m.Ns
	}
	if len(records) == 0 {
		return 0
	}
	least := records[0].Header().Ttl
	for _, rr := range records {
		least = min(least, rr.Header().Ttl)
		if soa, ok := rr.(*dns.SOA); ok && len(m.Answer) == 0 {
			least = min(least, soa.Minttl)
		}
	}
	return least
}
