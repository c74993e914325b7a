package maasapi

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// networkSets resolves the network constraints of an allocation. One value may name many networks,
// as space:dmz does, so each becomes a set of IDs.
type networkSets struct {
	inv    *inventory.Inventory
	vlanOf map[int64]int64 // VLANs of subnets
}

// specifiers returns the specifiers in the values of a field. Commas part them, except before a
// term that narrows or widens the one before it, as in fabric:lab,&vid:7.
func specifiers(f *form.Form, field string) (out []string) {
	f.Used(field)
	for _, value := range f.Values[field] {
		for _, chunk := range strings.Fields(value) {
			for i, term := range strings.Split(chunk, ",") {
				switch {
				case term == "":
				case i > 0 && len(out) > 0 && strings.ContainsAny(term[:1], "&|!"):
					out[len(out)-1] += "," + term
				default:
					out = append(out, term)
				}
			}
		}
	}
	return out
}

// subnets returns the IDs of the subnets that a specifier names. None is a mistake if it names a
// subnet itself; an empty space is no mistake.
func (n networkSets) subnets(ctx context.Context, spec string) (map[int64]bool, error) {
	all, err := n.inv.SubnetsOf(ctx, spec)
	ids := make(map[int64]bool)
	for _, s := range all {
		ids[s.ID] = true
	}
	return ids, err
}

// vlans returns the IDs of the VLANs that a specifier names.
func (n networkSets) vlans(ctx context.Context, spec string) (map[int64]bool, error) {
	all, err := n.inv.VLANsOf(ctx, spec)
	ids := make(map[int64]bool)
	for _, v := range all {
		ids[v.ID] = true
	}
	return ids, err
}

// onSubnets reports whether the interface has a link to one of the subnets.
func onSubnets(i inventory.Interface, ids map[int64]bool) bool {
	return slices.ContainsFunc(i.Links, func(l ipam.Allocation) bool { return ids[l.SubnetID] })
}

// onVLANs reports whether the interface, or a subnet that it has a link to, is on one of the VLANs.
func (n networkSets) onVLANs(i inventory.Interface, ids map[int64]bool) bool {
	return ids[i.VLANID] || slices.ContainsFunc(i.Links, func(l ipam.Allocation) bool { return l.SubnetID != 0 && ids[n.vlanOf[l.SubnetID]] })
}

// interfaceTest is one condition of a labeled constraint.
type interfaceTest func(m inventory.Machine, i inventory.Interface) bool

// labeled is a constraint that one interface of the machine must meet: all keys, and of the values
// of each key any.
type labeled struct {
	label string
	keys  []string
	tests map[string][]interfaceTest // by key
}

// meets reports whether an interface meets the constraint.
func (l labeled) meets(m inventory.Machine, i inventory.Interface) bool {
	return all(l.keys, func(key string) bool {
		return slices.ContainsFunc(l.tests[key], func(t interfaceTest) bool { return t(m, i) })
	})
}

// interfaceConstraints reads interfaces=, in MAAS' syntax:
//
//	LABEL:KEY=VALUE[,KEY=VALUE...][;LABEL:...]
func (n networkSets) interfaceConstraints(ctx context.Context, f *form.Form) (out []labeled, err error) {
	const field = "interfaces"
	f.Used(field)
	for _, value := range f.Values[field] {
		for _, part := range strings.Split(value, ";") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			label, rest, ok := strings.Cut(part, ":")
			if label = strings.TrimSpace(label); !ok || label == "" || strings.ContainsAny(label, "=,") {
				return nil, form.Invalid(field, strconv.Quote(part)+" is not LABEL:KEY=VALUE, as in 0:space=dmz,mode=static")
			}
			if slices.ContainsFunc(out, func(l labeled) bool { return l.label == label }) {
				return nil, form.Invalid(field, "the label "+strconv.Quote(label)+" is there twice")
			}
			l := labeled{label: label, tests: make(map[string][]interfaceTest)}
			for _, pair := range strings.Split(rest, ",") {
				key, value, ok := strings.Cut(pair, "=")
				key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
				if !ok || key == "" || value == "" {
					return nil, form.Invalid(field, strconv.Quote(pair)+" is not KEY=VALUE")
				}
				test, err := n.interfaceTest(ctx, key, value)
				if err != nil {
					return nil, err
				}
				if l.tests[key] == nil {
					l.keys = append(l.keys, key)
				}
				l.tests[key] = append(l.tests[key], test)
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// interfaceTest returns the condition of one key and value.
func (n networkSets) interfaceTest(ctx context.Context, key, value string) (interfaceTest, error) {
	wrong := func(err error) (interfaceTest, error) {
		return nil, form.Invalid("interfaces", key+"="+value+": "+plain(err))
	}
	switch key {
	case "space", "fabric", "vlan", "vid", "fabric_class":
		spec := map[string]string{"fabric_class": "class"}[key]
		if spec == "" {
			spec = key
		}
		if key == "vlan" { // a value without a key is an ID or a name first, and vlan:7 would be the tag 7
			spec = ""
		}
		if spec != "" && !strings.HasPrefix(value, spec+":") {
			value = spec + ":" + value
		}
		ids, err := n.vlans(ctx, value)
		if err != nil {
			return wrong(err)
		}
		return func(_ inventory.Machine, i inventory.Interface) bool { return n.onVLANs(i, ids) }, nil
	case "subnet", "subnet_cidr":
		if key == "subnet_cidr" {
			value = "cidr:" + strings.TrimPrefix(value, "cidr:")
		}
		ids, err := n.subnets(ctx, value)
		if err != nil {
			return wrong(err)
		}
		return func(_ inventory.Machine, i inventory.Interface) bool { return onSubnets(i, ids) }, nil
	case "ip":
		addr, err := netip.ParseAddr(value)
		if err != nil {
			return wrong(err)
		}
		return linked(func(l ipam.Allocation) bool { return l.Addr == addr }), nil
	case "mode":
		mode, err := ipam.ParseLinkMode(strings.ToLower(value))
		if err != nil {
			return wrong(err)
		}
		return linked(func(l ipam.Allocation) bool { return l.Type != ipam.AllocDiscovered && modeOf(l) == mode.String() }), nil
	}
	return plainTest(key, value)
}

// linked is the condition that one of the interface's links meets another one.
func linked(holds func(ipam.Allocation) bool) interfaceTest {
	return func(_ inventory.Machine, i inventory.Interface) bool { return slices.ContainsFunc(i.Links, holds) }
}

// plainTest returns the condition of a key whose value is compared as it is.
func plainTest(key, value string) (interfaceTest, error) {
	switch key {
	case "id":
		return func(_ inventory.Machine, i inventory.Interface) bool { return strconv.FormatInt(i.ID, 10) == value }, nil
	case "name":
		return func(_ inventory.Machine, i inventory.Interface) bool { return i.Name == value }, nil
	case "type":
		return func(_ inventory.Machine, i inventory.Interface) bool {
			return strings.EqualFold(i.Kind.String(), value)
		}, nil
	case "tag":
		return func(_ inventory.Machine, i inventory.Interface) bool { return slices.Contains(i.Tags, value) }, nil
	case "hostname":
		return func(m inventory.Machine, _ inventory.Interface) bool {
			return strings.EqualFold(m.Hostname, value) || strings.EqualFold(m.FQDN, value)
		}, nil
	case "link_speed": // no agent runs on machines that could measure it
		return nil, &unsupported{"allocating by the link_speed of interfaces"}
	}
	return nil, form.Invalid("interfaces", strconv.Quote(key)+" is none of id, name, hostname, type, tag, ip, mode, subnet, subnet_cidr, space, fabric, fabric_class, vlan and vid")
}

// matchInterfaces returns the interfaces that meet each constraint, by label; ok is false if one is
// met by none.
func matchInterfaces(m inventory.Machine, constraints []labeled) (ids map[string][]int64, ok bool) {
	ids = make(map[string][]int64)
	for _, c := range constraints {
		for _, i := range m.Interfaces {
			if c.meets(m, i) {
				ids[c.label] = append(ids[c.label], i.ID)
			}
		}
		if len(ids[c.label]) == 0 {
			return nil, false
		}
	}
	return ids, true
}
