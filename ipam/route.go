package ipam

import (
	"fmt"
	"net/netip"
)

// StaticRoute is a route that DHCP announces to the machines of one subnet.
type StaticRoute struct {
	ID            int64
	Version       int64        // counts changes; an update must carry the one that was read
	SourceID      int64        // subnet whose machines get the route
	DestinationID int64        // subnet it leads to
	Gateway       netip.Addr   // in the source subnet
	Metric        int          // 0 or more; smaller is preferred
	Destination   netip.Prefix // prefix of the destination, for messages; may be zero
}

// Validate checks the route against its two subnets.
func (r StaticRoute) Validate(source, destination Subnet) error {
	name := fmt.Sprintf("from %s to %s", source, destination)
	switch {
	// Machines reach their own subnet without a gateway.
	case source.ID == destination.ID && source.Prefix == destination.Prefix:
		return invalid("static route", name, "destination", "is the source too")
	case source.Prefix.Addr().Is4() != destination.Prefix.Addr().Is4():
		return invalid("static route", name, "destination", "is of another IP version than the source")
	case !r.Gateway.IsValid():
		return invalid("static route", name, "gateway_ip", "is missing")
	case r.Metric < 0:
		return invalid("static route", name, "metric", "must be 0 or more")
	case !source.Prefix.Contains(r.Gateway):
		return &RefusedError{Reason: OutsideSubnet, Subject: "gateway " + r.Gateway.String() + " of a static route", Subnet: source.Prefix}
	}
	return nil
}

// String writes such as "static route via 10.0.0.7".
func (r StaticRoute) String() string {
	if r.Destination.IsValid() {
		return fmt.Sprintf("static route to %s via %s", r.Destination, r.Gateway)
	}
	return "static route via " + r.Gateway.String()
}
