package rack

import "net/netip"

// TracedAccess is for tests.
var TracedAccess = tracedAccess

// AwayToo is awayToo.
var AwayToo = awayToo

// NoteLeases records the result of a write of leases.
func (r *Rack) NoteLeases(err error) { _ = r.disk.note(writesLeases, err) }

// TakeLog takes a packet of syslog.
func (r *Rack) TakeLog(packet string, from netip.Addr) bool {
	return r.bootLog.Handle([]byte(packet), from)
}
