// Package bmcserve serves machines of any power type as BMCs: to clients of Redfish, of IPMI, of
// MAAS' webhook, and as a power driver of MAAS.
//
//	server, err := bmcserve.New(bmcserve.Config{
//		Power:    bmcserve.Local(controller, targets...),
//		Machines: []string{"web-1", "web-2"},
//		Accounts: []bmcserve.Account{{User: "admin", Password: secret}},
//	})
//	defer server.Close()
//	err = server.Serve(ctx, listener, tlsConfig)     // Redfish and webhooks
//	err = server.ServeIPMI(ctx, packetConn, "web-1") // IPMI 2.0 and 1.5
//
// # Machines and accounts
//
// Machines are named by paths in Redfish (/redfish/v1/Systems/web-1) and webhooks
// (/machines/web-1/on), and by the listener or the user name in IPMI. A user name may end with @
// and a machine, as in admin@web-1: then it is the only machine that the client sees.
//
// Accounts are the server's own; none of the credentials of the real BMCs is known to a client.
// Passwords are compared by IPMI's protocol, so they are held in the clear, and IPMI lets a client
// test guesses on its own: give IPMI accounts long random passwords.
//
// # Requests
//
// A request to switch is accepted within a moment, as a BMC does, and goes on when the client has
// its answer. A failure that shows in this time is the answer; a later one is in the audit. The
// state is read when a client asks, at most once in Config.Fresh for each machine.
//
// A boot device is kept until the machine is switched on, and then handed to its power control, for
// one boot or for all. One that cannot choose what a machine boots from, or not for one boot,
// switches the machine all the same, and the audit says so.
//
// Machines whose power type has virtual media have a CD drive in Redfish, below their system and
// below their manager. An image is inserted when the answer arrives.
//
// # MAAS
//
// [Contract] serves one power type by the contract of MAAS' external power drivers, on a UNIX
// socket whose file mode is the access control.
//
// Tested with ipmitool, FreeIPMI, sushy and gofish as clients.
package bmcserve
