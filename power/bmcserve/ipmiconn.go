package bmcserve

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
)

// boundedConn drops what a client sends above its rate, and mends answers of the library.
type boundedConn struct {
	net.PacketConn
	server *Server

	mu sync.Mutex
	// activated are the sessions of version 1.5 whose activation is being answered, by their ID.
	// Guarded by mu.
	activated map[uint32]*bmc.V15Session
}

// Types of the messages that begin a session: RAKP 1 (IPMI 2.0 table 13-16), and Get Session
// Challenge of version 1.5 (section 22.16).
const (
	payloadRAKP1 = 0x12
	cmdChallenge = 0x39
)

// ReadFrom reads the next packet within the rates. Beginnings of sessions cost as many requests as
// they cost hashes.
func (c *boundedConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		key := source(from.String())
		if !c.server.gate.requests.Take(key) || begins(b[:n]) && !c.server.gate.requests.Take(key) {
			continue
		}
		return n, from, nil
	}
}

// begins reports whether a packet makes the server compute a proof for a stranger.
func begins(packet []byte) bool {
	const v15Command = 4 + 1 + 4 + 4 + 1 + 5 // RMCP, session and message headers without authentication
	switch {
	case len(packet) < 16:
		return false
	case packet[4] == 0x06:
		return packet[5]&0x3f == payloadRAKP1
	case len(packet) > v15Command && binary.LittleEndian.Uint32(packet[9:]) == 0:
		return packet[v15Command] == cmdChallenge
	}
	return false
}

// noteActivation remembers the sessions that are activated until that is answered.
func (c *boundedConn) noteActivation(next handlers.Handler) handlers.Handler {
	return handlers.HandlerFunc(func(ctx context.Context, h *handlers.HandlerContext, data []byte) ([]byte, types.CompletionCode, error) {
		pending := h.V15Session != nil && h.V15Session.State == bmc.V15SessionStatePending
		out, code, err := next.Handle(ctx, h, data)
		if pending && h.V15Session.State == bmc.V15SessionStateActive {
			c.mu.Lock()
			if c.activated == nil {
				c.activated = map[uint32]*bmc.V15Session{}
			}
			c.activated[h.V15Session.SessionID] = h.V15Session
			c.mu.Unlock()
		}
		return out, code, err
	})
}

// Places in a packet of version 1.5 with authentication (IPMI 2.0 table 13-8).
const (
	v15ID      = 9
	v15Code    = 13
	v15Length  = 29
	v15Payload = 30
)

// WriteTo sends a packet. The answer to Activate Session still has the temporary ID of the session
// in its header, as BMCs have it: the library puts the new one there, which FreeIPMI, unlike
// ipmitool, takes for an answer to another session.
func (c *boundedConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > v15Payload && b[4] == uint8(types.AuthTypeMD5) {
		id := binary.LittleEndian.Uint32(b[v15ID:])
		c.mu.Lock()
		session := c.activated[id]
		delete(c.activated, id)
		c.mu.Unlock()
		if session != nil {
			b = bytes.Clone(b)
			payload := b[v15Payload:min(len(b), v15Payload+int(b[v15Length]))]
			binary.LittleEndian.PutUint32(b[v15ID:], session.TempSessionID)
			code := handlers.GenV15AuthCode(session.User.PasswordV15Padded(), session.AuthType, session.TempSessionID, payload, binary.LittleEndian.Uint32(b[5:]))
			copy(b[v15Code:v15Length], code)
		}
	}
	return c.PacketConn.WriteTo(b, to)
}
