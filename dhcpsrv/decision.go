package dhcpsrv

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// noReply is the reply type of a decision for silence.
const noReply = wire.BOOTP

// decision holds the outcome for one packet. Making it changes nothing; [table.apply] carries it
// out.
type decision struct {
	now, hold int64
	trace     bool
	steps     []string

	vrf   *vrf
	seg   *sharedNetwork
	class *Class
	sub   *subnet // the preferred subnet at first, the subnet of addr once an address is chosen
	res   *Reservation
	key   []byte // in keyBuf when it fits

	keyBuf [64]byte

	circuit circuit // where the client is; only with a quota
	quota   int     // of addresses there; 0 = no limit

	reply  wire.Type // noReply = silence
	reason Reason    // of silence or NAK
	addr   addr4     // the address the packet is about; 0 = none
	by     string    // how addr was chosen
	lease  time.Duration
	act    action
	rapid  bool // ACK to a DISCOVER
	bootp  bool

	answer  *hostAnswer // of Hosts, for a packet that waited for it
	awaits  bool        // the decision needs an answer of Hosts
	gone    *job        // no longer waits for one, since this packet does
	host    *hostAnswer // applied
	hostErr error       // its address makes no sense

	mode     Mode
	modeBy   string
	bootOnly bool          // boot data without an address
	most     time.Duration // lease is not longer; 0 = no limit
	boot     BootAnswer
	booting  bool // boot is valid

	probes     bool // an address can be probed before it is offered
	undirected bool // the packet names no server
	inVain     bool // the client has sent it for some time without an answer

	watched *Watched // in ModeWatch: what the client takes of another server
}

// action is the change to the table that a decision asks for.
type action uint8

const (
	actNone    action = iota
	actHold           // keep addr for the client until the offer lapses
	actGrant          // bind addr, end the client's other leases of the shared network
	actRelease        // end the lease of addr
	actDecline        // withhold addr from all clients
	actForget         // drop the offers made to the client
)

func (d *decision) note(format string, args ...any) {
	d.steps = append(d.steps, fmt.Sprintf(format, args...))
}

func (d *decision) take(a addr4, how string) bool {
	d.addr, d.by = a, how
	return true
}

func (d *decision) silent(why Reason) { d.reply, d.reason = noReply, why }

func (d *decision) nak(why Reason) { d.reply, d.reason = wire.Nak, why }

// noStatus marks an IA, or a message, without a status code.
const noStatus = 0xffff

// decision6 holds the outcome for one packet. Making it changes nothing; [table6.apply] carries it
// out.
type decision6 struct {
	now   time.Time
	hold  time.Duration
	trace bool
	steps []string

	vrf   *vrf
	sub   *subnet6 // preferred
	class *Class
	res   *Reservation

	circuit circuit // where the client is; only with a quota
	quota   int     // of addresses there; 0 = no limit
	fresh   int     // addresses of this packet that count against it and did not before

	keys []byte // memory of the keys of ias

	reply  wire6.Type // 0 = silence
	reason Reason     // of silence
	status uint16     // of the message
	rapid  bool       // REPLY to a SOLICIT
	ias    []ia6
	pds    []ia6 // for prefixes

	probes     bool // an address can be probed before it is offered
	undirected bool // the packet names no server
	inVain     bool // the client has sent it for some time without an answer

	answer  *hostAnswer // of Hosts, for a packet that waited for it
	awaits  bool        // the decision needs an answer of Hosts
	gone    *job        // no longer waits for one, since this packet does
	host    *hostAnswer // applied
	hostErr error       // its address makes no sense
	refused bool        // by Hosts
}

// ia6 is the answer for one identity association.
type ia6 struct {
	id     uint32
	key    []byte
	status uint16
	addr   netip.Addr // valid = given
	by     string     // how addr was chosen
	sub    *subnet6   // of addr
	lease  time.Duration
	act    action
	gone   []netip.Addr // sent to the client with lifetimes of zero
	bits   uint8        // length of a prefix; 0 = an address

	gonePrefixes []netip.Prefix // the same of prefixes
	held         []netip.Addr   // addresses that it gives back
}

// reset starts a decision in the memory of a previous one.
func (d *decision6) reset(hold time.Duration) {
	*d = decision6{hold: hold, ias: d.ias[:0], keys: d.keys[:0], pds: d.pds[:0]}
}

func (d *decision6) note(format string, args ...any) {
	if d.trace {
		d.steps = append(d.steps, fmt.Sprintf(format, args...))
	}
}

func (d *decision6) silent(why Reason) { d.reply, d.reason = 0, why }

// reserved returns the client's reserved address, or an invalid one.
func (d *decision6) reserved() netip.Addr {
	if d.res == nil {
		return netip.Addr{}
	}
	return d.res.Addr
}

// first returns the first address given, and its subnet.
func (d *decision6) first() (netip.Addr, *subnet6) {
	for i := range d.ias {
		if d.ias[i].addr.IsValid() {
			return d.ias[i].addr, d.ias[i].sub
		}
	}
	return netip.Addr{}, d.sub
}

// uses reports whether the packet's answer already holds the address.
func (d *decision6) uses(a netip.Addr) bool {
	return slices.ContainsFunc(d.ias, func(ia ia6) bool { return ia.addr == a })
}
