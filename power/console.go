package power

import (
	"context"
	"io"
	"sync"
)

// A Consoler can attach to the serial console of a machine.
type Consoler interface {
	// Console attaches; ctx bounds that alone. Reads return what the machine prints, and io.EOF
	// when the BMC ends the console; writes type. Close detaches. Where one client at a time has
	// the console, steal takes it from another. The driver is used for nothing else then, and
	// closed after the console.
	Console(ctx context.Context, steal bool) (io.ReadWriteCloser, error)
}

// Console attaches to the serial console of a machine, in a session of its own: requests to the BMC
// go on beside it. The console may be closed more than once, also by several goroutines.
//
//	console, err := c.Console(ctx, target, false)
//	go io.Copy(os.Stdout, console)
//	io.Copy(console, os.Stdin)
//	console.Close()
func (c *Controller) Console(ctx context.Context, t Target, steal bool) (io.ReadWriteCloser, error) {
	const op = "open the console"
	kind, err := c.cfg.Registry.Kind(t.Kind)
	if err != nil {
		return nil, err
	}
	params, err := kind.Check(t.Params)
	if err != nil {
		return nil, err
	}
	s := &session{kind: kind, params: params, log: c.cfg.Log.With("machine", t.Name, "kind", t.Kind)}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	consoler, ok := s.driver.(Consoler)
	if !ok {
		s.close(ctx, closeTimeout)
		return nil, Errorf(Unsupported, op, "power type %s has no console", t.Kind)
	}
	console, err := consoler.Console(ctx, steal)
	if err != nil {
		s.close(ctx, closeFailedTimeout)
		return nil, err
	}
	a := &attached{ReadWriteCloser: console}
	a.detach = sync.OnceValue(func() error {
		err := console.Close()
		s.close(context.Background(), closeTimeout)
		return err
	})
	return a, nil
}

// attached is a console with the driver that it came from.
type attached struct {
	io.ReadWriteCloser
	detach func() error
}

// Close detaches, and closes the driver, once: the side that reads and the side that types may both
// end it, at the same time.
func (a *attached) Close() error { return a.detach() }
