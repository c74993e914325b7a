package ssh

import (
	"context"
	"errors"
	"io"

	"golang.org/x/crypto/ssh"

	"github.com/gomaas/maas/power"
)

// Console implements power.Consoler: the command runs at a terminal. Whether several clients have
// it at a time is up to the command.
func (d *driver) Console(ctx context.Context, _ bool) (io.ReadWriteCloser, error) {
	const op = "open the console"
	if d.p[paramConsole] == "" {
		return nil, power.Errorf(power.Unsupported, op, "%s is not set", paramConsole)
	}
	if d.client == nil {
		return nil, power.Errorf(power.Unsupported, op, "a transcript has no console")
	}
	session, err := d.client.NewSession()
	if err != nil {
		return nil, failed(ctx, op, err)
	}
	in, ierr := session.StdinPipe()
	out, oerr := session.StdoutPipe()
	// Programs such as ipmitool want a terminal; without echo, since the machine's console has its
	// own.
	perr := session.RequestPty("vt100", 24, 80, ssh.TerminalModes{ssh.ECHO: 0})
	if err := errors.Join(ierr, oerr, perr, session.Start(d.command(paramConsole, ""))); err != nil {
		session.Close()
		return nil, failed(ctx, op, err)
	}
	return &console{out, in, session}, nil
}

// console is a command at a terminal.
type console struct {
	io.Reader
	io.Writer
	session *ssh.Session
}

// Close ends the command.
func (c *console) Close() error {
	if err := c.session.Close(); !errors.Is(err, io.EOF) { // EOF: it has ended by itself
		return err
	}
	return nil
}
