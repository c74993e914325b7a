package inventory

import (
	"fmt"
	"regexp"
	"strings"
)

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// DomainName brings a name into its canonical form and checks it.
func DomainName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if name == "" || len(name) > 253 {
		return "", invalid(KindDomain, name, "name", "must be 1 to 253 characters")
	}
	for _, l := range strings.Split(name, ".") {
		if !label.MatchString(l) {
			return "", invalid(KindDomain, name, "name", fmt.Sprintf("has the label %q: a label is 1 to 63 letters, digits and inner hyphens", l))
		}
	}
	return name, nil
}

// HostName brings the name of a machine into its canonical form and checks
// it: one label (RFC 1123 section 2.1).
func HostName(kind, name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if !label.MatchString(name) {
		return "", invalid(kind, name, "hostname", "must be 1 to 63 letters, digits and inner hyphens")
	}
	return name, nil
}
