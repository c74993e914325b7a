package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gomaas/maas/power"
)

// maxOutput bounds what is read of a command's output; the rest is thrown away.
const maxOutput = 1 << 20

// driver is a connection to the host of the commands.
type driver struct {
	p          power.Params
	client     *ssh.Client
	on, off    *regexp.Regexp
	transcript *power.Transcript
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	output, err := d.run(ctx, "read the power state", paramQuery, "")
	switch {
	case err != nil:
		return power.Unknown, err
	// Off is first: "off" in a sentence with the word "on" is more telling than the reverse.
	case d.off.Match(output):
		return power.Off, nil
	case d.on.Match(output):
		return power.On, nil
	}
	return power.Unknown, nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	param := paramOff
	if target == power.On {
		param = paramOn
	}
	_, err := d.run(ctx, "set power "+string(target), param, "")
	return err
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error {
	_, err := d.run(ctx, "power cycle", paramCycle, "")
	return err
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error {
	_, err := d.run(ctx, "reset", paramReset, "")
	return err
}

// SoftOff implements power.SoftOffer.
func (d *driver) SoftOff(ctx context.Context) error {
	_, err := d.run(ctx, "soft shutdown", paramSoft, "")
	return err
}

// SetBootOnce implements power.Booter.
func (d *driver) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	_, err := d.run(ctx, "set the boot device", paramBoot, device)
	return err
}

// BootOnce implements power.Booter. There is no common form in which hosts print a boot device.
func (d *driver) BootOnce(context.Context) (power.BootDevice, error) {
	return "", power.Errorf(power.Unsupported, "read the boot device", "no command prints it")
}

// Close implements power.Closer.
func (d *driver) Close(context.Context) error {
	if d.client == nil {
		return nil
	}
	return d.client.Close()
}

// layer names commands in a transcript. A request is the command; its input is not recorded.
const layer = "ssh"

// run runs the command of a parameter and returns its output.
func (d *driver) run(ctx context.Context, op, param string, device power.BootDevice) ([]byte, error) {
	if d.p[param] == "" {
		return nil, power.Errorf(power.Unsupported, op, "%s is not set", param)
	}
	command := d.command(param, device)
	if d.transcript.Replays() {
		e, err := d.transcript.Replay(layer, command)
		return []byte(e.Answer), err
	}
	began := time.Now()
	output, err := d.execute(ctx, op, command)
	e := power.Exchange{Time: began, Took: time.Since(began), Layer: layer, Request: command, Answer: string(output)}
	if err != nil {
		e.Err = err.Error()
	}
	d.transcript.Record(e)
	return output, err
}

// command returns the command of a parameter with its words filled in.
func (d *driver) command(param string, device power.BootDevice) string {
	return strings.NewReplacer("{id}", quote(d.p[paramID]), "{device}", quote(string(device))).Replace(d.p[param])
}

func (d *driver) execute(ctx context.Context, op, command string) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { d.client.Close() }) // ends the command's session
	defer stop()
	session, err := d.client.NewSession()
	if err != nil {
		return nil, failed(ctx, op, err)
	}
	defer session.Close()
	var out, complaint limited
	session.Stdout, session.Stderr = &out, &complaint
	err = runWithInput(session, command, d.p[paramInput])
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case !errors.As(err, &exit):
		return nil, failed(ctx, op, err)
	}
	reason := d.masked(firstLine(complaint.String()))
	// 126 and 127 are the shell's: the command is no program of the host.
	if exit.ExitStatus() == 126 || exit.ExitStatus() == 127 {
		return nil, power.Errorf(power.Settings, op, "the host cannot run the command: %s", reason)
	}
	return nil, power.Errorf(power.ActionFailed, op, "the command ended with status %d: %s", exit.ExitStatus(), reason)
}

// runWithInput runs a command. A command may end before it has read its input, which is no failure:
// the session's own Stdin would return the error of that write.
func runWithInput(session *ssh.Session, command, input string) error {
	in, err := session.StdinPipe()
	if err != nil {
		return err
	}
	if err := session.Start(command); err != nil {
		return err
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = io.WriteString(in, input)
		in.Close()
	})
	defer writing.Wait() // the end of the command ends a write
	return session.Wait()
}

func failed(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return power.Errorf(power.Connection, op, "%w", err)
}

// masked is a text of the host without the input of its command, which programs may repeat.
func (d *driver) masked(text string) string {
	if secret := strings.TrimSpace(d.p[paramInput]); secret != "" {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line[:min(len(line), 200)]
}

// quote makes a text one word of a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// limited keeps the beginning of what is written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

// ReadFrom hides the method of bytes.Buffer, which has no limit.
func (l *limited) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{l}, r)
}
