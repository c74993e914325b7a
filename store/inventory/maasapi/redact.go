package maasapi

import (
	"maps"
	"net/http"
	"regexp"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// masked stands for a secret in answers.
const masked = "***"

// URLs carry secrets in two places: user information, as that of a proxy, and a query, as the key
// of a webhook.
var (
	userInfo   = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"\\@]*@`)
	queryOfURL = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s?#"]*\?)[^\s#"]*`)
)

// seesSecrets reports whether the user who made a request is shown the secrets in URLs. Values that
// are secret as a whole are shown to no user.
func seesSecrets(r *http.Request) bool { return accountOf(r).Role == inventory.RoleAdmin }

// withoutSecrets masks the secrets of URLs in a setting or parameter.
func withoutSecrets(text string) string {
	return queryOfURL.ReplaceAllString(userInfo.ReplaceAllString(text, "${1}"+masked+"@"), "${1}"+masked)
}

// withoutUsers masks user information in a whole answer. The queries of its URLs are links between
// pages, most of them.
func withoutUsers(body []byte) []byte { return userInfo.ReplaceAll(body, []byte("${1}"+masked+"@")) }

// shownParams returns the parameters of power control as the user who made a request sees them.
func shownParams(r *http.Request, params map[string]string) map[string]string {
	if seesSecrets(r) {
		return params
	}
	out := maps.Clone(params)
	for name, value := range out {
		out[name] = withoutSecrets(value)
	}
	return out
}

// shownDocument masks the secrets of a site document that an administrator does not read.
func shownDocument(r *http.Request, doc sitedoc.Document) sitedoc.Document {
	if seesSecrets(r) {
		return doc
	}
	for name, value := range doc.Settings {
		doc.Settings[name] = withoutSecrets(value)
	}
	for i := range doc.Machines {
		if p := doc.Machines[i].Power; p != nil {
			p.Parameters = shownParams(r, p.Parameters)
		}
	}
	return doc
}
