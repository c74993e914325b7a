// Package libvirttest starts a real libvirtd for tests.
//
//	uri := libvirttest.URI(libvirttest.Daemon(t))
package libvirttest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

// Machine is the name of the machine that the driver "test" of libvirt has, in memory only.
const Machine = "test"

// URI returns the address of the driver "test" behind a socket.
func URI(socket string) string { return "test+unix:///default?socket=" + socket }

// Daemon starts libvirtd, with further lines of its configuration, until the test ends. It returns
// the path of the socket. The caller makes sure that the program exists.
func Daemon(t *testing.T, extra ...string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "virsh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "libvirtd.conf")
	text := "unix_sock_dir = \"" + dir + "\"\nauth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n" + strings.Join(extra, "\n") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("libvirtd", "--config", config, "--pid-file", filepath.Join(dir, "pid"))
	if len(extra) > 0 {
		cmd.Args = append(cmd.Args, "--listen")
	}
	cmd.Dir = dir
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"} {
		cmd.Env = append(cmd.Env, name+"="+dir)
	}
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	if os.Geteuid() == 0 { // as root it would look after the whole host
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("libvirtd said:\n%s", &said)
		}
	})
	socket = filepath.Join(dir, "libvirt-sock")
	Connect(t, socket)
	return socket
}

// Connect returns a connection to the driver "test" that stays open until the test ends: that
// driver forgets everything with the last one.
func Connect(t *testing.T, socket string) *libvirt.Libvirt {
	t.Helper()
	return ConnectTo(t, socket, "test:///default")
}

// ConnectTo is Connect for another driver, by the URI that the daemon has for it.
func ConnectTo(t *testing.T, socket, uri string) *libvirt.Libvirt {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			l := libvirt.NewWithDialer(dialers.NewAlreadyConnected(conn))
			if err = l.ConnectToURI(libvirt.ConnectURI(uri)); err == nil {
				t.Cleanup(func() { _ = l.Disconnect() })
				return l
			}
			conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("libvirtd did not come up: %v", err)
		}
	}
}

// BootDevices returns the boot devices of a definition, first ones first.
func BootDevices(definition string) string {
	var devices []string
	for _, part := range strings.Split(definition, "<boot dev='")[1:] {
		device, _, _ := strings.Cut(part, "'")
		devices = append(devices, device)
	}
	return strings.Join(devices, " ")
}
