package dhcpsrv

import (
	"fmt"
)

// reserveEither enters a reservation for each family to which it can apply.
func (c *serving) reserveEither(r *Reservation) error {
	wants, only := c.v6.wants(r)
	if wants {
		if err := c.v6.reserve(r); err != nil {
			return err
		}
	}
	if only {
		return nil
	}
	return c.reserve(r)
}

// reserve checks a reservation and enters it.
func (c *serving) reserve(r *Reservation) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("reservation %s: %s", r.label(), fmt.Sprintf(format, args...))
	}
	if err := checkOptions("reservation "+r.label(), r.Options); err != nil {
		return err
	}
	if len(r.MAC) == 0 && len(r.ClientID) == 0 && r.Subscriber == "" {
		return fail("names neither a MAC nor a client identifier nor a subscriber")
	}
	if len(r.Hostname) > 255 {
		return fail("host name is longer than 255 bytes")
	}
	if r.Subnet != "" && c.byName[r.Subnet] == nil {
		return fail("there is no subnet %q", r.Subnet)
	}
	// The address is entered first: its error names the subnet, which helps more than a doubled
	// client.
	if r.Addr.IsValid() {
		if err := c.reserveAddr(r); err != nil {
			return fail("%v", err)
		}
	}
	c.subscribed = c.subscribed || r.Subscriber != ""
	// A client may have one reservation in each subnet, since machines move. Two in one scope would
	// make the answer depend on the order of the snapshot.
	for _, id := range r.identities() {
		for _, other := range c.byClient[id] {
			if c.sameScope(r, other) {
				return fail("the same client already has reservation %s there", other.label())
			}
		}
		c.byClient[id] = append(c.byClient[id], r)
	}
	return nil
}

// reserveAddr enters the address of a reservation. The address may lie outside all pools, as MAAS
// allows, but never where it would collide with this server or with the network itself.
func (c *serving) reserveAddr(r *Reservation) error {
	if !r.Addr.Is4() {
		return fmt.Errorf("%v is not an IPv4 address", r.Addr)
	}
	a := addr4From(r.Addr)
	sub := c.find(a)
	switch {
	case sub == nil:
		return fmt.Errorf("%v is in no subnet", r.Addr)
	case !sub.usable(a):
		return fmt.Errorf("%v is the network or broadcast address of subnet %q", r.Addr, sub.Name)
	case r.Addr == sub.Server:
		return fmt.Errorf("%v is the address of this server in subnet %q", r.Addr, sub.Name)
	case r.Subnet != "" && r.Subnet != sub.Name:
		return fmt.Errorf("%v is in subnet %q, not in %q", r.Addr, sub.Name, r.Subnet)
	}
	if other := c.byAddr[a]; other != nil {
		return fmt.Errorf("%v is already reserved for %s", r.Addr, other.label())
	}
	c.byAddr[a] = r
	return nil
}
