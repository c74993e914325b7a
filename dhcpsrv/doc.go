// Package dhcpsrv is a DHCPv4 server to embed: leases that survive, boot answers by firmware, and configuration that
// changes without a restart.
package dhcpsrv
