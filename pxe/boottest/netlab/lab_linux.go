package netlab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Lab is a set of namespaces that live as long as one test. Its methods fail the test when the
// kernel refuses. They are meant for the test's own goroutine.
type Lab struct {
	t  testing.TB
	id string
}

var labCount atomic.Uint64 // keeps names of parallel labs of one process apart

// New starts an empty lab. It needs [Root].
func New(t testing.TB) *Lab {
	t.Helper()
	return &Lab{t: t, id: fmt.Sprintf("maas%d-%d", os.Getpid(), labCount.Add(1))}
}

// An NS is one network namespace with its loopback interface up.
type NS struct {
	// Name is the namespace as `ip netns` knows it.
	Name string
	t    testing.TB
}

// NS makes a namespace. It is removed when the test ends, after the processes still running in it
// are killed.
func (l *Lab) NS(name string) *NS {
	l.t.Helper()
	ns := &NS{Name: l.id + "-" + name, t: l.t}
	run(l.t, "ip", "netns", "add", ns.Name)
	l.t.Cleanup(ns.remove)
	ns.IP("link", "set", "lo", "up")
	return ns
}

// remove ends what still runs inside (only processes the test itself put there can) and deletes the
// namespace.
func (ns *NS) remove() {
	out, _ := exec.Command("ip", "netns", "pids", ns.Name).Output()
	for _, field := range strings.Fields(string(out)) {
		// The test process itself is listed while one of its threads is still inside.
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if out, err := exec.Command("ip", "netns", "del", ns.Name).CombinedOutput(); err != nil {
		ns.t.Logf("netlab: remove namespace %s: %v: %s", ns.Name, err, out)
	}
}

// Veth joins two namespaces by a cable: an interface in each, both up. Transmit checksum offload is
// switched off, because raw-socket DHCP clients drop the partial checksums that it leaves.
func (l *Lab) Veth(a *NS, aIf string, b *NS, bIf string) {
	l.t.Helper()
	run(l.t, "ip", "link", "add", "name", aIf, "netns", a.Name, "type", "veth", "peer", "name", bIf, "netns", b.Name)
	a.up(aIf)
	b.up(bIf)
}

// Bridge makes a bridge called name in ns, up and forwarding at once.
func (ns *NS) Bridge(name string) {
	ns.t.Helper()
	ns.IP("link", "add", "name", name, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
	ns.up(name)
}

// Port plugs the interface into the bridge.
func (ns *NS) Port(bridge, ifname string) {
	ns.t.Helper()
	ns.IP("link", "set", "dev", ifname, "master", bridge)
	ns.up(ifname)
}

// Tap makes a tap interface for a virtual machine and plugs it into the bridge.
func (ns *NS) Tap(bridge, ifname string) {
	ns.t.Helper()
	ns.IP("tuntap", "add", "dev", ifname, "mode", "tap")
	ns.Port(bridge, ifname)
}

// Addr gives the interface an address in CIDR notation. IPv6 addresses skip duplicate address
// detection.
func (ns *NS) Addr(ifname, cidr string) {
	ns.t.Helper()
	args := []string{"addr", "add", cidr, "dev", ifname}
	if strings.Contains(cidr, ":") {
		args = append(args, "nodad")
	}
	ns.IP(args...)
}

// IP runs `ip -n NAMESPACE args...`.
func (ns *NS) IP(args ...string) {
	ns.t.Helper()
	run(ns.t, "ip", append([]string{"-n", ns.Name}, args...)...)
}

func (ns *NS) up(ifname string) {
	ns.t.Helper()
	ns.IP("link", "set", "dev", ifname, "up")
	// Interfaces without the feature refuse; that is as good as off.
	_ = exec.Command("ip", "netns", "exec", ns.Name, "ethtool", "-K", ifname, "tx", "off").Run()
}

// Command prepares a program to run inside the namespace. It is killed when ctx ends and cannot
// outlive the lab.
func (ns *NS) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns.Name, name}, args...)...)
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Do calls fn on a thread that is inside the namespace: sockets that fn opens belong to it for
// good. Goroutines started by fn are outside.
func (ns *NS) Do(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		// The thread is not unlocked when it could not be brought back, so that the runtime ends it
		// with the goroutine.
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			result <- err
			return
		}
		defer home.Close()
		target, err := os.Open("/var/run/netns/" + ns.Name)
		if err != nil {
			result <- err
			return
		}
		defer target.Close()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("netlab: enter %s: %w", ns.Name, err)
			return
		}
		err = fn()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}
