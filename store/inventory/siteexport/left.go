package siteexport

import (
	"maps"
	"strings"

	"github.com/gomaas/maas/store/inventory/setting"
)

// reasons turns lists of objects and fields by reason into reasons by object or field.
func reasons(parts ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, by := range parts {
		for why, names := range by {
			for name := range strings.FieldsSeq(names) {
				out[name] = why
			}
		}
	}
	return out
}

// joined adds reasons; those of later maps replace those of earlier ones.
func joined(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// noSettings are the reasons of the settings that only racks and regions have.
var noSettings = func() map[string]string {
	out := map[string]string{}
	add := func(why string, names ...string) {
		for _, name := range names {
			out["setting "+name] = why
		}
	}
	add("racks have the proxy; set up another one", setting.ProxyNames...)
	add("racks discover the network; the server does not", setting.DiscoveryNames[:]...)
	add("the boot server has what machines boot", setting.KernelOpts, setting.BootConfigured)
	add("racks share and bound the addresses of dynamic ranges; the server does not", setting.Takeover, setting.CircuitQuota, setting.LinkQuota, setting.Exhaustion, setting.EnlistMax)
	add("router advertisements are of another program, such as radvd", setting.RouterAdvertisements)
	add("of DNS; export it to a DNS server: bind or dnsmasq", setting.UpstreamDNS, setting.DNSTrustedACL, setting.DNSSEC, setting.DNSTransfer, setting.DNSNotify, setting.DNSTTL,
		setting.SecondaryNS, setting.InternalDomain, setting.DNSUpdate, setting.DNSCatalog, setting.DNSFollow)
	add("of DHCP; export it to a DHCP server: dhcpd, kea or dnsmasq", setting.NTPServers)
	return out
}()

// noSite are the objects and fields that no server of networks has.
var noSite = reasons(map[string]string{
	"networks have no groups of machines; export them to ansible": "zone pool tag",
	"has no counterpart":                                               "space fabric vlan",
	"the boot server has what machines boot":                           "image boot_profile user_data subnet.disabled_boot_architectures",
	"power control has no counterpart; export it to ansible":           "power",
	"racks have the proxy, and discover the network":                   "subnet.deny_proxy subnet.active_discovery",
	"users have no counterpart":                                        "address.owner device.owner device.parent",
	"export it to ansible":                                             "machine.zone machine.pool machine.architecture machine.description device.zone device.description",
	"the interface itself is configured on the machine":                "interface.type interface.vlan interface.parents interface.disabled interface.tags interface.params",
	"racks serve a domain, and give keys to programs":                  "domain.racks",
	"the secrets of TSIG keys are not in a document; add keys by hand": "domain.allow_update",
})

// noDHCP has the reasons of what DHCP servers do not have.
var noDHCP = joined(noSettings, noSite, reasons(map[string]string{
	"of DNS; export it to a DNS server: bind or dnsmasq": "domain record subnet.rdns address.hostname machine.domain device.domain",
	"nothing is written for a reserved address":          "address.comment",
	"the shared network has the name of its VLAN":        "fabric vlan",
}))

// noDnsmasq is noDHCP for a server that has DNS, too.
var noDnsmasq = joined(noDHCP, reasons(map[string]string{
	"dnsmasq has no such setting": "domain.ttl domain.racks domain subnet.rdns",
}), map[string]string{
	"setting " + setting.DNSTrustedACL:  "dnsmasq answers the networks of its interfaces: list them as interface",
	"setting " + setting.DNSSEC:         "dnsmasq needs trust anchors for it: see its options dnssec and trust-anchor",
	"setting " + setting.DNSTransfer:    "dnsmasq transfers no zones; export them to bind",
	"setting " + setting.DNSNotify:      "dnsmasq transfers no zones; export them to bind",
	"setting " + setting.SecondaryNS:    "dnsmasq transfers no zones; export them to bind",
	"setting " + setting.InternalDomain: "the domain has the names of racks",
	"setting " + setting.DNSUpdate:      "dnsmasq updates no other server",
	"setting " + setting.DNSCatalog:     "dnsmasq transfers no zones; export them to bind",
	"setting " + setting.DNSFollow:      "dnsmasq transfers no zones; export them to bind",
})

// noDHCPObjects are the objects of DHCP, which DNS servers do not have.
var noDHCPObjects = reasons(map[string]string{
	"of DHCP; export it to a DHCP server: dhcpd, kea or dnsmasq": "subnet.unmanaged dhcp_class range route reserved_ip snippet vlan subnet.name subnet.description subnet.vlan subnet.gateway_ip subnet.dns_servers subnet.deny_dns subnet.relays subnet.delegated_prefixes interface.mac_address",
	"the host has the name of the machine or device":             "interface.name",
	"nothing is written for it":                                  "address.comment",
})

// noDNS has the reasons of what DNS servers do not have.
var noDNS = joined(noSettings, noSite, noDHCPObjects, map[string]string{
	"setting " + setting.DNSTransfer:    "allow-transfer is of each zone here: set allow_transfer of domains",
	"setting " + setting.DNSNotify:      "also-notify is of each zone here: set notify of domains",
	"setting " + setting.InternalDomain: "the domain has the names of racks",
	"setting " + setting.DNSUpdate:      "DHCP servers update zones; see their ddns options",
	"setting " + setting.DNSCatalog:     "list the zones in a catalog by hand: see catalog-zones of BIND",
	"setting " + setting.DNSFollow:      "name the catalogs of other servers by hand: see catalog-zones of BIND",
})

// noHosts has the reasons of what hosts files do not have.
var noHosts = joined(noSettings, noSite, noDHCPObjects, reasons(map[string]string{
	"hosts files have names and addresses alone": "domain subnet reserved_ip.comment record.ttl",
}))

// noAnsible has the reasons of what an inventory of Ansible does not have.
var noAnsible = joined(noSettings, reasons(map[string]string{
	"an inventory has hosts and their networks": "domain space fabric dhcp_class range route reserved_ip record address snippet image boot_profile user_data tag.subnets",
}))
