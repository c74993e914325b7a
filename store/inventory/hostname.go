package inventory

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// DomainName brings a name into its canonical form and checks it.
func DomainName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if name == "" || len(name) > 253 {
		return "", invalid(kinds.Domain, name, "name", "must be 1 to 253 characters")
	}
	for _, l := range strings.Split(name, ".") {
		if !label.MatchString(l) {
			return "", invalid(kinds.Domain, name, "name", fmt.Sprintf("has the label %q: a label is 1 to 63 letters, digits and inner hyphens", l))
		}
	}
	return name, nil
}

// HostName brings the name of a machine into its canonical form and checks it: one label (RFC 1123
// section 2.1).
func HostName(kind, name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if !label.MatchString(name) {
		return "", invalid(kind, name, "hostname", "must be 1 to 63 letters, digits and inner hyphens")
	}
	return name, nil
}

// wantedName is a name that a user chooses: operators reserve addresses and have devices.
type wantedName struct {
	kind  string // of the object
	label string
	id    int64  // domain; 0 = the default one
	owner string // user of a reserved address
}

// free refuses a name that has an owner already. The plan of names has the same rule, for names
// that are taken later: see plan.NamePlanner.
func (w wantedName) free(ctx context.Context, tx *store.Tx) error {
	var home int64
	if err := tx.Get(ctx, "SELECT MIN(id) FROM domain", nil, &home); err != nil {
		return err
	}
	w.id = cmp.Or(w.id, home)
	type holder struct {
		what, query string
		args        []any
	}
	holders := []holder{{"a record", "SELECT COUNT(*) FROM dns_record WHERE domain_id = ? AND LOWER(name) = ?", []any{w.id, w.label}}}
	if w.id == home {
		if dhcpsrv.ClientName(w.label, "") == "" {
			return invalid(w.kind, w.label, "hostname", w.label+" is a name by which programs look for services; choose another")
		}
		holders = append(holders, holder{"a rack", "SELECT COUNT(*) FROM rack WHERE LOWER(name) = ?", []any{w.label}},
			holder{"an address of another user", "SELECT COUNT(*) FROM allocation WHERE type = ? AND hostname = ? AND owner <> ?", []any{int64(ipam.AllocUserReserved), w.label, w.owner}})
	}
	for _, kind := range []string{kinds.Machine, kinds.Device} {
		if w.kind == kinds.Device {
			break // the table of nodes has each name of a domain once
		}
		holders = append(holders, holder{"a " + kind, "SELECT COUNT(*) FROM node WHERE kind = ? AND domain_id = ? AND hostname = ?", []any{kind, w.id, w.label}})
	}
	for _, h := range holders {
		n := 0
		if err := tx.Get(ctx, h.query, h.args, &n); err != nil {
			return err
		}
		if n > 0 {
			return invalid(w.kind, w.label, "hostname", w.label+" is "+h.what+"; choose another")
		}
	}
	return nil
}

// addrOfReverse is the address whose reverse record is at a name, also at one in a zone of RFC 2317
// such as "70.64-26.2.0.192.in-addr.arpa".
func addrOfReverse(name string) (netip.Addr, bool) {
	labels := strings.Split(name, ".")
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		return addrOfNibbles(rest, name)
	}
	if len(labels) == 7 && strings.Contains(labels[1], "-") {
		labels = slices.Delete(labels, 1, 2)
	}
	if len(labels) != 6 || labels[4] != "in-addr" || labels[5] != "arpa" {
		return netip.Addr{}, false
	}
	slices.Reverse(labels[:4])
	a, err := netip.ParseAddr(strings.Join(labels[:4], "."))
	return a, err == nil
}

// addrOfNibbles is the address of 32 hexadecimal digits, the last first.
func addrOfNibbles(nibbles, name string) (netip.Addr, bool) {
	digits := []byte(strings.ReplaceAll(nibbles, ".", ""))
	if len(digits) != 32 {
		return netip.Addr{}, false
	}
	slices.Reverse(digits)
	groups := make([]string, 0, 8)
	for g := range slices.Chunk(digits, 4) {
		groups = append(groups, string(g))
	}
	a, err := netip.ParseAddr(strings.Join(groups, ":"))
	return a, err == nil && dnssrv.PTRName(a) == name+"."
}

// idLetters leaves out what is easily misread or could spell words.
const idLetters = "34678abcdefghkmnpqrstwxy"

func pick(n int) int {
	k, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return int(k.Int64())
}

// freeName makes up a host name that is free in a domain.
func freeName(ctx context.Context, tx *store.Tx, domain int64) (string, error) {
	for attempt := range 100 {
		name := adjectives[pick(len(adjectives))] + "-" + animals[pick(len(animals))]
		if attempt >= 10 { // many machines have such names
			name = fmt.Sprintf("%s-%d", name, pick(10000))
		}
		var n int
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM node WHERE hostname = ? AND domain_id = ?", []any{name, domain}, &n); err != nil {
			return "", err
		}
		if n == 0 {
			return name, nil
		}
	}
	return "", errors.New("inventory: no free name was found; give the machine a hostname")
}

// freeSystemID makes up the fixed name of a node.
func freeSystemID(ctx context.Context, tx *store.Tx) (string, error) {
	for range 100 {
		id := make([]byte, 6)
		for i := range id {
			id[i] = idLetters[pick(len(idLetters))]
		}
		var n int
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM node WHERE system_id = ?", []any{string(id)}, &n); err != nil {
			return "", err
		}
		if n == 0 {
			return string(id), nil
		}
	}
	return "", errors.New("inventory: no free system ID was found")
}

// The words of made-up host names: short, easy to say, hard to confuse.
var (
	adjectives = [...]string{
		"able", "alert", "amber", "apt", "azure", "bold", "brave", "brief", "bright", "brisk", "calm", "clean", "clear", "clever", "cool", "coral",
		"cosy", "crisp", "daring", "deep", "eager", "early", "easy", "fair", "fast", "fine", "firm", "fit", "fond", "fresh", "glad", "golden",
		"good", "grand", "great", "happy", "hardy", "humble", "ideal", "jolly", "keen", "kind", "light", "lively", "loyal", "lucky", "merry", "mild",
		"modest", "neat", "nimble", "noble", "open", "polite", "proud", "quick", "quiet", "rapid", "ready", "robust", "sharp", "smart", "solid", "steady",
		"still", "sunny", "sure", "swift", "tidy", "top", "true", "vivid", "warm", "wise", "witty", "young",
	}
	animals = [...]string{
		"ant", "badger", "bat", "bear", "beaver", "bee", "bison", "boar", "camel", "carp", "cat", "cod", "cow", "crab", "crane", "crow",
		"deer", "dog", "dove", "duck", "eagle", "eel", "elk", "emu", "falcon", "finch", "fox", "frog", "gecko", "goat", "goose", "gull",
		"hare", "hawk", "hen", "heron", "horse", "ibex", "jay", "koala", "lark", "lion", "llama", "lynx", "magpie", "mole", "moose", "moth",
		"mouse", "mule", "newt", "orca", "osprey", "otter", "owl", "ox", "panda", "parrot", "pike", "puma", "quail", "rabbit", "raven", "robin",
		"salmon", "seal", "shark", "sheep", "shrew", "skunk", "snail", "stork", "swan", "tern", "tiger", "toad", "trout", "viper", "whale", "wolf",
		"wren", "yak", "zebra",
	}
)
