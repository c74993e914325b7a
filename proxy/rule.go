package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// A Rule is knowledge about URLs that their responses do not carry. It changes how long kept
// responses with status 200 are reused; what is kept at all, the responses decide.
type Rule struct {
	// URL is a regular expression for the whole URL without its scheme, such as
	// "archive\.example/.*".
	URL string `json:"url"`
	// Fresh is the time for which a response is reused without asking the origin, from its arrival
	// or last validation, if the origin gives no time of its own by max-age, Expires or no-cache. A
	// client can ask for validation earlier. Zero means that each use is validated.
	Fresh time.Duration `json:"fresh"`
	// Immutable is for names that never get other content, such as those with a hash of it: neither
	// origins nor clients shorten Fresh, only [Cache.Purge] does. With it Fresh may be zero, which
	// means 90 days.
	Immutable bool `json:"immutable,omitempty"`
	// Validate has each use validated, whatever time the origin gives. While the origin cannot be
	// reached, the response is used anyway. Fresh does not count.
	Validate bool `json:"validate,omitempty"`
}

const (
	// immutableLife is for names that never get other content. A bound spares the disk what nothing
	// refers to any more.
	immutableLife = 90 * 24 * time.Hour
	// versionLife is for names with a version or date: publishers build again under the same one,
	// and then machines have an index with the new checksum. Within a minute all machines of an
	// installation spare the origin the question, and no operator waits longer for the cure.
	versionLife = time.Minute
)

// PackageRules are the rules for package repositories. Files whose name holds their hash never
// change. Files whose name holds a version are published again now and then, so they are validated
// after a minute, and files with neither at each use; what origin or client says about that counts.
// The indexes that lead to them are validated at each use, so that no machine sees an index that
// does not fit its signature.
func PackageRules() []Rule {
	const apt, tar = `(deb|udeb|ddeb|dsc)`, `(tar|diff)\.[a-z0-9]+`
	return []Rule{
		{URL: `.*/by-hash/(MD5Sum|SHA1|SHA256|SHA512)/[0-9a-f]+`, Immutable: true},                                                         // apt
		{URL: `.*/repodata/[0-9a-f]{32,128}-[^/]*`, Immutable: true},                                                                       // dnf
		{URL: `.*/v2/.*/(blobs|manifests)/sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})`, Immutable: true},                                       // containers
		{URL: `.*/dists/.*(Release|Release\.gpg|(Packages|Sources|Contents-[^/]*|Translation-[^/]*|Index)(\.[a-z0-9]+)?)`, Validate: true}, // apt
		{URL: `.*/repodata/repomd\.xml(\.asc)?`, Validate: true},                                                                           // dnf
		{URL: `.*/streams/v1/[^/]*\.s?json(\.gpg)?`, Validate: true},                                                                       // simplestreams
		{URL: `.*/[^/_]+_[0-9][^/]*\.(` + apt + `|` + tar + `)`, Fresh: versionLife},                                                       // apt: NAME_VERSION_ARCH.deb
		{URL: `.*/[^/]+-[0-9][^/-]*-[^/-]+\.[^/.]+\.rpm`, Fresh: versionLife},                                                              // dnf: NAME-VERSION-RELEASE.ARCH.rpm
		{URL: `.*/ephemeral-v3/.*/[0-9]{8}(\.[0-9]+)?/.*|.*/images/.*/[0-9]{8}(\.[0-9]+)?/[^/]*\.img`, Fresh: versionLife},                 // simplestreams
		{URL: `.*\.(` + apt + `|rpm)|.*/pool/.*\.` + tar},
	}
}

type compiledRule struct {
	url *regexp.Regexp
	Rule
}

func compileRules(rules []Rule) ([]compiledRule, error) {
	compiled := make([]compiledRule, 0, len(rules))
	for _, r := range rules {
		url, err := regexp.Compile(`^(?:https?://)(?:` + r.URL + `)$`)
		if err != nil {
			return nil, fmt.Errorf("proxy: cache rule %q: %w", r.URL, err)
		}
		if r.Fresh < 0 {
			return nil, fmt.Errorf("proxy: cache rule %q: a lifetime is not negative", r.URL)
		}
		if r.Immutable && r.Validate {
			return nil, fmt.Errorf("proxy: cache rule %q: what is immutable is not validated; choose one", r.URL)
		}
		compiled = append(compiled, compiledRule{url, r})
	}
	return compiled, nil
}

func (c *Cache) applyRule(url string, status int, f rfc9111.Freshness) rfc9111.Freshness {
	if status != http.StatusOK {
		return f
	}
	for _, r := range c.rules {
		if r.url.MatchString(url) {
			return r.apply(f)
		}
	}
	return f
}

func (r *Rule) apply(f rfc9111.Freshness) rfc9111.Freshness {
	switch {
	case r.Validate:
		return f.Override(0)
	case r.Immutable:
		return f.Override(cmp.Or(r.Fresh, immutableLife))
	}
	return f.Suggest(r.Fresh)
}
