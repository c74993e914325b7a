package cli

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

// settle is the pause in which a watch collects further changes before it reads again.
const settle = 100 * time.Millisecond

// watched writes the output of show: once or, with watch, again after each change of the site until
// ctx ends. It skips output that equals the last one.
func (c remote) watched(ctx context.Context, io stdio, watch bool, cl client.Client, show func(writer) error) error {
	if !watch {
		return show(io.out)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- cl.Follow(ctx, func(u client.Update) error {
			if u.Kind != "event" {
				select {
				case changed <- struct{}{}:
				default:
				}
			}
			return nil
		})
	}()
	var last []byte
	for {
		select {
		case err := <-ended:
			return err
		case <-changed:
		}
		var now bytes.Buffer
		if err := show(&now); err != nil {
			if ctx.Err() != nil { // an interrupt ends a watch without an error, even during a request
				err = nil
			}
			stop()
			<-ended
			return err
		}
		if !bytes.Equal(now.Bytes(), last) {
			c.again(io, last != nil, now.Bytes())
			last = now.Bytes()
		}
		select {
		case <-ctx.Done():
		case <-time.After(settle):
		}
	}
}

// again replaces the text on a terminal and appends elsewhere.
func (c remote) again(io stdio, before bool, text []byte) {
	switch {
	case isTerminal(io.out):
		fmt.Fprint(io.out, clearScreen)
	case before && c.Output == "yaml":
		fmt.Fprintln(io.out, "---")
	case before && c.Output == "table":
		fmt.Fprintln(io.out)
	}
	_, _ = io.out.Write(text) // if the reader of a pipe has exited, SIGPIPE ends the program, as for all output
}
