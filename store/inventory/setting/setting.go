// Package setting names the settings of a site, most of them as MAAS does.
//
//	err := inv.Settings.Set(ctx, setting.UpstreamDNS, "192.0.2.53 192.0.2.54")
//
// A setting is text. Lists are separated by spaces or commas. A setting that was never set, or is
// empty, has its default.
package setting

import "slices"

// Settings of boots and DHCP.
const (
	BootProfile = "boot_profile" // JSON of pxe.Profile, see inventory.Profiles.SetDefault
	KernelOpts  = "kernel_opts"  // at the end of each machine's kernel command line
	// BootConfigured says what machines boot whose system reported that its configuration is
	// complete: "disk", the default, or "profile" as before. Not of MAAS.
	BootConfigured        = "boot_configured"
	BootConfiguredProfile = "profile"     // a value of it
	NTPServers            = "ntp_servers" // addresses are given to DHCP clients; names are not used yet
	// Takeover is the time in seconds after which a rack uses its partner's half of the addresses
	// too, counted from the loss of the partner: from 60; default 3600.
	Takeover     = "dhcp_takeover"
	CircuitQuota = "dhcp_circuit_quota" // dynamic addresses behind one circuit of a relay agent; default 0, no limit
	// LinkQuota is the same for clients without a circuit: directly on a link, or behind a relay
	// that reports none.
	LinkQuota = "dhcp_link_quota"
	// RouterAdvertisements names the subnets on whose links racks send router advertisements, as
	// prefixes; "all" is every link with DHCP, "auto" the same as long as no other router is heard
	// there, and "none" is no link. Default auto. A rack never offers itself as a router. The
	// advertisements announce DHCPv6 where it is served; elsewhere they announce that there is no
	// router, so that firmware that waits for one continues at once.
	RouterAdvertisements = "router_advertisements"
	// EnlistMax is the number of machines of a VLAN that are kept although no user has touched them
	// since they booted; a further one takes the place of the oldest. Default 1000; 0 = machines
	// are not enlisted. Not of MAAS.
	EnlistMax = "enlist_max"
	// Exhaustion is the number of free addresses of a subnet below which a notice is given; default
	// 16, 0 = never.
	Exhaustion = "subnet_ip_exhaustion_threshold_count"
)

// Settings of DNS.
const (
	UpstreamDNS    = "upstream_dns"         // servers that are asked for names outside the site
	DNSTrustedACL  = "dns_trusted_acl"      // prefixes that may use DNS besides the site's subnets
	DNSSEC         = "dnssec_validation"    // "auto", "yes" or "no"; see dnssrv.Validation; default auto
	DNSTransfer    = "dns_transfer_acl"     // prefixes and TSIG keys of secondaries that may transfer zones
	DNSNotify      = "dns_notify"           // secondaries, address or address:port, that are notified of each change
	DNSTTL         = "default_dns_ttl"      // seconds; default 30
	SecondaryNS    = "dns_secondary_ns"     // names of further servers of the site's zones, which transfer them
	InternalDomain = "maas_internal_domain" // domain with a name for the racks of each subnet; default [DefaultInternalDomain]

	// DNSUpdate are zones of other DNS servers that get the names of leases by dynamic updates:
	// ZONE=SERVER or ZONE=SERVER/KEY, where SERVER is the address of the zone's primary server,
	// with a port if it is not 53, and KEY a TSIG key. Not of MAAS.
	DNSUpdate = "dns_update"
	// DNSCatalog is the name of a zone in which racks list the zones that they serve (RFC 9432),
	// for secondaries; "" = none. Not of MAAS.
	DNSCatalog = "dns_catalog"
	// DNSFollow are catalogs of other DNS servers whose zones racks serve, too: CATALOG=SERVER or
	// CATALOG=SERVER/KEY, as in DNSUpdate. Not of MAAS.
	DNSFollow = "dns_follow"
)

// Exported returns the names of the settings that a document of the site has, sorted. The boot
// profile is not among them, since documents have it in another form.
func Exported() []string {
	names := slices.Concat(ProxyNames, DiscoveryNames[:], []string{
		KernelOpts, BootConfigured, NTPServers, Takeover, CircuitQuota, LinkQuota, RouterAdvertisements, Exhaustion, EnlistMax,
		UpstreamDNS, DNSTrustedACL, DNSSEC, DNSTransfer, DNSNotify, DNSTTL, SecondaryNS, InternalDomain,
		DNSUpdate, DNSCatalog, DNSFollow,
	})
	slices.Sort(names)
	return names
}

// Values of [RouterAdvertisements] besides prefixes.
const (
	AdvertiseAuto = "auto"
	AdvertiseAll  = "all"
	AdvertiseNone = "none"
)

// DefaultInternalDomain is the default of InternalDomain.
const DefaultInternalDomain = "maas-internal"

// Settings of the proxy.
const (
	EnableHTTPProxy = "enable_http_proxy" // whether machines are given a proxy; default true
	HTTPProxy       = "http_proxy"        // external proxy that machines are given instead of the racks'; "" = none
	UsePeerProxy    = "use_peer_proxy"    // machines are given the racks' proxies, and these go through http_proxy; default false
	ProxyPort       = "maas_proxy_port"   // of the racks' proxies; default [DefaultProxyPort]
	PreferV4Proxy   = "prefer_v4_proxy"   // connect to IPv4 addresses of origins first; default false
	NoProxy         = "no_proxy"          // what racks reach without a parent: hosts, .domains and networks
	ProxyRoutes     = "proxy_routes"      // what racks serve of mirrors: PREFIX=ORIGIN, such as /ubuntu/=http://archive.example/ubuntu/; not of MAAS
	ProxyUplink     = "proxy_uplink"      // bytes a second that each rack takes from origins, shared fairly; default 0 = no limit; not of MAAS

	// ProxyTunnelPorts are the ports that CONNECT may go to, such as 443 8000-8999; default 443.
	// Not of MAAS.
	ProxyTunnelPorts = "proxy_tunnel_ports"
	// ProxyPorts are the ports that plain requests may go to; default 80, 443 and all from 1024.
	// Not of MAAS.
	ProxyPorts = "proxy_ports"
	// ProxyParents are the parents for some hosts only: HOST=URL, such as
	// .corp.example=http://proxy.corp.example:3128, where the host is as in NoProxy. Parents of the
	// same host are tried in order. Not of MAAS.
	ProxyParents = "proxy_parents"
	// AllowProxyTo are networks and addresses of the site that machines may reach through the
	// proxy; default none. BMCs, racks and regions stay out of reach, and of a subnet with BMCs
	// only addresses can be allowed. Not of MAAS.
	AllowProxyTo = "allow_proxy_to"
)

// ProxyNames are the names of all settings of the proxy.
var ProxyNames = []string{EnableHTTPProxy, HTTPProxy, UsePeerProxy, ProxyPort, PreferV4Proxy, NoProxy, ProxyRoutes, ProxyUplink,
	ProxyTunnelPorts, ProxyPorts, ProxyParents, AllowProxyTo}

// DefaultProxyPort is the port that MAAS uses.
const DefaultProxyPort = 8000

// Settings of discovery.
const (
	// NetworkDiscovery turns listening off with "disabled".
	NetworkDiscovery = "network_discovery"
	// ActiveDiscoveryInterval is the interval at which subnets with active discovery are swept, in
	// seconds; 0 = never, default three hours.
	ActiveDiscoveryInterval = "active_discovery_interval"
	// DiscoveryIgnore lists MACs, beginnings of MACs, addresses and prefixes that are not reported.
	DiscoveryIgnore = "discovery_ignore"
	// DiscoveryVLANs is the action for an unknown VLAN tag: "create" makes a VLAN in the fabric of
	// the link, as MAAS does, "propose" only logs it.
	DiscoveryVLANs = "discovery_vlans"
)

// DiscoveryNames are the names of all settings of discovery.
var DiscoveryNames = [...]string{NetworkDiscovery, ActiveDiscoveryInterval, DiscoveryIgnore, DiscoveryVLANs}
