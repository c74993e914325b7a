package ipam

// validate refuses entries that would be ignored by mistake.
func (u *Usage) validate() error {
	p := u.Subnet.Prefix
	outside := func(subject string) error {
		return &RefusedError{Reason: OutsideSubnet, Subject: subject, Subnet: p}
	}
	for _, r := range u.Ranges {
		if err := r.validate(p); err != nil {
			return err
		}
		if _, ok := clip(p, r.IPRange()); !ok {
			return outside(r.String())
		}
	}
	for _, r := range u.Routes {
		switch {
		case !r.Gateway.IsValid():
			return invalid("static route", r.String(), "gateway_ip", "is missing")
		case r.Metric < 0:
			return invalid("static route", r.String(), "metric", "must be 0 or more")
		case !p.Contains(r.Gateway):
			return outside("gateway " + r.Gateway.String() + " of a static route")
		}
	}
	for _, r := range u.Reserved {
		if !p.Contains(r.Addr) {
			return outside("reserved address " + r.Addr.String())
		}
	}
	return nil
}
