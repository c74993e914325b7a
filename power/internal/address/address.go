// Package address reads the addresses of BMCs as people write them, in one way for all kinds of
// power control.
//
//	a, err := address.Parse("power_address", "[2001:db8::9]:8443/")
//	dial(a.HostPort("443"))
//
// An IPv6 address may be bare or in brackets, with a zone or without. Spaces around the text and
// slashes at its end have no meaning. What cannot be meant is refused with the reason.
package address

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/gomaas/maas/power"
)

// An Address is an address of a BMC taken apart.
type Address struct {
	Scheme string // such as "https"; empty = none was written
	Host   string // a name, or an IP address without brackets; an IPv6 address may have a zone
	Port   string // empty = none was written
	Path   string // with a slash at the beginning and none at the end; empty = none
}

// Parse reads an address. The error is of class [power.Settings] and names the parameter.
func Parse(param, text string) (Address, error) {
	a, reason := parse(strings.TrimSpace(text))
	if reason != "" {
		return Address{}, refuse(param, text, reason)
	}
	return a, nil
}

// refuse shows the text without what may hold a secret: the user, and a query.
func refuse(param, text, reason string) error {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		scheme, _, ok := strings.Cut(text[:i], "://")
		if text = "***" + text[i:]; ok {
			text = scheme + "://" + text
		}
	}
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		text = text[:i+1] + "***"
	}
	return power.Errorf(power.Settings, "settings", "%s %q: %s", param, text, reason)
}

// ParseHost reads the address of a BMC that does not speak HTTP: host, or host:port.
func ParseHost(param, text string) (Address, error) {
	a, err := Parse(param, text)
	switch {
	case err != nil:
		return Address{}, err
	// The port of a web page is not the port of the protocol, so nothing of a URL is guessed from.
	case a.Scheme != "":
		return Address{}, refuse(param, text, "it is a URL; write the host, or host:port")
	case a.Path != "":
		return Address{}, refuse(param, text, "a path has no meaning here; write the host, or host:port")
	}
	return a, nil
}

// ParseHTTP reads the address of a BMC that speaks HTTP: a URL, or a host with or without a port
// and a path.
func ParseHTTP(param, text string) (Address, error) {
	a, err := Parse(param, text)
	if err != nil {
		return Address{}, err
	}
	if a.Scheme == "" {
		a.Scheme = "https"
	}
	if a.Scheme != "https" && a.Scheme != "http" {
		return Address{}, refuse(param, text, "the scheme is neither https nor http")
	}
	return a, nil
}

// CompleteURL reads a URL that may have a query, and returns it as package net/url can parse it:
// its host may be an IPv6 address without brackets. The error does not show the URL, since people
// put keys into queries.
func CompleteURL(param, text string) (string, error) {
	text = strings.TrimSpace(text)
	end := len(text)
	if _, rest, ok := strings.Cut(text, "://"); ok {
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			end = len(text) - len(rest) + i
		}
	}
	a, reason := parse(text[:end])
	if reason == "" && a.Scheme != "http" && a.Scheme != "https" {
		reason = "it does not begin with http:// or https://"
	}
	complete := a.URL() + text[end:]
	if _, err := url.Parse(complete); err != nil && reason == "" {
		reason = "its path or query is malformed"
	}
	if reason != "" {
		return "", power.Errorf(power.Settings, "settings", "%s is not a complete http or https URL: %s", param, reason)
	}
	return complete, nil
}

// HostPort is the address to dial, with a default port.
func (a Address) HostPort(port string) string {
	if a.Port != "" {
		port = a.Port
	}
	return net.JoinHostPort(a.Host, port)
}

// URL is the address as a URL that package net/url can parse.
func (a Address) URL() string {
	host := a.Host
	if strings.Contains(host, ":") {
		// RFC 6874: the percent sign before a zone is escaped in a URL.
		host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
	}
	if a.Port != "" {
		host += ":" + a.Port
	}
	return a.Scheme + "://" + host + a.Path
}

// Identity is the same for all ways to write one address, given the default port.
func Identity(text, port string) string {
	a, reason := parse(strings.TrimSpace(text))
	if reason != "" {
		return text
	}
	if a.Scheme == "http" && a.Port == "" {
		port = "80"
	}
	return strings.ToLower(a.HostPort(port)) + a.Path
}

// parse returns the reason why the text is no address; empty = it is one.
func parse(text string) (a Address, reason string) {
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		a.Scheme, rest = strings.ToLower(scheme), after
		if a.Scheme == "" || strings.ContainsAny(a.Scheme, "/:@[]%? ") {
			return a, "it has no scheme before ://"
		}
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		return a, "a query or fragment has no meaning here; leave out what begins with " + rest[i:i+1]
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest, a.Path = rest[:i], strings.TrimRight(rest[i:], "/")
	}
	if _, err := url.Parse("//host" + a.Path); err != nil || strings.ContainsAny(a.Path, " \\") {
		return a, "the path is not one of a URL"
	}
	if strings.Contains(rest, "@") {
		// A password in an address would be shown and logged.
		return a, "it holds a user; that has a parameter of its own"
	}
	if a.Scheme != "" {
		// RFC 6874: in a URL the percent sign before a zone is escaped. Elsewhere %25 is interface
		// 25.
		if before, zone, ok := strings.Cut(rest, "%25"); ok && strings.Trim(zone, "]") != "" {
			rest = before + "%" + zone
		}
	}
	if a.Host, a.Port, reason = split(rest); reason != "" {
		return a, reason
	}
	return a, checkHost(a.Host)
}

// split takes the port off.
func split(text string) (host, port, reason string) {
	if after, ok := strings.CutPrefix(text, "["); ok {
		host, after, ok = strings.Cut(after, "]")
		ip, err := netip.ParseAddr(host)
		switch {
		case !ok:
			return "", "", "the bracket is not closed"
		case err != nil || !ip.Is6():
			return "", "", "there is no IPv6 address in the brackets"
		case after == "":
			return host, "", ""
		case after[0] != ':':
			return "", "", "after the bracket only :port may follow"
		}
		port, reason = checkPort(after[1:])
		return host, port, reason
	}
	// One colon is a port's; an IPv6 address has at least two.
	if strings.Count(text, ":") > 1 {
		// Without brackets the last part belongs to the address.
		if _, err := netip.ParseAddr(text); err != nil {
			return "", "", "it has too many colons; write an IPv6 address with a port as [address]:port"
		}
		return text, "", ""
	}
	host, port, ok := strings.Cut(text, ":")
	if ok {
		port, reason = checkPort(port)
	}
	return host, port, reason
}

func checkPort(text string) (port, reason string) {
	// Written as a number again, so that 0443 and 443 are one identity.
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", "it has no usable port; that is a number from 1 to 65535"
	}
	return strconv.FormatUint(n, 10), ""
}

// checkName returns the reason if a character is none of a name.
func checkName(text, what string) (reason string) {
	for _, r := range text {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return "the " + what + " has the character " + strconv.QuoteRune(r)
		}
	}
	return ""
}

// checkHost returns the reason why no resolver would find the host.
func checkHost(host string) (reason string) {
	if host == "" {
		return "it names no host"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		switch {
		case ip.IsUnspecified(), ip.Unmap() == netip.AddrFrom4([4]byte{}):
			return "that is no host's address"
		case ip.Is4In6() && ip.Zone() != "":
			return "an IPv4 address has no zone"
		}
		return checkName(ip.Zone(), "zone")
	}
	if reason := checkName(host, "host's name"); reason != "" {
		return reason
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return "the parts of a host's name have 1 to 63 characters"
		}
	}
	// A name whose last part is a number is a mistyped address; some resolvers would read 192.0.2
	// as 192.0.0.2.
	if _, err := strconv.ParseUint(labels[len(labels)-1], 0, 64); err == nil {
		return "it is not a complete IPv4 address"
	}
	return ""
}
