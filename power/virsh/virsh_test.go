package virsh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/libvirttest"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/virsh"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func daemon(t *testing.T, extra ...string) (socket string) {
	t.Helper()
	netlab.Require(t, netlab.Program("libvirtd", "libvirt-daemon"))
	return libvirttest.Daemon(t, extra...)
}

// exercise switches the machine through all states.
func exercise(t *testing.T, params power.Params) {
	t.Helper()
	c, target := powertest.Controller(t, virsh.Kind()), power.Target{Kind: virsh.Name, Params: params}
	for _, want := range []power.State{power.Off, power.On, power.Off} {
		result, err := c.Ensure(t.Context(), target, want, power.Options{})
		if err != nil || result.State != want {
			t.Fatalf("%s: %+v, %v", want, result, err)
		}
		if state, err := c.Query(t.Context(), target); err != nil || state != want {
			t.Errorf("query: %s, %v; want %s", state, err, want)
		}
	}
	if result, err := c.Cycle(t.Context(), target, power.Options{}); err != nil || result.State != power.On {
		t.Errorf("cycle when off: %+v, %v", result, err)
	}
	if result, err := c.Cycle(t.Context(), target, power.Options{}); err != nil || len(result.Steps) != 2 {
		t.Errorf("cycle: %+v, %v", result, err)
	}
}

func TestUnixSocket(t *testing.T) {
	uri := libvirttest.URI(daemon(t))
	exercise(t, power.Params{"power_address": uri, "power_id": "test"})
	_, err := powertest.Controller(t, virsh.Kind()).Query(t.Context(), power.Target{Kind: virsh.Name, Params: power.Params{"power_address": uri, "power_id": "vm9"}})
	if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "vm9") {
		t.Errorf("unknown machine: %v", err)
	}
}

// sshHost is an ssh server that lets a user reach sockets, as sshd does. It returns its address and its fingerprint.
func sshHost(t *testing.T) (address, fingerprint string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if c.User() != "admin" || string(password) != "secret" {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	config.AddHostKey(key)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			done.Go(func() { serveSSH(conn, config) })
		}
	})
	t.Cleanup(func() { ln.Close(); done.Wait() })
	return ln.Addr().String(), ssh.FingerprintSHA256(key.PublicKey())
}

func serveSSH(tcp net.Conn, config *ssh.ServerConfig) {
	defer tcp.Close()
	_, channels, requests, err := ssh.NewServerConn(tcp, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		var where struct {
			Path     string
			Reserved string
			Unused   uint32
		}
		if c.ChannelType() != "direct-streamlocal@openssh.com" || ssh.Unmarshal(c.ExtraData(), &where) != nil {
			_ = c.Reject(ssh.UnknownChannelType, "only sockets")
			continue
		}
		socket, err := net.Dial("unix", where.Path)
		if err != nil {
			_ = c.Reject(ssh.ConnectionFailed, err.Error())
			continue
		}
		channel, reqs, err := c.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		go func() { _, _ = io.Copy(channel, socket); channel.Close() }()
		go func() { _, _ = io.Copy(socket, channel); socket.Close() }()
	}
}

func TestSSH(t *testing.T) {
	host, fingerprint := sshHost(t)
	socket := daemon(t)
	params := func(change ...string) power.Params {
		p := power.Params{
			"power_address": "test+ssh://admin@" + host + "/default?socket=" + socket, "power_id": "test",
			"power_pass": "secret", "ssh_fingerprint": fingerprint,
		}
		for i := 0; i < len(change); i += 2 {
			p[change[i]] = change[i+1]
		}
		return p
	}
	exercise(t, params())
	for name, tt := range map[string]struct {
		params power.Params
		class  power.Class
		says   string
	}{
		"wrong password": {params("power_pass", "other"), power.Auth, "refused"},
		"wrong host key": {params("ssh_fingerprint", "SHA256:AAAA"), power.Settings, fingerprint},
		"unknown host":   {params("ssh_fingerprint", ""), power.Settings, fingerprint},
		"bad key":        {params("ssh_key", "hello"), power.Settings, "ssh_key"},
		"no socket":      {params("power_address", "test+ssh://admin@"+host+"/default?socket=/none"), power.Connection, "/none"},
		"nobody there":   {params("power_address", "test+ssh://admin@127.0.0.1:1/default"), power.Connection, "connect"},
	} {
		_, err := powertest.Controller(t, virsh.Kind()).Query(t.Context(), power.Target{Kind: virsh.Name, Params: tt.params})
		if power.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v (%s)", name, err, power.ClassOf(err))
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"vm", "qemu+smoke://host/system", "qemu+tcp:///system", "qemu+ssh://u:p@host/system"} {
		_, err := powertest.Controller(t, virsh.Kind()).Query(t.Context(), power.Target{Kind: virsh.Name, Params: power.Params{"power_address": address, "power_id": "x"}})
		if power.ClassOf(err) != power.Settings {
			t.Errorf("%s: %v", address, err)
		}
	}
}
