package maasapi

import (
	"net/http"
	"strconv"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// setting is a setting of the site that get_config and set_config know. Other settings of MAAS
// answer 501.
type setting struct {
	// fallback is the value if none is stored, of the type that clients of MAAS expect: string, int
	// or bool.
	fallback any
	set      func(a *API, r *http.Request, value string) error // stores it; nil = Inventory.SetSetting
}

// settings returns the settings that concern networks.
func settings() map[string]setting {
	discovery := func(name string) func(a *API, r *http.Request, value string) error {
		return func(a *API, r *http.Request, value string) error {
			return a.inv.SetDiscoverySetting(r.Context(), name, value)
		}
	}
	out := map[string]setting{
		inventory.SettingUpstreamDNS: {fallback: ""}, inventory.SettingDNSSEC: {fallback: "auto"}, inventory.SettingDNSTrustedACL: {fallback: ""},
		inventory.SettingDNSTransfer: {fallback: ""}, inventory.SettingDNSNotify: {fallback: ""}, inventory.SettingDNSTTL: {fallback: 30},
		inventory.SettingSecondaryNS: {fallback: ""}, inventory.SettingInternalDomain: {fallback: inventory.DefaultInternalDomain}, inventory.SettingNTPServers: {fallback: ""}, inventory.SettingKernelOpts: {fallback: ""},
		inventory.SettingExhaustion: {fallback: 16}, inventory.SettingCircuitQuota: {fallback: 0}, inventory.SettingLinkQuota: {fallback: 0}, inventory.SettingTakeover: {fallback: 3600},
		inventory.SettingRouterAdvertisements: {fallback: "", set: func(a *API, r *http.Request, value string) error {
			return a.inv.SetRouterAdvertisements(r.Context(), value)
		}},
	}
	for name, fallback := range proxyDefaults {
		out[name] = setting{fallback: fallback}
	}
	for name, fallback := range discoveryDefaults {
		s := setting{fallback: fallback, set: discovery(name)}
		if n, err := strconv.Atoi(fallback); err == nil {
			s.fallback = n
		}
		out[name] = s
	}
	return out
}

// getSetting serves op=get_config. Without a name it returns all settings, which MAAS does not.
func (a *API) getSetting(r *http.Request) (any, error) {
	name := r.URL.Query().Get("name")
	s, known := settings()[name]
	if op := r.URL.Query().Get("op"); op != "get_config" || !known && name != "" {
		return nil, &unsupported{"maas op=" + op + " name=" + name}
	}
	all, err := a.inv.Settings(r.Context())
	if err != nil {
		return nil, err
	}
	if known {
		return s.value(all[name])
	}
	out := map[string]any{}
	for name, s := range settings() {
		if out[name], err = s.value(all[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// value converts a stored text to the type that clients expect.
func (s setting) value(text string) (any, error) {
	if text == "" {
		return s.fallback, nil
	}
	switch s.fallback.(type) {
	case bool:
		return strconv.ParseBool(text)
	case int:
		return strconv.Atoi(text)
	}
	return text, nil
}

// setSetting serves op=set_config. Racks follow the change feed, so they apply the setting at once.
func (a *API) setSetting(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	name, value := f.Get("name"), f.Values.Get("value")
	s, known := settings()[name]
	if op := r.URL.Query().Get("op"); op != "set_config" || !known {
		return nil, &unsupported{"maas op=" + op + " name=" + name}
	}
	if s.set == nil {
		err = a.inv.SetSetting(r.Context(), name, value)
	} else {
		err = s.set(a, r, value)
	}
	if err != nil {
		return nil, err
	}
	return "OK", nil
}
