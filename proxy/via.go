package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// loops reports whether a request has been here before (RFC 9110, 7.6.3).
func (p *Proxy) loops(h http.Header) bool {
	for _, line := range h["Via"] {
		for member := range strings.SplitSeq(line, ",") {
			if parts := strings.Fields(member); len(parts) > 1 && parts[1] == p.name {
				return true
			}
		}
	}
	return false
}

// addVia says that a message of that protocol version came by here.
func (p *Proxy) addVia(h http.Header, major, minor int) {
	version := strconv.Itoa(major)
	if major < 2 {
		version += "." + strconv.Itoa(minor)
	}
	h["Via"] = append(slices.Clip(h["Via"]), version+" "+p.name)
}

// introduce gives a request for an origin the fields by which it says where it comes from.
func (p *Proxy) introduce(r *http.Request) {
	policy := p.policy.Load()
	// A client could else pass for another one at origins that believe these fields.
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		delete(r.Header, name)
	}
	if policy.Forwarded {
		r.Header["Forwarded"] = []string{p.forwarded(r)}
	}
	if !policy.HideVia {
		p.addVia(r.Header, r.ProtoMajor, r.ProtoMinor)
	}
}

// forwarded is the element of RFC 7239 for a request.
func (p *Proxy) forwarded(r *http.Request) string {
	client := clientOf(r)
	node := client.String()
	if client.Is6() {
		node = `"[` + client.WithZone("").String() + `]"`
	}
	return fmt.Sprintf("for=%s;by=_%s;proto=http", node, p.name)
}

// clientOf returns the address of a request's sender, not valid if it has none.
func clientOf(r *http.Request) netip.Addr {
	client, _ := netip.ParseAddrPort(r.RemoteAddr)
	return client.Addr().Unmap()
}

// lastHop answers OPTIONS and TRACE whose hops are used up, and counts the others down (RFC 9110,
// 7.6.2). TRACE is refused, since its answer would show the fields that other proxies added.
func lastHop(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodTrace {
		http.Error(w, "TRACE is not forwarded", http.StatusMethodNotAllowed)
		return true
	}
	if r.Method != http.MethodOptions {
		return false
	}
	left, err := strconv.ParseUint(r.Header.Get("Max-Forwards"), 10, 31)
	if err != nil {
		return false
	}
	if left == 0 {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	r.Header.Set("Max-Forwards", strconv.FormatUint(left-1, 10))
	return false
}
