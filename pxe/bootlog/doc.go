// Package bootlog receives what machines log while they boot, by syslog and by netconsole, and
// names the usual causes of a boot that stops after its loader.
//
//	s, err := bootlog.New(bootlog.Config{
//		Identify: leases.MACOf, // packets of other addresses are dropped
//		Batches:  func(b bootlog.Batch) { log.Println(b.MAC, b.Lines) },
//	})
//	go s.Run(ctx)             // hands out batches
//	err = s.Serve(ctx, conn)  // UDP port 5247
//	s.Follow(mac, time.Now().Add(time.Hour)) // the machine boots
//
// A machine is heard while it boots: from Follow until the time given there. What it logs at other
// times is dropped, since a boot's last lines are no archive of logs.
//
// The parts work alone: Lines reads a packet, Tail keeps the last lines, and FaultOf names the
// fault that a line reports.
//
//	f, ok := bootlog.FaultOf("IP-Config: no response after 60 secs - giving up")
//	fmt.Println(ok, f.Name) // true dhcp
//
// # What is read
//
// Syslog is RFC 5424 and RFC 3164 in its many dialects, over UDP. Netconsole is the lines of the
// kernel, with or without the header of its extended format. A kernel begins to send with the
// argument netconsole=@/,PORT@ADDRESS/, an installer with one of its own: inst.syslog=ADDRESS:PORT
// (Fedora), log_host=ADDRESS log_port=PORT (Debian).
//
// # Bounds
//
// A packet has 2 KiB, the rest is cut off. A source has a rate of lines, and a machine 4 KiB of
// lines between two batches; older lines give way, except the one that reports the most telling
// fault. They are trimmed when they reach twice that. The number of machines is bounded by
// Config.Machines, and the memory of each by 11 KiB: lines, the beginning of one, and a packet.
//
// All methods of a Server may be called concurrently. UDP has no sender that could be proved: a
// host on the machine's network can forge its lines, so they are shown and decide nothing.
package bootlog
