package inventory

// CanonicalTransfer is a list of who may transfer a domain in the form in
// which it is stored: first the names of keys, then the networks.
func CanonicalTransfer(list []string) []string {
	networks, out := transferers(list)
	for _, p := range networks {
		out = append(out, p.String())
	}
	return out
}
