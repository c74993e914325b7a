package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/internal/bmc"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
)

// machineConsoleCmd is `maas machine console`.
type machineConsoleCmd struct {
	remote
	Name  string `arg:"" help:"Name or system ID; with --file, a machine of the file."`
	File  string `help:"File of maas bmc serve that has the machine, whose BMC this host then reaches by itself." placeholder:"FILE"`
	Steal bool   `help:"Take the console from another client that has it."`
}

// Run runs the command. The console of a machine of the site is opened by the rack that reaches its
// BMC.
func (c machineConsoleCmd) Run(ctx context.Context, stdio stdio) error {
	console, err := c.open(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdio.err, "console of %s; ~. at the beginning of a line detaches\r\n", c.Name)
	restore := rawTerminal(os.Stdin)
	defer restore()
	return attach(ctx, console, os.Stdin, stdio.out)
}

// open attaches to the console, of a machine of the site or of the file.
func (c machineConsoleCmd) open(ctx context.Context) (io.ReadWriteCloser, error) {
	if c.File == "" {
		site, err := c.client()
		if err != nil {
			return nil, err
		}
		return site.Console(ctx, c.Name, c.Steal)
	}
	target, err := c.target()
	if err != nil {
		return nil, err
	}
	controller, err := power.NewController(power.Config{Registry: kinds.All()})
	if err != nil {
		return nil, err
	}
	return controller.Console(ctx, target, c.Steal)
}

// target returns the power control of a machine of the file.
func (c machineConsoleCmd) target() (power.Target, error) {
	cfg, err := bmc.Load(c.File)
	if err != nil {
		return power.Target{}, err
	}
	for _, m := range cfg.Machines {
		if m.Name == c.Name {
			return power.Target{Name: m.Name, Kind: m.Type, Params: m.Params}, nil
		}
	}
	return power.Target{}, fmt.Errorf("%s has no machine %q", c.File, c.Name)
}

// attach connects a console with a terminal until the console ends, the input ends, or the escape
// is typed: a tilde and a dot at the beginning of a line.
func attach(ctx context.Context, console io.ReadWriteCloser, in io.Reader, out io.Writer) error {
	stop := context.AfterFunc(ctx, func() { console.Close() })
	defer stop()
	shown := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, console)
		shown <- err
	}()
	typed := make(chan error, 1)
	go func() { // it may stay in a read of the terminal until the process ends
		_, err := io.Copy(console, &untilEscape{from: in, fresh: true})
		typed <- err
	}()
	var err error
	select {
	case err = <-shown:
		return errors.Join(err, console.Close())
	case err = <-typed:
	}
	err = errors.Join(err, console.Close())
	return errors.Join(err, <-shown)
}

// untilEscape reads what is typed up to the escape. Two tildes are one.
type untilEscape struct {
	from  io.Reader
	fresh bool // at the beginning of a line
	tilde bool // one was read there
}

func (u *untilEscape) Read(b []byte) (int, error) {
	raw := make([]byte, max(1, len(b)/2)) // a tilde that is kept back takes a place later
	n, err := u.from.Read(raw)
	out := 0
	for _, c := range raw[:n] {
		switch {
		case u.tilde && c == '.':
			return out, io.EOF
		case u.tilde:
			u.tilde = false
			b[out] = '~'
			out++
			if c == '~' {
				u.fresh = false
				continue
			}
		case u.fresh && c == '~':
			u.tilde = true
			continue
		}
		b[out] = c
		out++
		u.fresh = c == '\r' || c == '\n'
	}
	return out, err
}

// rawTerminal makes a terminal pass on every key, and returns what undoes it. Anything else than a
// terminal stays as it is.
func rawTerminal(f *os.File) (restore func()) {
	fd := int(f.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	raw := *was
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	_ = unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }
}
