package tftp_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/tftp"
)

// Our client reads from servers that others wrote.
func TestForeignServers(t *testing.T) {
	data := randomBytes(1_000_000)
	tests := []struct {
		name    string
		need    netlab.Need
		command func(port, dir string) []string
		window  int
	}{
		{"dnsmasq", netlab.Program("dnsmasq", "dnsmasq-base"), func(port, dir string) []string {
			return []string{"dnsmasq", "-k", "--conf-file=/dev/null", "--pid-file=", "--port=0", "--enable-tftp", "--tftp-port-range=40000,50000",
				"--tftp-root=" + dir, "--user=root", "--interface=eth0", "--bind-interfaces"}
		}, 1},
		{"atftpd", netlab.Program("atftpd", "atftpd"), func(port, dir string) []string {
			return []string{"atftpd", "--daemon", "--no-fork", "--user", "root.root", "--logfile", "/dev/stderr", "--bind-address", "192.0.2.1", "--port", port, dir}
		}, 16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			netlab.Require(t, netlab.Root, tt.need)
			lab := netlab.New(t)
			server, client := lab.NS("server"), lab.NS("client")
			lab.Veth(server, "eth0", client, "eth0")
			server.Addr("eth0", "192.0.2.1/24")
			client.Addr("eth0", "192.0.2.2/24")
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			args := tt.command("69", dir)
			cmd := server.Command(t.Context(), args[0], args[1:]...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			var pc net.PacketConn
			if err := client.Do(func() (err error) { pc, err = net.ListenPacket("udp4", ":0"); return err }); err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			c := tftp.Client{BlockSize: 1428, WindowSize: 16, AskSize: true, Resend: 300 * time.Millisecond, Tries: 20}
			var out bytes.Buffer
			x, err := c.GetFrom(t.Context(), pc, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 69}, "f", &out)
			if err != nil || !bytes.Equal(out.Bytes(), data) {
				t.Fatalf("%v, %d bytes, %+v", err, out.Len(), x)
			}
			if x.Granted.WindowSize != tt.window {
				t.Errorf("granted %q", x.Granted)
			}
		})
	}
}
