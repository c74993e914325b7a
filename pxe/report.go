package pxe

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"net"
	"net/netip"
	"time"
)

// nonceLife is the time after which a report by a script is only a claim: longer than any
// installation takes.
const nonceLife = 48 * time.Hour

// clockSlack bounds how far a nonce may lie ahead, as after the clock was set back.
const clockSlack = 5 * time.Minute

var nonceEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	nonceTime = 4  // bytes: minutes since 1970
	nonceSum  = 12 // bytes: 96 bits cannot be guessed over a network
)

// reporting makes and checks the nonces of scripts, by which only a machine that was sent its
// script can report that it runs.
type reporting struct{ key []byte }

// newReporting takes a key, or makes one.
func newReporting(key []byte) reporting {
	if len(key) == 0 {
		key = make([]byte, 32)
		rand.Read(key) // it never fails
	}
	return reporting{key}
}

// nonce returns the nonce of a script made at a time, empty for an unknown machine.
func (r reporting) nonce(mac net.HardwareAddr, at time.Time) string {
	if len(mac) == 0 {
		return ""
	}
	made := binary.BigEndian.AppendUint32(nil, uint32(at.Unix()/60))
	return nonceEncoding.EncodeToString(append(made, r.sum(mac, made)...))
}

// proves reports whether a nonce is of a script that the machine was sent lately.
func (r reporting) proves(nonce string, mac net.HardwareAddr, now time.Time) bool {
	raw, err := nonceEncoding.DecodeString(nonce)
	if err != nil || len(raw) != nonceTime+nonceSum || len(mac) == 0 {
		return false
	}
	if !hmac.Equal(raw[nonceTime:], r.sum(mac, raw[:nonceTime])) {
		return false
	}
	age := now.Sub(time.Unix(60*int64(binary.BigEndian.Uint32(raw)), 0))
	return age <= nonceLife && age >= -clockSlack
}

func (r reporting) sum(mac net.HardwareAddr, made []byte) []byte {
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte("boot report\x00"))
	h.Write(made)
	h.Write(mac)
	return h.Sum(nil)[:nonceSum]
}

// Vouches reports whether a client speaks for the machine with a link address: Config.Identify
// knows the client's address as the machine's, or the nonce is of a script that the machine was
// sent in the last 48 hours. Empty nonces prove nothing.
func (s *Server) Vouches(client netip.Addr, mac net.HardwareAddr, nonce string) bool {
	return !s.claimed(inbound{addr: client.Unmap()}, mac, nonce)
}

// borrowed reports whether a request names a machine although its address belongs to another one.
func (s *Server) borrowed(in inbound, mac net.HardwareAddr) bool {
	holder, ok := s.cfg.Identify.MACOf(in.addr)
	return ok && len(holder) > 0 && len(mac) > 0 && holder.String() != mac.String()
}

// claimed reports whether the report of a machine comes without its nonce, and not from its
// address.
func (s *Server) claimed(in inbound, mac net.HardwareAddr, nonce string) bool {
	if s.reports.proves(nonce, mac, time.Now()) {
		return false
	}
	holder, ok := s.cfg.Identify.MACOf(in.addr)
	return !ok || len(mac) == 0 || holder.String() != mac.String()
}
