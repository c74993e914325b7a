package virsh

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
	"github.com/gomaas/maas/power/internal/sshdial"
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
	if err := bmchttp.ClientCertificate(config, p, paramTLSCert, paramTLSKey); err != nil {
		return nil, err
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
	client, err := sshdial.Dial(ctx, opConnect, a.host, a.user, p)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	// A forwarded socket needs no program on the host, where the virsh command runs netcat.
	socket, err := client.Dial("unix", a.socket)
	if err != nil {
		client.Close()
		return nil, power.Errorf(power.Connection, opConnect, "the host does not let this user reach %s: %w", a.socket, err)
	}
	return &sshConn{socket, client}, nil
}
