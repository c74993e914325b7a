//go:build linux

package qemutest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Machine is a running VM.
type Machine struct {
	VM
	cmd    *exec.Cmd
	cancel context.CancelFunc
	exited chan struct{}
	out    bytes.Buffer // what QEMU itself says; read after exited
}

// Start switches a machine on inside ns and switches it off when the test ends. When the test
// failed by then, its console is in the test's log.
func Start(t testing.TB, ns *netlab.NS, vm VM) *Machine {
	t.Helper()
	if vm.Dir == "" {
		vm.Dir = t.TempDir()
	}
	args, err := vm.CommandLine()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Machine{VM: vm, cmd: ns.Command(ctx, args[0], args[1:]...), cancel: cancel, exited: make(chan struct{})}
	m.cmd.Stdout, m.cmd.Stderr = &m.out, &m.out
	if err := m.cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		defer close(m.exited)
		_ = m.cmd.Wait()
	}()
	t.Cleanup(func() {
		m.Stop()
		if t.Failed() {
			t.Logf("console of %s:\n%s\nqemu: %s", vm.MAC, m.Serial(), m.out.String())
		}
	})
	return m
}

// Stop switches the machine off and waits until it is.
func (m *Machine) Stop() {
	m.cancel()
	<-m.exited
}

// Press presses keys one after the other, by QEMU's names such as "end" and "ret". The machine
// needs VM.Keyboard.
func (m *Machine) Press(ctx context.Context, keys ...string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.monitor())
	if err != nil {
		return fmt.Errorf("qemutest: keyboard of %s: %w", m.MAC, err)
	}
	defer conn.Close()
	for _, k := range keys {
		if _, err := fmt.Fprintf(conn, "sendkey %s\n", k); err != nil {
			return fmt.Errorf("qemutest: keyboard of %s: %w", m.MAC, err)
		}
	}
	// The monitor drops what it has not read when the connection ends; it answers this one last.
	if _, err := fmt.Fprintln(conn, "info name"); err != nil {
		return err
	}
	_ = conn.(*net.UnixConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	return nil
}

// Type types a line at the serial console, a character after the echo of the one before, since
// firmware reads slowly. The machine needs VM.Terminal.
func (m *Machine) Type(ctx context.Context, line string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.terminal())
	if err != nil {
		return fmt.Errorf("qemutest: console of %s: %w", m.MAC, err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	echo := make([]byte, 256)
	for _, c := range []byte(line + "\r") {
		if _, err = conn.Write([]byte{c}); err == nil {
			_, err = conn.Read(echo)
		}
		if err != nil {
			return fmt.Errorf("qemutest: console of %s: %w", m.MAC, err)
		}
	}
	return nil
}

// Serial returns the console output so far.
func (m *Machine) Serial() string {
	data, _ := os.ReadFile(m.SerialLog())
	return string(data)
}

// WaitSerial waits until the console shows text.
func (m *Machine) WaitSerial(ctx context.Context, text string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if strings.Contains(m.Serial(), text) {
			return nil
		}
		select {
		case <-tick.C:
		case <-m.exited:
			if strings.Contains(m.Serial(), text) {
				return nil
			}
			return fmt.Errorf("qemutest: machine %s is off and never showed %q", m.MAC, text)
		case <-ctx.Done():
			return fmt.Errorf("qemutest: machine %s did not show %q: %w", m.MAC, text, context.Cause(ctx))
		}
	}
}
