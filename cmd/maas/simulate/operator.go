package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

// known says what an operator knows of an object.
type known int

const (
	absent  known = iota // never made, or its deletion was acknowledged
	present              // its creation was acknowledged
	unsure               // a request had an error: it may have been carried out
)

// books hold what operators were told, by the object's name.
type books struct {
	machines map[*host]known
	statics  map[*host]netip.Addr // acknowledged static links
	power    map[*host]bool       // last acknowledged power command; no entry = none
	records  map[string]known
	ips      map[netip.Addr]known
	writes   int // acknowledged
}

func newBooks() books {
	return books{
		machines: make(map[*host]known), statics: make(map[*host]netip.Addr), power: make(map[*host]bool),
		records: make(map[string]known), ips: make(map[netip.Addr]known),
	}
}

// answer holds the answer of a region.
type answer struct {
	code   int // 0 = no region is up
	body   bytes.Buffer
	header http.Header
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) done() bool                  { return a.code/100 == 2 }

// refused reports that the answer promises that nothing was changed.
func (a *answer) refused() bool { return a.code/100 == 4 || a.code == 0 }

// state returns what an operator knows after a request that would lead to a state.
func (a *answer) state(before, after known) known {
	switch {
	case a.done():
		return after
	case a.refused():
		return before
	default:
		return unsure
	}
}

// idPart is the part of a path that differs between sites.
var idPart = regexp.MustCompile("/[0-9a-z]{6}/")

// request asks a region that is up, each in its turn.
func (s *site) request(method, path string, form url.Values) *answer {
	a := &answer{header: make(http.Header)}
	s.calls++
	for i := range s.regions {
		n := s.regionAt(s.calls + i)
		if !n.up() {
			continue
		}
		r, err := http.NewRequest(method, "http://region/MAAS/api/2.0/"+path, strings.NewReader(form.Encode()))
		if err != nil {
			panic(err) // a path that is written here
		}
		if s.opts.plant == lostWrites && method == http.MethodPost && path == "dnsresources/" {
			a.code = http.StatusOK
			return a
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		a.code = http.StatusOK
		n.region.Local().ServeHTTP(a, r)
		s.logf("operator: %s %s at %s: %d", method, idPart.ReplaceAllString(path, "/ID/"), n.name, a.code)
		if a.done() && method != http.MethodGet {
			s.books.writes++
		}
		return a
	}
	return a
}

// inventory returns the inventory of a region that is up; nil = all are down.
func (s *site) inventory() *inventory.Inventory {
	for _, n := range s.regions {
		if n.up() {
			return n.region.Inventory()
		}
	}
	return nil
}

// systemID returns the ID of a host's machine, and of its interface.
func (s *site) systemID(h *host) (id string, iface int64, ok bool) {
	a := s.request(http.MethodGet, "machines/?mac_address="+h.mac.String(), nil)
	var list []struct {
		SystemID   string `json:"system_id"`
		Interfaces []struct {
			ID  int64  `json:"id"`
			MAC string `json:"mac_address"`
		} `json:"interface_set"`
	}
	if !a.done() || json.Unmarshal(a.body.Bytes(), &list) != nil || len(list) != 1 {
		return "", 0, false
	}
	for _, i := range list[0].Interfaces {
		if i.MAC == h.mac.String() {
			return list[0].SystemID, i.ID, true
		}
	}
	return "", 0, false
}

func (s *site) addMachine(n, _ int) {
	h := s.host(n)
	if id, _, ok := s.systemID(h); ok { // it was enlisted
		a := s.request(http.MethodPut, "machines/"+id+"/", url.Values{
			"hostname": {h.name}, "power_type": {"bench"}, "power_parameters_host": {fmt.Sprint(h.n)}, "power_parameters_power_pass": {h.secret()},
		})
		s.books.machines[h] = a.state(s.books.machines[h], present)
		return
	}
	a := s.request(http.MethodPost, "machines/", url.Values{
		"hostname": {h.name}, "architecture": {"amd64/generic"}, "mac_addresses": {h.mac.String()}, "commission": {"false"},
		"power_type": {"bench"}, "power_parameters_host": {fmt.Sprint(h.n)}, "power_parameters_power_pass": {h.secret()},
	})
	s.books.machines[h] = a.state(s.books.machines[h], present)
}

func (s *site) deleteMachine(n, _ int) {
	h := s.host(n)
	id, _, ok := s.systemID(h)
	if !ok {
		return
	}
	// A machine that runs is enlisted again as soon as it asks for anything.
	h.press(false)
	a := s.request(http.MethodDelete, "machines/"+id+"/", nil)
	if s.books.machines[h] = a.state(s.books.machines[h], absent); s.books.machines[h] != present {
		delete(s.books.statics, h)
		delete(s.books.power, h)
	}
}

// staticFor returns the address that a host gets by a static link, outside the dynamic range.
func staticFor(h *host) netip.Addr {
	a := h.hall.segment.Prefix().Addr().As4()
	a[3] = byte(10 + h.n)
	return netip.AddrFrom4(a)
}

func (s *site) giveStatic(n, _ int) {
	h := s.host(n)
	id, iface, ok := s.systemID(h)
	if !ok || s.books.machines[h] != present || s.books.statics[h].IsValid() {
		return
	}
	addr := staticFor(h)
	a := s.request(http.MethodPost, fmt.Sprintf("nodes/%s/interfaces/%d/?op=link_subnet", id, iface), url.Values{
		"mode": {"STATIC"}, "subnet": {fmt.Sprint(h.hall.subnet.ID)}, "ip_address": {addr.String()}, "force": {"true"},
	})
	if a.done() {
		s.books.statics[h] = addr
	}
}

func (s *site) powerBy(n int, op string) {
	h := s.host(n)
	id, _, ok := s.systemID(h)
	if !ok {
		return
	}
	if a := s.request(http.MethodPost, "machines/"+id+"/?op="+op, url.Values{}); a.done() {
		s.books.power[h], h.pressed = op == "power_on", false
	}
}

func (s *site) addRecord(n, b int) {
	name := fmt.Sprint("record", n%8)
	if s.books.records[name] != absent {
		return
	}
	addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(b)})
	a := s.request(http.MethodPost, "dnsresources/", url.Values{"fqdn": {name + ".maas"}, "ip_addresses": {addr.String()}})
	s.books.records[name] = a.state(absent, present)
}

func (s *site) deleteRecord(n, _ int) {
	name := fmt.Sprint("record", n%8)
	if s.books.records[name] != present {
		return
	}
	a := s.request(http.MethodGet, "dnsresources/?name="+name, nil)
	var list []struct {
		ID   int64  `json:"id"`
		FQDN string `json:"fqdn"`
	}
	if !a.done() || json.Unmarshal(a.body.Bytes(), &list) != nil {
		return
	}
	for _, r := range list {
		if r.FQDN == name+".maas" {
			s.books.records[name] = s.request(http.MethodDelete, fmt.Sprintf("dnsresources/%d/", r.ID), nil).state(present, absent)
		}
	}
}

// ipFor returns an address that operators reserve, outside the dynamic range.
func (s *site) ipFor(n int) (netip.Addr, *hall) {
	h := s.halls[n%len(s.halls)]
	a := h.segment.Prefix().Addr().As4()
	a[3] = byte(40 + n%8)
	return netip.AddrFrom4(a), h
}

func (s *site) reserve(n, _ int) {
	addr, hall := s.ipFor(n)
	if s.books.ips[addr] != absent {
		return
	}
	a := s.request(http.MethodPost, "ipaddresses/?op=reserve", url.Values{"subnet": {hall.segment.Prefix().String()}, "ip": {addr.String()}})
	s.books.ips[addr] = a.state(absent, present)
}

func (s *site) unreserve(n, _ int) {
	addr, _ := s.ipFor(n)
	if s.books.ips[addr] != present {
		return
	}
	a := s.request(http.MethodPost, "ipaddresses/?op=release", url.Values{"ip": {addr.String()}})
	s.books.ips[addr] = a.state(present, absent)
}
