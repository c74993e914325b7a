package qmp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/qmp"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// monitor plays a QEMU in front of a chassis, with events between the answers.
func monitor(t *testing.T, chassis *powersim.Chassis) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qmp")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serve(conn, chassis)
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done; os.RemoveAll(dir) })
	return path
}

func serve(conn net.Conn, chassis *powersim.Chassis) {
	defer conn.Close()
	fmt.Fprintln(conn, `{"QMP": {"version": {"qemu": {"major": 8}}, "capabilities": []}}`)
	for in := bufio.NewScanner(conn); in.Scan(); {
		var r struct {
			Execute string
			ID      int
		}
		if json.Unmarshal(in.Bytes(), &r) != nil {
			return
		}
		fmt.Fprintln(conn, `{"event": "STOP", "timestamp": {"seconds": 1}}`)
		result := "{}"
		switch r.Execute {
		case "query-status":
			result = `{"status": "paused"}`
			if chassis.On() {
				result = `{"status": "running"}`
			}
		case "cont":
			chassis.SetPower(true)
		case "stop":
			chassis.SetPower(false)
		}
		fmt.Fprintf(conn, "{\"return\": %s, \"id\": %d}\n", result, r.ID)
	}
}

func TestQMP(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		return powertest.Harness{
			Kind: qmp.Kind(), Chassis: chassis, Unreachable: filepath.Join(t.TempDir(), "none"),
			Target: power.Target{Kind: qmp.Name, Params: power.Params{"power_address": monitor(t, chassis)}},
		}
	})
}

func TestNotAMonitor(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			fmt.Fprintln(conn, `{"hello": 1}`)
			conn.Close()
		}
	}()
	_, err = powertest.Controller(t, qmp.Kind()).Query(t.Context(), power.Target{Kind: qmp.Name, Params: power.Params{"power_address": ln.Addr().String()}})
	if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "is not the socket of a QEMU monitor") {
		t.Errorf("got %v", err)
	}
}

// A real QEMU, whose machine has no disk and sits in its firmware.
func TestQEMU(t *testing.T) {
	netlab.Require(t, netlab.Program("qemu-system-x86_64", "qemu-system-x86"))
	dir, err := os.MkdirTemp("", "qemu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "qmp")
	vm := exec.Command("qemu-system-x86_64", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none", "-S", "-no-shutdown",
		"-qmp", "unix:"+path+",server=on,wait=off")
	if err := vm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vm.Process.Kill(); _ = vm.Wait() })
	c, target := powertest.Controller(t, qmp.Kind()), power.Target{Kind: qmp.Name, Params: power.Params{"power_address": path}}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		state, err := c.Query(t.Context(), target)
		if err == nil && state == power.Off {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, %v; want off", state, err)
		}
	}
	for _, want := range []power.State{power.On, power.Off, power.On} {
		if result, err := c.Ensure(t.Context(), target, want, power.Options{}); err != nil || result.State != want {
			t.Fatalf("%s: %+v, %v", want, result, err)
		}
	}
	if result, err := c.Cycle(t.Context(), target, power.Options{}); err != nil || result.State != power.On {
		t.Errorf("cycle: %+v, %v", result, err)
	}
}
