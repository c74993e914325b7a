package proxy

import (
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
	// or last validation. Zero means that each use is validated; while the origin cannot be
	// reached, the response is used anyway. With a time, clients cannot force a validation: only
	// [Cache.Purge] does.
	Fresh time.Duration `json:"fresh"`
}

// immutable is for names that never get other content.
const immutable = 90 * 24 * time.Hour

// PackageRules are the rules for package repositories: files whose name holds their hash or version
// never change, and the indexes that lead to them are validated, so that no machine sees an index
// that does not fit its signature.
func PackageRules() []Rule {
	return []Rule{
		{URL: `.*/by-hash/(MD5Sum|SHA1|SHA256|SHA512)/[0-9a-f]+`, Fresh: immutable},                                        // apt
		{URL: `.*/pool/.*\.(deb|udeb|ddeb|dsc|(tar|diff)\.[a-z0-9]+)`, Fresh: immutable},                                   // apt
		{URL: `.*/dists/.*(Release|Release\.gpg|(Packages|Sources|Contents-[^/]*|Translation-[^/]*|Index)(\.[a-z0-9]+)?)`}, // apt
		{URL: `.*/repodata/[0-9a-f]{32,128}-[^/]*`, Fresh: immutable},                                                      // dnf
		{URL: `.*/repodata/repomd\.xml(\.asc)?`},                                                                           // dnf
		{URL: `.*\.rpm`, Fresh: immutable},                                                                                 // dnf
		{URL: `.*/streams/v1/[^/]*\.s?json(\.gpg)?`},                                                                       // simplestreams
		{URL: `.*/ephemeral-v3/.*/[0-9]{8}(\.[0-9]+)?/.*|.*/images/.*/[0-9]{8}(\.[0-9]+)?/[^/]*\.img`, Fresh: immutable},   // simplestreams
	}
}

type compiledRule struct {
	url   *regexp.Regexp
	fresh time.Duration
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
		compiled = append(compiled, compiledRule{url, r.Fresh})
	}
	return compiled, nil
}

func (c *Cache) applyRule(url string, status int, f rfc9111.Freshness) rfc9111.Freshness {
	if status != http.StatusOK {
		return f
	}
	for _, r := range c.rules {
		if r.url.MatchString(url) {
			return f.Override(r.fresh)
		}
	}
	return f
}
