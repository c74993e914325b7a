package region

import (
	"strings"

	"github.com/gomaas/maas/cmd/maas/console"
)

// composePages creates the page: with a log-in for clients of the network, and without one for the
// administrator on this host. Both act through the API of their clients.
func (r *Region) composePages(cfg Config) error {
	r.base, r.openPage = strings.TrimSuffix(cfg.Base, "/"), cfg.OpenPage
	pc := console.For(r.inv)
	pc.Base, pc.Kinds, pc.Log = cfg.Base, cfg.Kinds, r.log.With("component", "page")
	pc.API, pc.Vendor, pc.Host = r.api.Handler(), r.vendors.lookup, cfg.Host
	page, err := console.New(pc)
	if err != nil {
		return err
	}
	pc.API, pc.Trusted = r.Local(), true
	local, err := console.New(pc)
	r.page, r.localPage = page, local
	return err
}

// isAPI reports whether a path is of the API, as all paths outside of Config.Base are: it answers
// that they are not supported.
func (r *Region) isAPI(path string) bool {
	if r.base == "" {
		return path == "/MAAS" || strings.HasPrefix(path, "/MAAS/") || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/accounts/") ||
			strings.HasPrefix(path, "/debug/")
	}
	below, ok := strings.CutPrefix(path, r.base+"/")
	return !ok || strings.HasPrefix(below, "api/") || strings.HasPrefix(below, "accounts/")
}
