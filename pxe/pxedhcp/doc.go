// Package pxedhcp answers the boot question of a DHCP server from the method table of package pxe:
// it is a dhcpsrv.BootSelector.
//
//	dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{}), ...})
//
// That is all when the boot server runs at the DHCP server's address with its usual ports and
// serves all machines. Config changes the table, the port, and where the boot server is; a Selector
// answers one query with Select, for tests and for explaining what a machine would be handed.
//
// A Selector is immutable, answers from memory and may be used from many goroutines. It keeps no
// state and has no errors: a client that matches no method gets no boot data.
package pxedhcp
