package rack

// TracedAccess is for tests.
var TracedAccess = tracedAccess
