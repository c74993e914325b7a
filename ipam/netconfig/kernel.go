package netconfig

import (
	"fmt"
	"strings"

	"github.com/gomaas/maas/ipam"
)

// kernel writes arguments for the kernel as dracut's dracut.cmdline(7) has them.
func (r *renderer) kernel() error {
	var args []string
	for _, i := range r.ordered() {
		switch i.Kind {
		case ipam.Physical:
			args = append(args, fmt.Sprintf("ifname=%s:%s", i.Name, i.MAC))
		case ipam.Bond:
			args = append(args, bondArgument(i))
		case ipam.Bridge:
			args = append(args, fmt.Sprintf("bridge=%s:%s", i.Name, strings.Join(i.Parents, ",")))
			if i.Bridge != (Bridge{}) {
				r.warn(i, "the parameters of a bridge are no arguments of the kernel")
			}
		case ipam.VLANInterface:
			args = append(args, fmt.Sprintf("vlan=%s:%s", i.Name, i.Parents[0]))
			if !strings.HasSuffix(i.Name, fmt.Sprintf(".%d", i.VID)) && i.Name != fmt.Sprintf("vlan%d", i.VID) {
				r.warn(i, "the tag %d is read from the name, which is to end in .%d", i.VID, i.VID)
			}
		}
		if i.Kind != ipam.Physical && len(i.MAC) > 0 {
			r.warn(i, "the MAC %s of a %s is no argument of the kernel", i.MAC, i.Kind)
		}
		args = append(args, r.addressArguments(i)...)
	}
	for _, d := range r.DNS {
		args = append(args, "nameserver="+bracketed(d))
	}
	if len(r.Search) > 0 {
		r.out.Warnings = append(r.out.Warnings, "search domains are no arguments of the kernel")
	}
	r.file("cmdline", 0o644, strings.Join(args, " ")+"\n")
	return nil
}

func bondArgument(i Interface) string {
	var options []string
	for _, p := range parameters1(i.Bond) {
		options = append(options, fmt.Sprintf("%s=%v", p.key, p.value))
	}
	out := fmt.Sprintf("bond=%s:%s", i.Name, strings.Join(i.Parents, ","))
	if len(options) > 0 {
		out += ":" + strings.Join(options, ",")
	}
	return out
}

// addressArguments returns ip= and rd.route= of an interface. The kernel's argument has one address
// of each family with its gateway.
func (r *renderer) addressArguments(i Interface) (args []string) {
	mtu := ""
	if i.MTU != 0 {
		mtu = fmt.Sprintf(":%d", i.MTU)
	}
	for _, is4 := range []bool{true, false} {
		addresses, gateway := i.addresses(is4), ""
		for _, route := range i.routes(is4) {
			switch {
			case route.Table != 0:
				r.warn(i, "the route to %s of table %d is no argument of the kernel", route.To, route.Table)
			case route.To.Bits() == 0 && gateway == "" && len(addresses) > 0 && route.Via.IsValid():
				gateway = bracketed(route.Via)
				if route.Metric != 0 {
					r.warn(i, "the metric %d of the default route is no argument of the kernel", route.Metric)
				}
			default:
				net := route.To.Masked().String()
				if !is4 {
					net = fmt.Sprintf("[%s]/%d", route.To.Masked().Addr(), route.To.Bits())
				}
				args = append(args, fmt.Sprintf("rd.route=%s:%s:%s", net, bracketed(route.Via), i.Name))
				if route.Metric != 0 {
					r.warn(i, "the metric %d of the route to %s is no argument of the kernel", route.Metric, route.To)
				}
			}
		}
		for n, a := range addresses {
			if n > 0 {
				r.warn(i, "the further address %s is no argument of the kernel", a)
				continue
			}
			mask := fmt.Sprint(a.Bits())
			if is4 {
				mask = netmask(a)
			}
			args = append(args, fmt.Sprintf("ip=%s::%s:%s::%s:none%s", bracketed(a.Addr()), gateway, mask, i.Name, mtu))
		}
	}
	for _, method := range []struct {
		name string
		on   bool
	}{{"dhcp", i.DHCP4}, {"dhcp6", i.DHCP6}, {"auto6", i.AcceptRA && !i.DHCP6}} {
		if method.on {
			args = append(args, fmt.Sprintf("ip=%s:%s%s", i.Name, method.name, mtu))
		}
	}
	for _, rule := range i.Rules {
		r.warn(i, "the rule from %s to table %d is no argument of the kernel", rule.From, rule.Table)
	}
	return args
}
