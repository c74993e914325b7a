package rmcp

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Privilege levels (IPMI 2.0 section 6.8).
const (
	User          = 2
	Operator      = 3
	Administrator = 4
)

// Config says where a BMC is and who one is.
type Config struct {
	Address   string // host:port
	User      string // at most 16 octets
	Password  string // at most 20 octets
	Key       []byte // K_g, at most 20 octets; nil = the BMC has none
	Suite     uint8  // 3, 8 or 17
	Privilege byte
	// Wait is the time after which a request without an answer is sent again, and Tries the number
	// of times that it is sent.
	Wait  time.Duration
	Tries int
	// HandshakeWait and HandshakeTries take their place until the session is open. Zero means the
	// same.
	HandshakeWait  time.Duration
	HandshakeTries int
}

// Session is a session with a BMC. It is used by one goroutine.
type Session struct {
	cfg  Config
	conn net.Conn
	keys keys

	console, bmc uint32 // session IDs
	seq          uint32 // of the last packet sent in the session
	rq           byte   // of the last request
	wait         time.Duration
	tries        int
	tag          byte // of the last message of the handshake
	out, in      []byte
}

const (
	netFnApp           = 0x06
	cmdSetPrivilege    = 0x3b
	cmdCloseSession    = 0x3c
	maxPacket          = 1024
	lookupByName       = 0x10 // in the role: the user is found by name alone
	maxUser, maxSecret = 16, 20
)

// Dial opens a session. The error is Status, ErrConfig, ErrPassword, ErrKey or ErrSilent, or the
// error of ctx or the network.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	s, ok := suites[cfg.Suite]
	if !ok {
		return nil, fmt.Errorf("%w: cipher suite %d is not known", ErrConfig, cfg.Suite)
	}
	if len(cfg.User) > maxUser || len(cfg.Password) > maxSecret || len(cfg.Key) > maxSecret {
		return nil, fmt.Errorf("%w: the user's name has at most %d octets, password and key %d", ErrConfig, maxUser, maxSecret)
	}
	// Connected, so that packets of other hosts are dropped by the kernel and a closed port is an
	// error.
	conn, err := new(net.Dialer).DialContext(ctx, "udp", cfg.Address)
	if err != nil {
		return nil, err
	}
	c := &Session{
		cfg: cfg, conn: conn, in: make([]byte, maxPacket),
		wait: cmp.Or(cfg.HandshakeWait, cfg.Wait), tries: cmp.Or(cfg.HandshakeTries, cfg.Tries),
	}
	if err := c.handshake(ctx, s); err != nil {
		conn.Close()
		return nil, err
	}
	c.wait, c.tries = cfg.Wait, cfg.Tries
	// A session begins with the rights of USER, whatever the handshake asked for (section 22.18).
	if _, err := c.Command(ctx, netFnApp, cmdSetPrivilege, []byte{cfg.Privilege}); err != nil {
		_ = c.Close(ctx)
		return nil, fmt.Errorf("set the privilege level: %w", err)
	}
	return c, nil
}

// handshake is the exchange of section 13.20 and following.
func (c *Session) handshake(ctx context.Context, s suite) error {
	if err := c.open(ctx, s); err != nil {
		return err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	who := append([]byte{c.cfg.Privilege | lookupByName, byte(len(c.cfg.User))}, c.cfg.User...)
	console, bmc := le(c.console), le(c.bmc)

	rakp1 := append(append([]byte{0, 0, 0, 0}, bmc...), random[:]...)
	rakp1 = append(append(rakp1, who[0], 0, 0), who[1:]...)
	rakp2, err := c.exchange(ctx, payloadRAKP1, payloadRAKP2, rakp1, 40)
	if err != nil {
		return err
	}
	theirs, guid, proof := rakp2[8:24], rakp2[24:40], rakp2[40:]
	password := []byte(c.cfg.Password)
	if !hmac.Equal(proof, s.mac(password, console, bmc, random[:], theirs, guid, who)) {
		return ErrPassword
	}
	// A BMC without a key of its own derives the session keys from the user's password (section
	// 13.31).
	key := c.cfg.Key
	if len(key) == 0 {
		key = password
	}
	sik := s.mac(key, random[:], theirs, who)
	if c.keys, err = newKeys(s, sik); err != nil {
		return err
	}
	// The BMC proves in RAKP 4 that it derived the same keys. The proof is cut like an integrity
	// check (section 13.28).
	want := s.mac(sik, random[:], bmc, guid)[:s.trailer]

	rakp3 := append(append([]byte{0, 0, 0, 0}, bmc...), s.mac(password, theirs, console, who)...)
	rakp4, err := c.exchange(ctx, payloadRAKP3, payloadRAKP4, rakp3, 8)
	if err != nil {
		return err
	}
	if !hmac.Equal(rakp4[8:], want) {
		return ErrKey
	}
	return nil
}

func le(x uint32) []byte { return binary.LittleEndian.AppendUint32(nil, x) }

// open asks for a session with the suite's algorithms (section 13.17).
func (c *Session) open(ctx context.Context, s suite) error {
	var id [4]byte
	// Zero is the ID of packets outside a session (IPMI 2.0 section 13.6).
	for c.console == 0 {
		_, _ = rand.Read(id[:])
		c.console = binary.LittleEndian.Uint32(id[:])
	}
	request := append([]byte{0, c.cfg.Privilege, 0, 0}, le(c.console)...)
	// Three payloads of eight octets each: authentication, integrity, confidentiality.
	for i, algorithm := range []byte{s.auth, s.integrity, aesCBC128} {
		request = append(request, byte(i), 0, 0, 8, algorithm, 0, 0, 0)
	}
	answer, err := c.exchange(ctx, payloadOpenRequest, payloadOpenResponse, request, 36)
	if err != nil {
		return err
	}
	c.bmc = binary.LittleEndian.Uint32(answer[8:])
	// A BMC may answer with weaker algorithms than those asked for; none of them is taken.
	if answer[16] != s.auth || answer[24] != s.integrity || answer[32] != aesCBC128 {
		return Status(0x11)
	}
	return nil
}

// exchange sends a message of the handshake and returns the answer to it, of at least min octets.
func (c *Session) exchange(ctx context.Context, send, expect byte, message []byte, least int) ([]byte, error) {
	// The tag distinguishes the answer to this message from late answers to earlier ones.
	c.tag++
	message[0] = c.tag
	c.out = appendPlain(c.out[:0], send, message)
	var answer []byte
	err := c.roundTrip(ctx, func() []byte { return c.out }, func(packet []byte) error {
		kind, _, payload, err := split(packet)
		if err != nil || kind != expect || len(payload) < 2 || payload[0] != c.tag {
			return errForeign
		}
		// The status goes before the length, which a refusal need not have.
		if payload[1] != 0 { // some send nothing more, such as OpenIPMI's simulator
			return Status(payload[1])
		}
		if len(payload) < least || binary.LittleEndian.Uint32(payload[4:]) != c.console {
			return errForeign
		}
		answer = append([]byte(nil), payload...)
		return nil
	})
	return answer, err
}

// Command runs a command and returns the data of its answer, valid until the next call. The error
// is Completion, ErrSilent, or the error of ctx or the network.
func (c *Session) Command(ctx context.Context, netFn, command byte, data []byte) (answer []byte, err error) {
	// Six bits, in the upper part of an octet (section 13.8).
	c.rq = (c.rq + 1) & 0x3f
	message := appendRequest(make([]byte, 0, 64), netFn, c.rq, command, data)
	err = c.roundTrip(ctx, func() []byte {
		c.seq++ // every packet has its own, a repeated one too
		c.out = c.keys.appendSealed(c.out[:0], payloadIPMI, c.bmc, c.seq, message)
		return c.out
	}, func(packet []byte) error {
		m, err := c.keys.open(packet, payloadIPMI, c.console)
		if err != nil {
			return err
		}
		fn, rq, cmd, body, err := response(m)
		if err != nil || fn != netFn|1 || rq != c.rq || cmd != command {
			return errForeign
		}
		if body[0] != 0 {
			return Completion(body[0])
		}
		answer = body[1:]
		return nil
	})
	return answer, err
}

// roundTrip sends what packet makes until accept takes an answer. An error of accept ends it, other
// than errForeign: such packets are passed over.
func (c *Session) roundTrip(ctx context.Context, packet func() []byte, accept func([]byte) error) error {
	// A deadline in the past ends a read that is in progress.
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for range max(1, c.tries) {
		if err := ctx.Err(); err != nil {
			return err
		}
		// On a connected socket a closed port may show here, as an error of the packet before.
		if _, err := c.conn.Write(packet()); err != nil {
			return c.failed(ctx, err)
		}
		until := time.Now().Add(c.wait)
		_ = c.conn.SetReadDeadline(until)
		if ctx.Err() != nil { // it ended in between, and its deadline is overwritten
			return ctx.Err()
		}
		for {
			n, err := c.conn.Read(c.in)
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				break // send again
			}
			if err != nil {
				return c.failed(ctx, err)
			}
			// A late answer to a repeated request, or a packet of any other host, does not end the
			// wait.
			if err := accept(c.in[:n]); !errors.Is(err, errForeign) {
				return err
			}
		}
	}
	return ErrSilent
}

func (c *Session) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Close ends the session.
func (c *Session) Close(ctx context.Context) error {
	// The BMC frees the session at once; without it, after about a minute (section 6.12.15).
	_, err := c.Command(ctx, netFnApp, cmdCloseSession, le(c.bmc))
	return errors.Join(err, c.conn.Close())
}
