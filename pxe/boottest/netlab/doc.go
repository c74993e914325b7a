// Package netlab gives a Go test real networks: Linux network namespaces joined by veth pairs and
// bridges, in which foreign programs (DHCP clients, QEMU, dig) meet servers of this project.
//
// A test first says what it needs and then builds its lab; everything made is removed when the test
// ends:
//
//	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
//	lab := netlab.New(t)
//	server, client := lab.NS("server"), lab.NS("client")
//	lab.Veth(server, "eth0", client, "eth0")
//	server.Addr("eth0", "192.0.2.1/24")
//	err := server.Do(func() error { conn, err = net.ListenPacket("udp4", ":67"); return err })
//	out, err := client.Command(ctx, "udhcpc", "-n", "-q", "-i", "eth0").CombinedOutput()
//
// [Require] skips the test with the reason when something is absent. With MAAS_TEST_REQUIRE=all in
// the environment it fails instead, so that a continuous-integration run cannot pass by skipping.
//
// Sockets keep the namespace they were opened in, so a server under test opens its sockets inside
// [NS.Do] and serves on them from ordinary goroutines.
package netlab
