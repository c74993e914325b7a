package siteverify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// The cable between the server and the relays, a network that no site has (RFC 3927).
var (
	cable      = netip.MustParsePrefix("169.254.77.0/30")
	serverAddr = netip.MustParseAddr("169.254.77.1")
	relayAddr  = netip.MustParseAddr("169.254.77.2")

	cable6      = netip.MustParsePrefix("fd77:6d61:6173::/64")
	serverAddr6 = netip.MustParseAddr("fd77:6d61:6173::1")
	relayAddr6  = netip.MustParseAddr("fd77:6d61:6173::2")
)

// Times of asking a real server.
const (
	startWithin = 10 * time.Second
	quietFor    = 1500 * time.Millisecond // without an answer, what is not answered is silence
	atMost      = 20 * time.Second        // of one round
	between     = time.Millisecond        // packets: the buffers of old servers are small
)

// askReal runs the old server in a namespace and asks it, which needs root.
func askReal(ctx context.Context, kind string, s *site, files []string, all []Question) (program string, out []Answer, err error) {
	program, err = withServer(ctx, programs, kind, s, files, func(l *lab) error {
		out, err = l.ask(ctx, all)
		return err
	})
	return program, out, err
}

// askReal6 is askReal for IPv6.
func askReal6(ctx context.Context, kind string, s *site, o Options, all []Question) (program string, out []Answer, err error) {
	if o.Against == "model" {
		return "", nil, errNotRun("the model answers IPv4 alone")
	}
	program, err = withServer(ctx, programs6, kind, s, o.Files, func(l *lab) error {
		out, err = l.ask6(ctx, all)
		return err
	})
	return program, out, err
}

// withServer runs the server of a kind, and calls ask while it serves.
func withServer(ctx context.Context, programs map[string]prepare, kind string, s *site, files []string, ask func(*lab) error) (program string, err error) {
	prepare, ok := programs[kind]
	switch {
	case !ok:
		return "", errNotRun("a configuration of kind " + kind + " has no server that can be run")
	case os.Geteuid() != 0:
		return "", errNotRun("running the old server in a namespace needs root")
	case len(files) == 0:
		return "", errNotRun("no files to run the old server with")
	}
	dir, err := os.MkdirTemp("", "maas-verify")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	run, err := prepare(dir, files)
	if err != nil {
		return "", err
	}
	path, err := exec.LookPath(run.args[0])
	if err != nil {
		if path = "/usr/sbin/" + run.args[0]; unix.Access(path, unix.X_OK) != nil {
			return "", errNotRun("the program " + run.args[0] + " is not installed")
		}
	}
	run.args[0] = path
	lab, err := newLab(s, run.inSubnets)
	defer lab.remove()
	if err != nil {
		return "", err
	}
	stop, err := lab.start(ctx, run)
	if err != nil {
		return "", err
	}
	defer stop()
	return filepath.Base(path), ask(lab)
}

// lab is two namespaces with a cable: the server in one, and the relays of all subnets in the
// other.
type lab struct{ server, relays string }

var labs atomic.Int64

func newLab(s *site, inSubnets bool) (*lab, error) {
	name := fmt.Sprintf("maas-verify-%d-%d", os.Getpid(), labs.Add(1))
	l := &lab{server: name + "-s", relays: name + "-r"}
	steps := [][]string{
		{"netns", "add", l.server}, {"netns", "add", l.relays},
		{"link", "add", "name", "eth0", "netns", l.server, "type", "veth", "peer", "name", "eth0", "netns", l.relays},
		{"-n", l.server, "link", "set", "lo", "up"}, {"-n", l.relays, "link", "set", "lo", "up"},
		// Without a check for duplicates, addresses of IPv6 are usable at once.
		{"netns", "exec", l.server, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0"}, {"netns", "exec", l.relays, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0"},
		{"-n", l.server, "addr", "add", serverAddr6.String() + "/64", "dev", "eth0", "nodad"},
		{"-n", l.relays, "addr", "add", relayAddr6.String() + "/64", "dev", "eth0", "nodad"},
		{"-n", l.server, "addr", "add", serverAddr.String() + "/30", "dev", "eth0"}, {"-n", l.relays, "addr", "add", relayAddr.String() + "/30", "dev", "eth0"},
		{"-n", l.server, "link", "set", "eth0", "up"}, {"-n", l.relays, "link", "set", "eth0", "up"},
		{"-n", l.server, "route", "add", "default", "via", relayAddr.String()},
		// Pings of servers that look for a host at an address must find none.
		{"netns", "exec", l.relays, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"},
	}
	if inSubnets {
		// The server's addresses come before the relays' own in a table of their own: packets from
		// what is this host's own are dropped.
		steps = append(steps, []string{"-n", l.relays, "rule", "add", "pref", "10", "lookup", "local"}, []string{"-n", l.relays, "rule", "del", "pref", "0"},
			[]string{"-n", l.relays, "rule", "add", "pref", "5", "lookup", "100"})
	}
	for _, p := range s.subnets {
		// Every address of the subnets is a relay's own.
		steps = append(steps, []string{"-n", l.relays, "route", "add", "local", p.String(), "dev", "lo"})
		if inSubnets {
			steps = append(steps, []string{"-n", l.server, "addr", "add", netip.PrefixFrom(s.servers[p], p.Bits()).String(), "dev", "eth0"},
				[]string{"-n", l.relays, "route", "add", s.servers[p].String() + "/32", "dev", "eth0", "table", "100"})
		}
	}
	for _, args := range steps {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return l, fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return l, nil
}

func (l *lab) remove() {
	if l != nil {
		_ = exec.Command("ip", "netns", "del", l.server).Run()
		_ = exec.Command("ip", "netns", "del", l.relays).Run()
	}
}

// start runs the server until stop is called, and returns when it serves.
func (l *lab) start(ctx context.Context, r running) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	// The program replaces ip, so that ending it ends the server.
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.server}, r.args...)...)
	cmd.Env = append(os.Environ(), r.env...)
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	cmd.WaitDelay = time.Second // a child that keeps the output open is not waited for
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		writer.Close()
	}()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(reader); scan.Scan(); {
			select {
			case lines <- scan.Text():
			case <-ctx.Done():
			}
		}
		_, _ = io.Copy(io.Discard, reader) // lines that are too long
	}()
	stop = func() { cancel(); <-ended }
	last, timeout := "", time.After(startWithin)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				stop()
				return nil, fmt.Errorf("%s does not start: %s", r.args[0], last)
			}
			if r.ready.MatchString(line) {
				go func() {
					for range lines { // the server must not wait for its reader
					}
				}()
				return stop, nil
			}
			if strings.TrimSpace(line) != "" && !r.noise.MatchString(line) {
				last = line
			}
		case <-timeout:
			stop()
			return nil, fmt.Errorf("%s does not serve after %v: %s", r.args[0], startWithin, last)
		}
	}
}

// ask sends the questions as relays do and collects the answers. What is not answered is asked a
// second time: a full buffer drops packets as silence does.
func (l *lab) ask(ctx context.Context, all []Question) ([]Answer, error) {
	conn, err := l.listen("udp4", 67)
	if err != nil {
		return nil, err
	}
	x := exchange{conn: conn, all: all, out: make([]Answer, len(all)), parse: parseAnswer}
	x.send = func(i int) error {
		from := ipv4.ControlMessage{Src: all[i].Relay.AsSlice()}
		_, _, err := conn.WriteMsgUDPAddrPort(all[i].packet(uint32(i+1)), from.Marshal(), netip.AddrPortFrom(serverAddr, 67))
		return err
	}
	return x.run(ctx, func(Question) bool { return true })
}

// ask6 is ask for IPv6: requests follow when all answers to what they refer to have arrived, then
// renewals, and what rebinds last.
func (l *lab) ask6(ctx context.Context, all []Question) ([]Answer, error) {
	conn, err := l.listen("udp6", 547)
	if err != nil {
		return nil, err
	}
	x := exchange{conn: conn, all: all, out: make([]Answer, len(all)), parse: parseAnswer6}
	x.send = func(i int) error {
		first := Answer{}
		if after := all[i].after; after > 0 {
			first = x.out[after-1]
		}
		_, err := conn.WriteToUDPAddrPort(all[i].packet6(uint32(i+1), first), netip.AddrPortFrom(serverAddr6, 547))
		return err
	}
	following := func(kind byte) func(Question) bool {
		return func(q Question) bool { return q.after > 0 && q.kind == kind && q.follows(x.out[q.after-1]) }
	}
	return x.run(ctx, func(q Question) bool { return q.after == 0 }, following(request6), following(renew), following(rebind))
}

// exchange asks questions over a socket.
type exchange struct {
	conn  *net.UDPConn
	all   []Question
	out   []Answer
	parse func([]byte) (uint32, Answer, bool)
	send  func(i int) error
}

// run asks the questions of each part twice, one part after the other, and closes the socket.
func (x *exchange) run(ctx context.Context, parts ...func(Question) bool) ([]Answer, error) {
	defer x.conn.Close()
	heard := make(chan reply, len(x.all)*2)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := x.conn.Read(buf)
			if err != nil {
				close(heard)
				return
			}
			if xid, a, ok := x.parse(buf[:n]); ok && xid > 0 && int(xid) <= len(x.all) {
				heard <- reply{int(xid) - 1, a}
			}
		}
	}()
	for _, part := range parts {
		for range 2 {
			if err := x.round(ctx, part, heard); err != nil {
				return nil, err
			}
		}
	}
	return x.out, nil
}

type reply struct {
	question int
	answer   Answer
}

// round sends what has no answer yet, and waits until all have one or the server is quiet.
func (x *exchange) round(ctx context.Context, part func(Question) bool, heard <-chan reply) error {
	open := 0
	for i, q := range x.all {
		if x.out[i].Type != 0 || !part(q) {
			continue
		}
		open++
		if err := x.send(i); err != nil {
			return fmt.Errorf("relay %v: %w", q.Relay, err)
		}
		time.Sleep(between)
	}
	end := time.Now().Add(atMost)
	for open > 0 && time.Now().Before(end) {
		select {
		case r, ok := <-heard:
			if !ok {
				return errors.New("the socket of the relays was closed")
			}
			if x.out[r.question].Type == 0 {
				x.out[r.question] = r.answer
				open--
			}
		case <-time.After(quietFor):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// listen opens the port of relays in their namespace.
func (l *lab) listen(network string, port int) (conn *net.UDPConn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is in the namespace from here on, so it ends with this goroutine: a locked one
		// that is not unlocked is not used again.
		runtime.LockOSThread()
		var target *os.File
		if target, err = os.Open("/var/run/netns/" + l.relays); err != nil {
			return
		}
		defer target.Close()
		if err = unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("setns: %w", err)
			return
		}
		conn, err = net.ListenUDP(network, &net.UDPAddr{Port: port})
	}()
	<-done
	return conn, err
}

// running says how a server is run.
type running struct {
	args      []string
	env       []string
	ready     *regexp.Regexp // a line that it writes when it serves
	noise     *regexp.Regexp // lines that are no reason for not starting
	inSubnets bool           // it needs an address in each subnet
}
