package catalog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// Bounds of what a primary may send.
const (
	transferTime = 2 * time.Minute
	maxZoneBytes = 64 << 20
)

// content is a zone as its primary has it.
type content struct {
	soa    *dns.SOA
	change dnssrv.Change
}

// soaOf asks a primary for the SOA record of a zone.
func (s *Source) soaOf(ctx context.Context, zone string) (*dns.SOA, error) {
	m := new(dns.Msg)
	m.SetQuestion(zone, dns.TypeSOA)
	var soa *dns.SOA
	err := s.talk(ctx, m, 10*time.Second, func(answer *dns.Msg) (bool, error) {
		for _, rr := range answer.Answer {
			if found, ok := rr.(*dns.SOA); ok && dns.CanonicalName(found.Hdr.Name) == zone {
				soa = found
				return true, nil
			}
		}
		return true, errors.New("the server has no SOA record of it")
	})
	return soa, err
}

// fetch transfers a zone (AXFR, RFC 5936).
func (s *Source) fetch(ctx context.Context, zone string) (content, error) {
	m := new(dns.Msg)
	m.SetAxfr(zone)
	var out content
	var text bytes.Buffer
	signed := false
	err := s.talk(ctx, m, transferTime, func(answer *dns.Msg) (bool, error) {
		for _, rr := range answer.Answer {
			soa, ok := rr.(*dns.SOA)
			switch {
			case out.soa == nil && !ok:
				return true, errors.New("the transfer does not begin with an SOA record")
			case ok && out.soa != nil:
				return true, nil
			case ok:
				out.soa = soa
			}
			signed = signed || rr.Header().Rrtype == dns.TypeDNSKEY
			if text.WriteString(rr.String()); text.Len() > maxZoneBytes {
				return true, fmt.Errorf("it has more than %d MiB", maxZoneBytes>>20)
			}
			text.WriteByte('\n')
		}
		return false, nil
	})
	if err != nil {
		return content{}, err
	}
	if signed {
		return content{}, errors.New("it is signed, and its signatures cannot be kept here")
	}
	out.change, err = dnssrv.ParseZone(&text, zone)
	return out, err
}

// talk sends a question over TCP and hands over each message of the answer, until each returns
// true.
func (s *Source) talk(ctx context.Context, m *dns.Msg, limit time.Duration, each func(*dns.Msg) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Primary)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	wire, mac, err := s.sign(m)
	if err != nil {
		return err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return err
	}
	for first := true; ; first = false {
		in, err := readMessage(conn)
		if err != nil {
			return err
		}
		answer := new(dns.Msg)
		if err := answer.Unpack(in); err != nil {
			return err
		}
		if mac, err = s.verify(in, answer, mac, !first); err != nil {
			return err
		}
		if answer.Id != m.Id || !answer.Response {
			return errors.New("the answer is to another question")
		}
		if answer.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("the server answers %s", dns.RcodeToString[answer.Rcode])
		}
		if done, err := each(answer); done || err != nil {
			return err
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	in := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, in)
	return in, err
}

// sign encodes a question, signed if there is a key.
func (s *Source) sign(m *dns.Msg) (wire []byte, mac string, err error) {
	if s.Key.Name == "" {
		wire, err = m.Pack()
		return wire, "", err
	}
	m.SetTsig(dns.CanonicalName(s.Key.Name), dns.CanonicalName(cmp.Or(s.Key.Algorithm, "hmac-sha256")), 300, time.Now().Unix())
	return dns.TsigGenerate(m, string(s.Key.Secret), "", false)
}

// verify checks the signature of each message of an answer, which covers the message before.
// Servers may sign only some (RFC 8945 section 5.3.1), but none that is common does so, and one
// without a signature could be anyone's.
func (s *Source) verify(in []byte, answer *dns.Msg, mac string, more bool) (string, error) {
	if s.Key.Name == "" {
		return "", nil
	}
	t := answer.IsTsig()
	if t == nil {
		return "", fmt.Errorf("the answer %s is not signed", dns.RcodeToString[answer.Rcode])
	}
	return t.MAC, dns.TsigVerify(slices.Clone(in), string(s.Key.Secret), mac, more)
}
