package boottest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// ipxeScript is a script being interpreted. The language: one command line per line, joined by ||
// and &&; labels; settings in ${}. A line that fails ends the script.
type ipxeScript struct {
	*boot
	uri      string
	lines    []string
	at       int // the next line
	settings map[string]string
	images   []ipxeImage
	menu     []menuItem
	depth    int // of scripts run by scripts
}

type ipxeImage struct {
	name string
	kind Stage // StageKernel or StageInitrd
	file File
	args string
}

// maxLines ends scripts that loop for ever without waiting.
const maxLines = 10_000

// errExit ends a script by its own wish; status 0 is success.
type errExit struct{ status int }

func (e errExit) Error() string { return fmt.Sprintf("exit %d", e.status) }

// errReplaced ends a script that has handed over to another one.
type errReplaced struct{ err error }

func (e errReplaced) Error() string { return fmt.Sprint("replaced: ", e.err) }
func (e errReplaced) Unwrap() error { return e.err }

// ipxe runs a script as iPXE's boot file, and continues as iPXE does after its end.
func (b *boot) ipxe(ctx context.Context, text, uri string) error {
	s := &ipxeScript{boot: b, settings: map[string]string{}}
	err := s.run(ctx, text, uri)
	var replaced errReplaced
	if errors.As(err, &replaced) {
		err = replaced.err
	}
	var exit errExit
	var end *ended
	switch {
	case errors.As(err, &end):
		return err
	case errors.As(err, &exit):
		// UEFI shows its set-up screen when a boot program returns success; a BIOS goes on in any
		// case.
		if b.fw.EFI && exit.status == 0 {
			return &ended{SetupMenu}
		}
		return &ended{NextDevice}
	case err == nil && b.fw.EFI:
		return &ended{SetupMenu}
	case err == nil:
		return &ended{NextDevice}
	}
	return err
}

// run interprets a script from its first line.
func (s *ipxeScript) run(ctx context.Context, text, uri string) error {
	// A script that chains to itself without waiting is a mistake of the server under test, not a
	// loop of the simulation.
	if s.depth++; s.depth > maxDepth {
		return fmt.Errorf("ipxe: %d scripts in a row run each other: %s", maxDepth, uri)
	}
	s.uri, s.lines, s.at = uri, joinLines(text), 0
	for count := 0; s.at < len(s.lines); count++ {
		if count == maxLines {
			return fmt.Errorf("ipxe: %s ran %d lines without an end", uri, maxLines)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		line := strings.TrimSpace(s.lines[s.at])
		s.at++
		// Labels are found by goto, which searches the lines.
		if line == "" || line[0] == '#' || line[0] == ':' {
			continue
		}
		if err := s.line(ctx, s.expand(line)); err != nil {
			return err
		}
	}
	return nil
}

// joinLines splits a script into lines, joined where one ends in a backslash.
func joinLines(text string) []string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", "")
	return strings.Split(text, "\n")
}

// line runs the commands of one line. Control errors (a boot, an exit) end it at once; others make
// it fail unless an || follows.
func (s *ipxeScript) line(ctx context.Context, line string) error {
	var failure error
	run := true
	words := strings.Fields(line)
	for len(words) > 0 || run {
		n := 0
		for n < len(words) && words[n] != "||" && words[n] != "&&" {
			n++
		}
		if run {
			failure = s.command(ctx, words[:n])
			if isControl(failure) {
				return failure
			}
		}
		if n == len(words) {
			break
		}
		run = (failure == nil) == (words[n] == "&&")
		words = words[n+1:]
	}
	if failure != nil {
		s.say("ipxe: %s: %v", line, failure)
	}
	return failure
}

func isControl(err error) bool {
	var exit errExit
	var end *ended
	var replaced errReplaced
	return errors.As(err, &exit) || errors.As(err, &end) || errors.As(err, &replaced) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// command runs one command; none at all succeeds.
func (s *ipxeScript) command(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return nil
	}
	name, args := words[0], words[1:]
	switch name {
	case "echo":
		s.say("%s", strings.Join(args, " "))
	case "set", "clear", "inc", "iseq", "isset":
		return s.setting(name, args)
	case "goto":
		return s.jump(args)
	case "kernel", "imgselect", "initrd", "imgfetch", "module", "imgload":
		return s.load(ctx, name, args)
	case "imgargs":
		return s.imgargs(args)
	case "imgfree":
		s.images = nil
	case "chain", "imgexec":
		return s.chain(ctx, args)
	case "menu":
		s.say("%s", strings.Join(args, " "))
		s.menu = nil
	case "item":
		return s.item(args)
	case "choose":
		return s.choose(ctx, args)
	case "boot":
		return s.start(ctx)
	case "sleep":
		return s.sleep(ctx, args)
	case "sanboot":
		return s.sanboot(ctx, args)
	case "exit":
		status := 0
		if len(args) > 0 {
			status, _ = strconv.Atoi(args[0])
		}
		return errExit{status}
	case "poweroff":
		return &ended{PoweredOff}
	case "reboot":
		return &ended{Rebooted}
	case "dhcp", "ifconf":
		if s.offline {
			if err := s.dhcp(ctx); err != nil {
				return err
			}
			s.offline = false
		}
	case "shim":
		return s.shimFor(ctx, args)
	case "imgtrust":
	case "imgverify":
		return s.verify(ctx, args)
	case "ifopen", "imgstat", "ifstat", "route", "sync", "cpair", "colour":
	default:
		return fmt.Errorf("%s: command not found", name)
	}
	return nil
}

// shimFor fetches the shim for a kernel, which iPXE 2.0 does where Secure Boot is on. Older ones
// have no such command.
func (s *ipxeScript) shimFor(ctx context.Context, args []string) error {
	if !s.cfg.Autoexec {
		return errors.New("shim: command not found")
	}
	_, args = options(args)
	if len(args) == 0 {
		return errors.New("no image given")
	}
	if s.cfg.Refuse == nil {
		return nil
	}
	uri, err := s.resolve(args[0])
	if err != nil {
		return err
	}
	_, err = s.binary(ctx, s.own(), StageLoader, uri)
	return err
}

// verify fetches the signature of an image; one that exists is good.
func (s *ipxeScript) verify(ctx context.Context, args []string) error {
	if len(args) != 2 || s.find(args[0]) < 0 {
		return fmt.Errorf("imgverify %s: no such image", strings.Join(args, " "))
	}
	uri, err := s.resolve(args[1])
	if err != nil {
		return err
	}
	_, err = s.binary(ctx, s.own(), StageKernel, uri)
	return err
}

// jump goes on after a label.
func (s *ipxeScript) jump(args []string) error {
	if len(args) == 1 {
		for i, line := range s.lines {
			if strings.TrimSpace(line) == ":"+args[0] {
				s.at = i + 1
				return nil
			}
		}
	}
	return fmt.Errorf("goto %s: no such label", strings.Join(args, " "))
}

// options takes --name value and flags from the front of arguments. Flags that change nothing here
// are skipped.
func options(args []string) (flags map[string]string, rest []string) {
	flags = map[string]string{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, ok := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
		args = args[1:]
		switch name {
		case "name", "n", "timeout", "t":
			if !ok && len(args) > 0 {
				value, args = args[0], args[1:]
			}
		}
		flags[clipTo(name, 1)] = value
	}
	return flags, args
}

// resolve makes a URL absolute, relative to the script.
func (s *ipxeScript) resolve(ref string) (string, error) {
	base, err := url.Parse(s.uri)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(ref)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// load fetches a kernel or an initrd.
func (s *ipxeScript) load(ctx context.Context, command string, args []string) error {
	flags, args := options(args)
	if len(args) == 0 {
		return errors.New("no image given")
	}
	stage := StageInitrd
	if command == "kernel" || command == "imgselect" || command == "imgload" {
		stage = StageKernel
	}
	if i := s.find(args[0]); i >= 0 && stage == StageKernel { // select what is already there
		s.images[i].kind, s.images[i].args = StageKernel, strings.Join(args[1:], " ")
		return nil
	}
	uri, err := s.resolve(args[0])
	if err != nil {
		return err
	}
	if s.offline {
		return errors.New("network unreachable")
	}
	file, err := s.binary(ctx, s.own(), stage, uri)
	if err != nil {
		return err
	}
	name := flags["n"]
	if name == "" {
		u, _ := url.Parse(uri)
		name = path.Base(u.Path)
	}
	s.images = append(s.images, ipxeImage{name: name, kind: stage, file: file, args: strings.Join(args[1:], " ")})
	return nil
}

func (s *ipxeScript) find(name string) int {
	for i := len(s.images) - 1; i >= 0; i-- {
		if s.images[i].name == name {
			return i
		}
	}
	return -1
}

func (s *ipxeScript) imgargs(args []string) error {
	if len(args) == 0 {
		return errors.New("no image given")
	}
	i := s.find(args[0])
	if i < 0 {
		return fmt.Errorf("no image %q", args[0])
	}
	s.images[i].args = strings.Join(args[1:], " ")
	return nil
}

// start boots the kernel that was loaded last, with all initrds.
func (s *ipxeScript) start(ctx context.Context) error {
	r := &s.report.Running
	*r = Running{Kind: Linux}
	for _, img := range s.images {
		if img.kind == StageKernel {
			r.Kernel, r.Cmdline = img.file, img.args
		} else {
			r.Initrds = append(r.Initrds, img.file)
		}
	}
	if r.Kernel.URL == "" {
		return errors.New("no kernel was loaded")
	}
	if done, err := s.special(ctx); done {
		return err
	}
	return &ended{Linux}
}

// chain runs another script or program.
func (s *ipxeScript) chain(ctx context.Context, args []string) error {
	flags, args := options(args)
	if len(args) == 0 {
		return errors.New("no image given")
	}
	uri, err := s.resolve(args[0])
	if err != nil {
		return err
	}
	if s.offline {
		return errors.New("network unreachable")
	}
	if loaderKind(uri) != "" {
		return s.runImage(ctx, uri)
	}
	text, err := s.text(ctx, s.own(), StageConfig, uri)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(text, "#!ipxe") {
		return fmt.Errorf("%s is not a script", uri)
	}
	inner := &ipxeScript{boot: s.boot, settings: s.settings, depth: s.depth}
	err = inner.run(ctx, text, uri)
	if _, replace := flags["r"]; replace && !isControl(err) {
		return errReplaced{err} // there is nothing to come back to
	}
	var exit errExit
	if _, replace := flags["r"]; !replace && errors.As(err, &exit) {
		if exit.status == 0 {
			return nil
		}
		return fmt.Errorf("%s: exit %d", uri, exit.status)
	}
	return err
}

func (s *ipxeScript) sleep(ctx context.Context, args []string) error {
	seconds := 0
	if len(args) > 0 {
		seconds, _ = strconv.Atoi(args[len(args)-1])
	}
	return s.pause(ctx, time.Duration(seconds)*time.Second)
}
