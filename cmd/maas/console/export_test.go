package console

import "github.com/gomaas/maas/store/inventory"

// ActionInfo is an action for tests.
type ActionInfo struct {
	Name    string
	Role    inventory.Role
	Command string // with all flags
}

// Actions returns all actions.
func Actions() (out []ActionInfo) {
	for _, a := range actions() {
		for _, condition := range sortedKeys(a.flags) {
			a.command += " " + a.flags[condition]
		}
		out = append(out, ActionInfo{a.name, a.role, a.command})
	}
	return out
}

// RouteInfo is an address of the page for tests.
type RouteInfo struct {
	Pattern string
	Public  bool
}

// Routes returns all addresses of the page.
func Routes() (out []RouteInfo) {
	for _, x := range new(Console).routes() {
		out = append(out, RouteInfo{x.pattern, x.public})
	}
	return out
}
