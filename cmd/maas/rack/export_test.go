package rack

// TracedAccess is for tests.
var TracedAccess = tracedAccess

// AwayToo is awayToo.
var AwayToo = awayToo
