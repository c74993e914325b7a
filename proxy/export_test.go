package proxy

// AllowsPort is allowsPort for tests.
func (p *Policy) AllowsPort(port uint16, tunnel bool) bool { return p.allowsPort(port, tunnel) }
