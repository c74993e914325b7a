package maasapi

import (
	"net/http"
	"strconv"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/setting"
)

// siteSetting is a setting of the site that get_config and set_config know. Other settings of MAAS
// answer 501.
type siteSetting struct {
	// fallback is the value if none is stored, of the type that clients of MAAS expect: string, int
	// or bool.
	fallback any
}

// settings returns the settings that concern networks.
func settings() map[string]siteSetting {
	out := map[string]siteSetting{
		setting.UpstreamDNS: {""}, setting.DNSSEC: {"auto"}, setting.DNSTrustedACL: {""},
		setting.DNSTransfer: {""}, setting.DNSNotify: {""}, setting.DNSTTL: {30},
		setting.SecondaryNS: {""}, setting.InternalDomain: {setting.DefaultInternalDomain}, setting.NTPServers: {""}, setting.KernelOpts: {""},
		setting.Exhaustion: {16}, setting.EnlistMax: {1000}, setting.CircuitQuota: {0}, setting.LinkQuota: {0}, setting.Takeover: {3600},
		setting.RouterAdvertisements: {setting.AdvertiseAuto}, setting.DNSUpdate: {""}, setting.DNSCatalog: {""}, setting.DNSFollow: {""},
	}
	for name, fallback := range proxyDefaults {
		out[name] = siteSetting{fallback}
	}
	for name, fallback := range discoveryDefaults {
		out[name] = siteSetting{fallback}
		if n, err := strconv.Atoi(fallback); err == nil {
			out[name] = siteSetting{n}
		}
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
	all, err := a.inv.Settings.All(r.Context())
	if err != nil {
		return nil, err
	}
	if !seesSecrets(r) {
		for name, value := range all {
			all[name] = withoutSecrets(value)
		}
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
func (s siteSetting) value(text string) (any, error) {
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
	name, value := f.Get("name"), f.Raw("value")
	_, known := settings()[name]
	if op := r.URL.Query().Get("op"); op != "set_config" || !known {
		return nil, &unsupported{"maas op=" + op + " name=" + name}
	}
	if err := f.Rest(); err != nil {
		return nil, err
	}
	if err := a.inv.Settings.Set(r.Context(), name, value); err != nil {
		return nil, err
	}
	return "OK", nil
}
