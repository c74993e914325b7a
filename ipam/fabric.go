package ipam

import (
	"fmt"
	"regexp"
)

// Fabric is a set of VLANs among which a VLAN id means one thing: usually one physical network, a
// set of switches that are connected with each other.
type Fabric struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // unique, up to 256 characters; "" becomes "fabric-<id>"
	Description string
	ClassType   string // free text such as "10g"; "" = none
}

var generatedFabricName = regexp.MustCompile(`^fabric-[0-9]+$`)

// Validate checks the fabric by itself. Names of the form fabric-N are kept for the fabric whose ID
// is N, so that generated names never collide.
func (f Fabric) Validate() error {
	if len(f.Name) > 256 {
		return invalid("fabric", f.Name, "name", "is longer than 256 characters")
	}
	// A taken name would collide when the fabric of that ID is made.
	if generatedFabricName.MatchString(f.Name) && f.Name != fmt.Sprintf("fabric-%d", f.ID) {
		return invalid("fabric", f.Name, "name", "is kept for generated names; choose one that is not fabric-<number>")
	}
	return nil
}

// Space groups VLANs whose subnets may route to each other. Addresses in one space are considered
// mutually reachable.
type Space struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // unique; "" becomes "space-<id>"
	Description string
}

var generatedSpaceName = regexp.MustCompile(`^space-[0-9]+$`)

// Validate checks the space by itself: "undefined" and space-N are reserved.
func (s Space) Validate() error {
	switch {
	case len(s.Name) > 256:
		return invalid("space", s.Name, "name", "is longer than 256 characters")
	case s.Name == "undefined":
		return invalid("space", s.Name, "name", `is kept for "no space"`)
	case generatedSpaceName.MatchString(s.Name) && s.Name != fmt.Sprintf("space-%d", s.ID):
		return invalid("space", s.Name, "name", "is kept for generated names; choose one that is not space-<number>")
	}
	return nil
}
