// Package sshdial opens the SSH connections of drivers: to hosts whose key is known, as a user with
// a password or a private key.
package sshdial

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/gomaas/maas/power"
)

// The parameters that Dial reads.
const (
	ParamPass = "power_pass"
	ParamKey  = "ssh_key"
	ParamPin  = "ssh_fingerprint"
)

// Params describes the parameters but for the password.
func Params() []power.Param {
	return []power.Param{
		{Name: ParamKey, Label: "Private key of the ssh user, in PEM; the keys of the rack's user, when empty", Secret: true, Multiline: true},
		{Name: ParamPin, Label: "Fingerprint of the host's ssh key, as ssh prints it; known_hosts of the rack's user, when empty"},
	}
}

// Dial connects to host:port and authenticates. The host's key must be the pinned one or a known
// one.
func Dial(ctx context.Context, op, address, user string, p power.Params) (*ssh.Client, error) {
	auth, err := methods(p)
	if err != nil {
		return nil, err
	}
	check := hostKeyCheck(p[ParamPin])
	tcp, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, power.Errorf(power.Connection, op, "%w", err)
	}
	// The ssh library takes no context; closing the connection ends the handshake.
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	defer stop()
	conn, chans, reqs, err := ssh.NewClientConn(tcp, address, &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: check.verify})
	if err != nil {
		tcp.Close()
		return nil, classify(ctx, op, err, check)
	}
	return ssh.NewClient(conn, chans, reqs), nil
}

// defaultKeys are the files that ssh itself tries.
var defaultKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

func methods(p power.Params) ([]ssh.AuthMethod, error) {
	if p[ParamKey] != "" {
		key, err := ssh.ParsePrivateKey([]byte(p[ParamKey]))
		if err != nil {
			return nil, power.Errorf(power.Settings, "settings", "%s is not an unencrypted private key in PEM", ParamKey)
		}
		return []ssh.AuthMethod{ssh.PublicKeys(key)}, nil
	}
	if p[ParamPass] != "" {
		// Hosts with PAM often offer keyboard-interactive alone, with the password as its one
		// question.
		return []ssh.AuthMethod{ssh.Password(p[ParamPass]), ssh.KeyboardInteractive(answerAll(p[ParamPass]))}, nil
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

func classify(ctx context.Context, op string, err error, h *hostKey) error {
	switch {
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	case h.bad:
		return power.Errorf(power.Settings, op, "the host is not known by its key %s; if that is right, set %s to it", h.seen, ParamPin)
	// By the text, since the library has no type for it.
	case strings.Contains(err.Error(), "unable to authenticate"):
		return power.Errorf(power.Auth, op, "the host refused the ssh user, password or key")
	// Another protocol's greeting, or an end without one: every try reads the same.
	case strings.Contains(err.Error(), "overflow reading version string"), strings.Contains(err.Error(), "no version string"):
		return power.Errorf(power.Settings, op, "what answers is not an ssh server; see the port of power_address")
	}
	return power.Errorf(power.Connection, op, "%w", err)
}
