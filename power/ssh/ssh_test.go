package ssh_test

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/ssh"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, chassis *powersim.Chassis) *powersim.BMC {
	t.Helper()
	bmc, err := powersim.ServeSSH(chassis, "root", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return bmc
}

// params are the parameters of a target with changes, given as names and values.
func params(bmc *powersim.BMC, change ...string) power.Params {
	p := maps.Clone(bmc.Target().Params)
	for i := 0; i < len(change); i += 2 {
		p[change[i]] = change[i+1]
	}
	return p
}

func TestSSH(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		bmc := serve(t, chassis)
		return powertest.Harness{Kind: ssh.Kind(), Target: bmc.Target(), Chassis: chassis, Stall: bmc.Stall, EndSessions: bmc.EndSessions}
	})
}

// What is wrong in the settings, or at the host, is one line with a class.
func TestRefusals(t *testing.T) {
	bmc := serve(t, &powersim.Chassis{})
	web, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go func() {
		for {
			conn, err := web.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 400 Bad Request\r\n\r\n"+strings.Repeat("a page ", 100))
			conn.Close()
		}
	}()
	for name, tt := range map[string]struct {
		params power.Params
		class  power.Class
		text   string
	}{
		"another key":     {params(bmc, "ssh_fingerprint", "SHA256:AAAA"), power.Settings, "set ssh_fingerprint to it"},
		"unknown host":    {params(bmc, "ssh_fingerprint", ""), power.Settings, "set ssh_fingerprint to it"},
		"not a key":       {params(bmc, "ssh_key", "hello"), power.Settings, "ssh_key is not"},
		"no such program": {params(bmc, "command_query", "ipmitool power status"), power.Settings, "cannot run the command: ipmitool: not found"},
		"no expression":   {params(bmc, "power_on_regex", "("), power.Settings, "power_on_regex"},
		"not an ssh host": {params(bmc, "power_address", web.Addr().String()), power.Settings, "not an ssh server"},
		"unknown name":    {params(bmc, "command_of", "x"), power.Settings, "command_off"},
		"no user":         {params(bmc, "power_user", ""), power.Settings, "needs the parameter power_user"},
		"a user in it":    {params(bmc, "power_address", "root:secret@host"), power.Settings, "parameter of its own"},
	} {
		_, err := powertest.Controller(t, ssh.Kind()).Query(t.Context(), power.Target{Kind: ssh.Name, Params: tt.params})
		if power.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
	// What has no command is not supported, and a cycle without one is off and on.
	bare := power.Target{Kind: ssh.Name, Params: params(bmc, "command_cycle", "", "command_reset", "", "command_boot_once", "")}
	if err := powertest.Controller(t, ssh.Kind()).Reset(t.Context(), bare); power.ClassOf(err) != power.Unsupported || !strings.Contains(err.Error(), "command_reset") {
		t.Errorf("reset without a command: %v", err)
	}
	for range 2 {
		if result, err := powertest.Controller(t, ssh.Kind()).Cycle(t.Context(), bare, power.Options{}); err != nil || result.State != power.On {
			t.Errorf("cycle without a command: %+v, %v", result, err)
		}
	}
}

// A command that ends without reading its input has not failed, whatever is first: the end or the input.
func TestInputNotRead(t *testing.T) {
	bmc := serve(t, &powersim.Chassis{})
	target := bmc.Target()
	for _, input := range []string{"yes\n", strings.Repeat("more than a channel's window of 2 MiB", 1<<17)} {
		target.Params = params(bmc, "command_input", input)
		for range 50 {
			if state, err := powertest.Controller(t, ssh.Kind()).Query(t.Context(), target); err != nil || state != power.Off {
				t.Fatalf("%d bytes of input: %s, %v", len(input), state, err)
			}
		}
	}
}

func TestTranscript(t *testing.T) {
	bmc := serve(t, &powersim.Chassis{})
	target := bmc.Target()
	target.Params = params(bmc, "command_query", "power status", "command_input", "input-secret")
	var tr power.Transcript
	if _, err := powertest.Controller(t, ssh.Kind()).Query(power.WithTranscript(t.Context(), &tr), target); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := tr.WriteTo(&file); err != nil || strings.Contains(file.String(), "secret") || !strings.Contains(file.String(), "power status") {
		t.Fatalf("%s, %v", file.String(), err)
	}
	played, err := power.ReadTranscript(&file)
	if err != nil {
		t.Fatal(err)
	}
	bmc.Close()
	if state, err := powertest.Controller(t, ssh.Kind()).Query(power.WithTranscript(t.Context(), played), target); err != nil || state != power.Off {
		t.Errorf("played back: %s, %v", state, err)
	}
}

// OpenSSH's server runs the commands of a machine that is a file, with a key pair of ssh-keygen.
func TestOpenSSH(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("/usr/sbin/sshd", "openssh-server"), netlab.Program("ssh-keygen", "openssh-client"))
	dir := t.TempDir()
	for _, name := range []string{"host", "user"} {
		if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-l", "-f", filepath.Join(dir, "host.pub")).Output()
	if err != nil {
		t.Fatal(err)
	}
	pin := strings.Fields(string(out))[1]
	key, err := os.ReadFile(filepath.Join(dir, "user"))
	if err != nil {
		t.Fatal(err)
	}
	address := sshd(t, dir)
	state, input := filepath.Join(dir, "it's on"), filepath.Join(dir, "input")
	target := power.Target{Kind: ssh.Name, Params: power.Params{
		"power_address": address, "power_user": "root", "ssh_key": string(key), "ssh_fingerprint": pin, "power_id": state, "command_input": "pass-phrase",
		"command_on": "cat >" + input + "; touch {id}", "command_off": "rm -f {id}", "command_query": "test -e {id} && echo on || echo off",
		"command_boot_once": "echo {device} >{id}.boot", "command_reset": "cat >&2; exit 3",
	}}
	c := powertest.Controller(t, ssh.Kind())
	for _, want := range []power.State{power.On, power.Off, power.On} {
		if result, err := c.Ensure(t.Context(), target, want, power.Options{Boot: power.Network}); err != nil || result.State != want {
			t.Fatalf("%s: %+v, %v", want, result, err)
		}
	}
	if boot, _ := os.ReadFile(state + ".boot"); string(boot) != "network\n" {
		t.Errorf("boot device %q", boot)
	}
	if given, _ := os.ReadFile(input); string(given) != "pass-phrase" {
		t.Errorf("the command read %q", given)
	}
	if err := c.Reset(t.Context(), target); power.ClassOf(err) != power.ActionFailed || !strings.HasSuffix(err.Error(), "status 3: ***") {
		t.Errorf("a command that fails and repeats its input: %v", err)
	}
	target.Params["power_user"] = "nobody"
	if _, err := c.Query(t.Context(), target); power.ClassOf(err) != power.Auth {
		t.Errorf("another user: %v", err)
	}
}

// sshd starts OpenSSH's server on a free port for root with the key in dir.
func sshd(t *testing.T, dir string) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(address)
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd of Debian separates privileges
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, "user.pub"))
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "authorized")
	if err := os.WriteFile(keys, public, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", filepath.Join(dir, "host"), "-p", port, "-o", "ListenAddress=127.0.0.1",
		"-o", "AuthorizedKeysFile="+keys, "-o", "StrictModes=no", "-o", "PermitRootLogin=prohibit-password", "-o", "PidFile=none", "-o", "UsePAM=no")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v", err)
		}
	}
}
