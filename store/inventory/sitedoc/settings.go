package sitedoc

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory/setting"
)

// defaultDomainID is the ID of the domain that the inventory is created with.
const defaultDomainID = 1

// siteSettings are the settings as a step: they are values and no objects.
type siteSettings struct {
	*applier
	docs *map[string]string
}

func (s siteSettings) apply() error {
	have, err := s.inv.Settings.All(s.ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(*s.docs)) {
		if !slices.Contains(setting.Exported(), name) {
			s.warn("setting %s is not known and was left out", name)
			continue
		}
		if err := s.set(name, have[name], (*s.docs)[name]); err != nil {
			return err
		}
	}
	return nil
}

// set gives a setting a value.
func (s siteSettings) set(name, old, value string) error {
	if old == value {
		return nil
	}
	if err := s.inv.Settings.Set(s.ctx, name, value); err != nil {
		return &Error{"setting", name, err, []any{s.docs, name}}
	}
	before, _ := json.Marshal(map[string]string{"value": old}) // texts always encode
	after, _ := json.Marshal(map[string]string{"value": value})
	op := "update"
	if value == "" {
		op = "delete"
	}
	s.note(op, "setting", name, before, after)
	return nil
}

// prune gives settings that the document lacks their defaults.
func (s siteSettings) prune() error {
	if *s.docs == nil {
		return nil
	}
	have, err := s.inv.Settings.All(s.ctx)
	if err != nil {
		return err
	}
	for _, name := range setting.Exported() {
		if _, wanted := (*s.docs)[name]; wanted || holdsPassword(have[name]) {
			continue
		}
		if err := s.set(name, have[name], ""); err != nil {
			return err
		}
	}
	return nil
}

// export leaves out a setting that holds a password, such as the URL of a proxy of the site's.
func (s siteSettings) export() error {
	have, err := s.inv.Settings.All(s.ctx)
	if err != nil {
		return err
	}
	for _, name := range setting.Exported() {
		if value := have[name]; value != "" && !holdsPassword(value) {
			if *s.docs == nil {
				*s.docs = make(map[string]string)
			}
			(*s.docs)[name] = value
		}
	}
	return nil
}

// holdsPassword reports whether a value has a URL with a password.
func holdsPassword(value string) bool {
	return slices.ContainsFunc(strings.Fields(value), func(word string) bool {
		_, word, _ = strings.Cut("="+word, "=")
		u, err := url.Parse(word)
		if err != nil || u.User == nil {
			return false
		}
		_, has := u.User.Password()
		return has
	})
}

// defaultDomain renames the default domain of the site to the document's. It is a step of its own:
// domains are known by their names, and a machine without one is in the default domain.
type defaultDomain struct {
	*applier
	docs *[]Domain
}

func (s defaultDomain) apply() error {
	i := slices.IndexFunc(*s.docs, func(d Domain) bool { return d.Default })
	if i < 0 {
		return nil
	}
	want := strings.ToLower(strings.TrimSuffix((*s.docs)[i].Name, "."))
	all, err := s.inv.Domains.List(s.ctx)
	if err != nil || len(all) == 0 || all[0].Name == want {
		return err
	}
	for _, d := range all {
		if d.Name == want {
			s.warn("domain %s is not the default here; the default domain of this site is %s", want, all[0].Name)
			return nil
		}
	}
	before, _ := json.Marshal(Domain{Name: all[0].Name, Default: true}) // a struct of texts always encodes
	after, _ := json.Marshal(Domain{Name: want, Default: true})
	all[0].Name = want
	if _, err := s.inv.Domains.Update(s.ctx, all[0]); err != nil {
		return &Error{"domain", want, err, []any{s.docs, i}}
	}
	s.note("update", "domain", want, before, after)
	return nil
}

func (defaultDomain) prune() error  { return nil }
func (defaultDomain) export() error { return nil }
