package pdu

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
	"github.com/gomaas/maas/power/internal/outlet"
)

// Name is the power type's name.
const Name = "pdu"

// The parameters, by the names that MAAS users know.
const (
	paramAddress  = "power_address"
	paramOutlet   = "node_outlet"
	paramOutletID = "outlet_id" // the same in MAAS' dli
	paramType     = "pdu_type"
	paramUser     = "power_user"
	paramPass     = "power_pass"
	paramVersion  = "snmp_version"
	paramPrivacy  = "snmp_privacy_pass"
	paramAuth     = "snmp_auth"
)

// Kinds returns the kind "pdu" and its aliases.
func Kinds() []power.Kind {
	return []power.Kind{
		kind(Name, "Power distribution unit", paramOutlet, slices.Concat([]string{digitalLoggers}, slices.Sorted(maps.Keys(makes)))...),
		kind("apc", "American Power Conversion (APC) PDU", paramOutlet, "apc", "apc-rpdu2", "apc-masterswitch", "RPDU", "MASTERSWITCH"),
		kind("eaton", "Eaton PDU", paramOutlet, "eaton"),
		kind("raritan", "Raritan PDU", paramOutlet, "raritan"),
		kind("dli", "Digital Loggers PDU", paramOutletID, digitalLoggers),
	}
}

// synonyms are the types of MAAS' power type apc.
var synonyms = map[string]string{"RPDU": "apc", "MASTERSWITCH": "apc-masterswitch"}

// kind declares a power type for some makes. With one make, or with the first as default, there is
// nothing to choose.
func kind(name, title, outletParam string, types ...string) power.Kind {
	params := []power.Param{{Name: paramAddress, Label: "Address of the PDU, with a port if it is not the usual one", Required: true}}
	switch {
	case name == Name:
		params = append(params, power.Param{Name: paramType, Label: "Make of the PDU", Required: true, Choices: types})
	case len(types) > 1:
		params = append(params, power.Param{Name: paramType, Label: "Type of PDU", Default: types[0], Choices: types})
	}
	params = append(params,
		power.Param{Name: outletParam, Label: "Outlets of the machine, such as 7 or 7,8; 2.7 is outlet 7 of unit 2", Required: true, Scope: power.ScopeNode},
		outlet.Param())
	web := name == Name || types[0] == digitalLoggers
	if types[0] != digitalLoggers || name == Name {
		params = append(params,
			power.Param{Name: paramVersion, Label: "Version of SNMP", Default: "1", Choices: []string{"1", "2c", "3"}},
			power.Param{Name: paramAuth, Label: "Authentication of SNMP version 3", Default: "SHA", Choices: slices.Sorted(maps.Keys(authentications))},
			power.Param{Name: paramPrivacy, Label: "Password of the encryption (AES) of SNMP version 3", Secret: true})
	}
	params = append(params,
		power.Param{Name: paramUser, Label: "User, for SNMP version 3 and HTTP"},
		power.Param{Name: paramPass, Label: "SNMP community, private when empty; or the password of the user", Secret: true})
	if web {
		params = append(params, bmchttp.Params()...)
	}
	return power.Kind{
		Name: name, Title: title, Params: params,
		Open: func(ctx context.Context, p power.Params) (power.Driver, error) {
			return open(ctx, p, outletParam, types[0])
		},
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], "") },
	}
}

func open(ctx context.Context, p power.Params, outletParam, make string) (power.Driver, error) {
	if p[paramType] != "" {
		make = p[paramType]
	}
	if s, ok := synonyms[make]; ok {
		make = s
	}
	delay := outlet.Delay(p)
	if make == digitalLoggers {
		outlets, err := outletsOf(outletParam, p[outletParam], 1, nil)
		if err != nil {
			return nil, err
		}
		return openWeb(ctx, p, outlets, delay)
	}
	m, ok := makes[make]
	if !ok {
		return nil, power.Errorf(power.Settings, "settings", "%s %q is not known", paramType, make)
	}
	outlets, err := outletsOf(outletParam, p[outletParam], m.depth(), m.unit)
	if err != nil {
		return nil, err
	}
	return openSNMP(ctx, p, m, outlets, delay)
}

// outletsOf reads a list of outlets. Each has depth numbers, of which all but the last may be left
// out.
func outletsOf(param, text string, depth int, unit []int) (out []string, err error) {
	for _, word := range strings.Split(text, ",") {
		word = strings.TrimSpace(word)
		parts := strings.Split(word, ".")
		if len(parts) != 1 && len(parts) != depth {
			return nil, power.Errorf(power.Settings, "settings", "%s: %q has %d numbers; outlets of this make have 1 or %d", param, word, len(parts), depth)
		}
		for i, part := range parts {
			n, err := strconv.ParseUint(part, 10, 16)
			if err != nil || n == 0 && i == len(parts)-1 {
				return nil, power.Errorf(power.Settings, "settings", "%s: %q is not the number of an outlet", param, word)
			}
			parts[i] = strconv.FormatUint(n, 10)
		}
		if len(parts) == 1 {
			for i := range unit {
				parts = slices.Insert(parts, i, strconv.Itoa(unit[i]))
			}
		}
		if full := strings.Join(parts, "."); !slices.Contains(out, full) {
			out = append(out, full)
		}
	}
	return out, nil
}

// webBase is the URL of a switch with a web service. Such switches have no TLS of their own unless
// it was set up.
func webBase(text string) (string, error) {
	a, err := address.ParseHTTP(paramAddress, text)
	if err != nil {
		return "", err
	}
	if !strings.Contains(text, "://") {
		a.Scheme = "http"
	}
	return a.URL(), nil
}
