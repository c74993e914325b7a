package rack

// TracedAccess is for tests.
var TracedAccess = tracedAccess

// AwayToo is awayToo.
var AwayToo = awayToo

// NoteLeases records the result of a write of leases.
func (r *Rack) NoteLeases(err error) { _ = r.disk.note(writesLeases, err) }
