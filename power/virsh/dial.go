package virsh

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

const opConnect = "connect to libvirt"

// dial connects to the libvirt daemon.
func dial(ctx context.Context, a address, p power.Params) (net.Conn, error) {
	switch a.transport {
	case "unix":
		return dialPlain(ctx, "unix", a.socket)
	// libvirt's plain TCP has neither encryption nor proof of the host: only for networks that are
	// trusted.
	case "tcp":
		return dialPlain(ctx, "tcp", a.host)
	case "tls":
		return dialTLS(ctx, a, p)
	}
	return dialSSH(ctx, a, p)
}

func dialPlain(ctx context.Context, network, where string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, where)
	if err != nil {
		return nil, power.Errorf(power.Connection, opConnect, "%w", err)
	}
	return conn, nil
}

// dialTLS waits for the octet by which libvirt says that it accepts the client's certificate.
func dialTLS(ctx context.Context, a address, p power.Params) (net.Conn, error) {
	config, err := bmchttp.TLSConfig(p)
	if err != nil {
		return nil, err
	}
	if p[paramTLSCert] != "" {
		cert, err := tls.X509KeyPair([]byte(p[paramTLSCert]), []byte(p[paramTLSKey]))
		if err != nil {
			return nil, power.Errorf(power.Settings, "settings", "%s and %s do not belong together, or are not PEM", paramTLSCert, paramTLSKey)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", a.host)
	if err != nil {
		return nil, bmchttp.Transport(ctx, opConnect, err)
	}
	// The octet may never arrive, so ctx must be able to end the read.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 1 {
		conn.Close()
		return nil, power.Errorf(power.Auth, opConnect, "the host does not accept the client certificate")
	}
	return conn, nil
}

// sshConn is a socket on the host, with the ssh connection that it goes through.
type sshConn struct {
	net.Conn
	client *ssh.Client
}

func (c *sshConn) Close() error { return errors.Join(c.Conn.Close(), c.client.Close()) }

func dialSSH(ctx context.Context, a address, p power.Params) (net.Conn, error) {
	auth, err := sshAuth(p)
	if err != nil {
		return nil, err
	}
	check := hostKeyCheck(p[paramSSHPin])
	tcp, err := dialPlain(ctx, "tcp", a.host)
	if err != nil {
		return nil, err
	}
	// The ssh library takes no context; closing the connection ends the handshake.
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()
	conn, chans, reqs, err := ssh.NewClientConn(tcp, a.host, &ssh.ClientConfig{User: a.user, Auth: auth, HostKeyCallback: check.verify})
	if err != nil {
		tcp.Close()
		return nil, classifySSH(ctx, err, check)
	}
	client := ssh.NewClient(conn, chans, reqs)
	// A forwarded socket needs no program on the host, where the virsh command runs netcat.
	socket, err := client.Dial("unix", a.socket)
	if err != nil {
		client.Close()
		return nil, power.Errorf(power.Connection, opConnect, "the host does not let this user reach %s: %w", a.socket, err)
	}
	return &sshConn{socket, client}, nil
}

// defaultKeys are the files that ssh itself tries.
var defaultKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

func sshAuth(p power.Params) ([]ssh.AuthMethod, error) {
	if p[paramSSHKey] != "" {
		key, err := ssh.ParsePrivateKey([]byte(p[paramSSHKey]))
		if err != nil {
			return nil, power.Errorf(power.Settings, "settings", "%s is not an unencrypted private key in PEM", paramSSHKey)
		}
		return []ssh.AuthMethod{ssh.PublicKeys(key)}, nil
	}
	if p[paramPass] != "" {
		// Hosts with PAM often offer keyboard-interactive alone, with the password as its one
		// question.
		return []ssh.AuthMethod{ssh.Password(p[paramPass]), ssh.KeyboardInteractive(answerAll(p[paramPass]))}, nil
	}
	var keys []ssh.Signer
	for _, name := range defaultKeys {
		text, err := os.ReadFile(filepath.Join(sshDir(), name))
		if err != nil {
			continue
		}
		// A key with a passphrase is passed over, as ssh does without an agent or a terminal.
		if key, err := ssh.ParsePrivateKey(text); err == nil {
			keys = append(keys, key)
		}
	}
	return []ssh.AuthMethod{ssh.PublicKeys(keys...)}, nil
}

func answerAll(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, _ []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range answers {
			answers[i] = password
		}
		return answers, nil
	}
}

func sshDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".ssh")
}

// hostKey checks the host's key and keeps its fingerprint for the error.
type hostKey struct {
	pin   string
	known ssh.HostKeyCallback
	seen  string
	bad   bool
}

func hostKeyCheck(pin string) *hostKey {
	if pin != "" {
		return &hostKey{pin: pin}
	}
	known, err := knownhosts.New(filepath.Join(sshDir(), "known_hosts"))
	if err != nil {
		// Without the file no host is known: trusting the first key seen would accept an impostor.
		known = func(string, net.Addr, ssh.PublicKey) error { return errors.New("there is no usable known_hosts file") }
	}
	return &hostKey{known: known}
}

func (h *hostKey) verify(host string, remote net.Addr, key ssh.PublicKey) (err error) {
	// Kept for the error, so that it can be compared with what the host itself shows.
	h.seen = ssh.FingerprintSHA256(key)
	// A pinned key goes before known_hosts: it was given for this machine.
	if h.pin != "" {
		if h.bad = h.pin != h.seen; h.bad {
			return errors.New("the host key has another fingerprint")
		}
		return nil
	}
	err = h.known(host, remote, key)
	h.bad = err != nil
	return err
}

func classifySSH(ctx context.Context, err error, h *hostKey) error {
	switch {
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, opConnect, "%w", ctx.Err())
	case h.bad:
		return power.Errorf(power.Settings, opConnect, "the host is not known by its key %s; if that is right, set %s to it", h.seen, paramSSHPin)
	case isAuth(err):
		return power.Errorf(power.Auth, opConnect, "the host refused the ssh user, password or key")
	}
	return power.Errorf(power.Connection, opConnect, "%w", err)
}

// isAuth goes by the text, since the library has no type for it.
func isAuth(err error) bool { return strings.Contains(err.Error(), "unable to authenticate") }
