package dhcpsrv

import (
	"fmt"
	"net/netip"
	"time"
)

// Mode is the source of addresses in a subnet. All subnets of a shared network have the same mode.
type Mode uint8

// The modes.
const (
	// ModeServe gives leases and boot data. It is the zero value.
	ModeServe Mode = iota
	// ModeProxy leaves addresses to another DHCP server and gives only boot data, to firmware that
	// asks for it (proxyDHCP, PXE 2.1 section 2.2.3). Leases from before are kept until they end,
	// see [Server.Serve].
	ModeProxy
	// ModeAuto is ModeServe while no other server answers on the link, and ModeProxy while one
	// does. It needs a Link.
	ModeAuto
	// ModeWatch answers nothing. It learns the leases that clients take from another server, and
	// reports what it would have given to [Config.Watched]: after the change to ModeServe, clients
	// keep their addresses.
	ModeWatch
)

var modeNames = [...]string{"serve", "proxy", "auto", "watch"}

// String returns the mode in lower case, such as "proxy".
func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return "unknown"
}

// MarshalText returns the mode as String does.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes; no text at all is ModeServe.
func (m *Mode) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = ModeServe
		return nil
	}
	for i, name := range modeNames {
		if string(text) == name {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("dhcpsrv: mode %q is not serve, proxy, auto or watch", text)
}

// LinkMode holds the mode of one IPv4 shared network now.
type LinkMode struct {
	SharedNetwork string
	Link          string        // interface of the shared network; "" = behind relays only
	Set           Mode          // of the snapshot
	Mode          Mode          // in force; ModeAuto = not known yet: the server listens and answers no new client
	By            string        // what decided, such as "auto: 192.0.2.9 answers"
	Since         time.Time     // of Mode; zero unless ModeAuto is set
	Servers       []RogueServer // servers that answered last, with ModeAuto
}

// Modes returns the mode of each IPv4 shared network, in the order of the snapshot.
func (s *Server) Modes() (modes []LinkMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.vrfs {
		for _, seg := range v.v4.cur.networks {
			m := LinkMode{SharedNetwork: seg.name, Link: seg.link(), Set: seg.mode}
			m.Mode, m.By = seg.modeNow()
			if w := seg.watch; w != nil {
				m.Since, m.Servers = w.since, append([]RogueServer(nil), w.servers...)
			}
			modes = append(modes, m)
		}
	}
	return modes
}

// modeNow returns the mode in force and what decided. The caller holds the lock of the server.
func (seg *sharedNetwork) modeNow() (m Mode, by string) {
	w := seg.watch
	switch {
	case seg.mode != ModeAuto:
		return seg.mode, "the subnet"
	case w == nil || w.mode == ModeAuto:
		return ModeAuto, "auto: still listening for other servers"
	case w.mode == ModeServe:
		return ModeServe, "auto: no other server answers"
	}
	by = "auto: another server was heard"
	if len(w.servers) > 0 {
		by = fmt.Sprintf("auto: %v answers", w.servers[0].name())
	}
	return ModeProxy, by
}

// link returns the first interface of a shared network, or "".
func (seg *sharedNetwork) link() string {
	for _, sub := range seg.subnets {
		if sub.Link != "" {
			return sub.Link
		}
	}
	return ""
}

// checkModes refuses shared networks whose subnets disagree, and ModeAuto where the server has no
// interface to listen on.
func (c *serving) checkModes() error {
	for _, seg := range c.networks {
		seg.mode = seg.subnets[0].Mode
		for _, sub := range seg.subnets {
			switch {
			case int(sub.Mode) >= len(modeNames):
				return fmt.Errorf("subnet %q: mode %d is unknown", sub.Name, sub.Mode)
			case sub.Mode != seg.mode:
				return fmt.Errorf("subnet %q: mode %v, but %v in subnet %q of the same shared network", sub.Name, sub.Mode, seg.mode, seg.subnets[0].Name)
			}
		}
		if seg.mode == ModeAuto && seg.link() == "" {
			return fmt.Errorf("subnet %q: mode auto needs a link: other servers cannot be heard behind a relay; set serve or proxy", seg.subnets[0].Name)
		}
	}
	return nil
}

// name returns the address by which messages name a server.
func (f *RogueServer) name() netip.Addr {
	if f.ID.IsValid() {
		return f.ID
	}
	return f.Addr
}
