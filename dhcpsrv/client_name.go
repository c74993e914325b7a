package dhcpsrv

import "strings"

// ClientName returns the name under which a client of a lease is found in the DNS: the first label of
// the host name that it gave, in lower case, in a domain. It is "" if that is no label of a host (RFC
// 1123 section 2.1), such as "(none)". With an empty domain it is the label alone. Whoever names leases
// uses it, so that the servers that a lease reaches first and those that learn of it later agree.
func ClientName(hostname, domain string) string {
	label, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(hostname)), ".") // a client does not choose its domain
	if !isHostLabel(label) {
		return ""
	}
	if domain == "" {
		return label
	}
	return label + "." + strings.ToLower(domain)
}

func isHostLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
