package boottest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// grub is GRUB interpreting its configuration.
type grub struct {
	*boot
	vars      map[string]string
	functions map[string][]grubStmt
	kernel    File
	cmdline   string
	initrds   []File
	chain     string // URL given to chainloader
	steps     int
	depth     int // of configurations
}

// grubMenu is a menu: what it holds is run after the configuration has been read.
type grubMenu struct{ entries []grubBlock }

// grub runs GRUB as it comes out of a signed network image: lists of modules, then its
// configuration.
func (b *boot) grub(ctx context.Context, uri string) error {
	u, err := url.Parse(uri)
	if err != nil {
		return err
	}
	dir := path.Join("/", path.Dir(u.Path))
	device := "(" + u.Scheme + "," + u.Host + ")"
	g := &grub{boot: b, functions: map[string][]grubStmt{}, vars: map[string]string{
		"root": strings.Trim(device, "()"), "prefix": device + path.Join(dir, "grub"), "cmdpath": device + dir,
		"grub_cpu": "x86_64", "grub_platform": "efi", "net_default_mac": b.cfg.MAC.String(), "net_efinet0_dhcp_mac": b.cfg.MAC.String(),
		"net_default_ip": b.lease.Addr.String(), "net_default_server": b.lease.NextServer.String(),
	}}
	_, g.vars["grub_cpu"] = b.fw.cpu()
	platform := g.vars["grub_cpu"] + "-" + g.vars["grub_platform"]
	for _, name := range []string{"command.lst", "fs.lst", "crypto.lst", "terminal.lst"} {
		if _, err := g.read(ctx, StageLoader, "$prefix/"+platform+"/"+name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err = g.configFile(ctx, "$prefix/grub.cfg")
	if err == nil {
		err = errors.New("grub: the configuration ended without booting anything; it waits at its prompt")
	}
	var exit errExit
	if errors.As(err, &exit) { // both kinds end in the set-up screen of EDK II
		return &ended{SetupMenu}
	}
	return err
}

// urlOf turns a GRUB file name, (device)/path or /path, into a URL.
func (g *grub) urlOf(name string) (string, error) {
	name = strings.Replace(name, "$prefix", g.vars["prefix"], 1)
	device := g.vars["root"]
	if strings.HasPrefix(name, "(") {
		end := strings.IndexByte(name, ')')
		if end < 0 {
			return "", fmt.Errorf("file name %q", name)
		}
		device, name = name[1:end], name[end+1:]
	}
	if !strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("file name %q: no path", name)
	}
	proto, host, _ := strings.Cut(device, ",")
	switch proto {
	case "tftp":
		if host == "" {
			host = g.lease.NextServer.String()
		}
		server, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return "", err
		}
		return tftpURL(server, name), nil
	case "http":
		if g.fw.UserAgent == "" {
			return "", errors.New("device http: the signed image has no such module")
		}
		return "http://" + host + name, nil
	}
	return "", fmt.Errorf("device %q: no such device", device)
}

func (g *grub) source() source {
	return source{by: "grub", tftp: grubTFTP, userAgent: g.fw.UserAgent}
}

func (g *grub) read(ctx context.Context, stage Stage, name string) (string, error) {
	uri, err := g.urlOf(name)
	if err != nil {
		return "", err
	}
	return g.text(ctx, g.source(), stage, uri)
}

// configFile reads a configuration and runs it, then its menu: the entry that is chosen, or the
// default after the timeout.
func (g *grub) configFile(ctx context.Context, name string) error {
	if g.depth++; g.depth > maxDepth {
		return fmt.Errorf("grub: %d configurations in a row load each other: %s", maxDepth, name)
	}
	defer func() { g.depth-- }()
	text, err := g.read(ctx, StageConfig, name)
	if err != nil {
		return err
	}
	stmts, err := parseGRUB(text)
	if err != nil {
		return fmt.Errorf("grub: %s: %w", name, err)
	}
	var menu grubMenu
	if err := g.exec(ctx, stmts, &menu); isControl(err) || isEndless(err) {
		return err
	}
	return g.runMenu(ctx, menu)
}

func (g *grub) runMenu(ctx context.Context, menu grubMenu) error {
	if len(menu.entries) == 0 {
		return nil
	}
	n, err := g.choose(ctx, menu)
	if err != nil {
		return err
	}
	entry := menu.entries[n]
	title, _ := g.entryNames(entry)
	g.say("grub: menu entry %q", title)
	var inner grubMenu
	if err := g.exec(ctx, entry.body, &inner); err != nil {
		return err
	}
	if entry.kind == "submenu" {
		return g.runMenu(ctx, inner)
	}
	return g.start(ctx) // the end of a menu entry boots what it has loaded
}

// choose returns the entry that is taken: the operator's, or the default after the timeout.
func (g *grub) choose(ctx context.Context, menu grubMenu) (int, error) {
	index := func(name string) int {
		return slices.IndexFunc(menu.entries, func(e grubBlock) bool {
			title, id := g.entryNames(e)
			return name != "" && (name == title || name == id)
		})
	}
	if name, ok := g.chosen(ctx); ok {
		if n := index(name); n >= 0 {
			return n, nil
		}
		return 0, fmt.Errorf("grub: the menu has no entry %q", name)
	}
	// GRUB waits for ever for a choice when there is no timeout; an operator would take the
	// default.
	seconds, _ := strconv.Atoi(g.vars["timeout"])
	if err := g.pause(ctx, time.Duration(max(seconds, 0))*time.Second); err != nil {
		return 0, err
	}
	if n, err := strconv.Atoi(g.vars["default"]); err == nil && n >= 0 && n < len(menu.entries) {
		return n, nil
	}
	return max(0, index(g.vars["default"])), nil
}

// entryNames returns the title and the ID of an entry.
func (g *grub) entryNames(e grubBlock) (title, id string) {
	words := g.expand(e.words)
	if len(words) > 0 {
		title = words[0]
	}
	if i := slices.Index(words, "--id"); i >= 0 && i+1 < len(words) {
		id = words[i+1]
	}
	return title, id
}

// maxSteps ends configurations that loop for ever without waiting.
const maxSteps = 10_000

// exec runs statements and returns the result of the last one; control errors end it at once.
func (g *grub) exec(ctx context.Context, stmts []grubStmt, menu *grubMenu) (err error) {
	for _, s := range stmts {
		if g.steps++; g.steps > maxSteps {
			return &endless{maxSteps}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err = g.statement(ctx, s, menu)
		if isControl(err) || isEndless(err) {
			return err
		}
		g.vars["?"] = "0"
		if err != nil {
			g.vars["?"] = "1"
		}
	}
	return err
}

// endless is a configuration that does not end.
type endless struct{ steps int }

func (e *endless) Error() string {
	return fmt.Sprintf("grub: the configuration ran %d statements without an end", e.steps)
}

func isEndless(err error) bool {
	var e *endless
	return errors.As(err, &e)
}

func (g *grub) statement(ctx context.Context, s grubStmt, menu *grubMenu) error {
	switch s := s.(type) {
	case grubCommand:
		return g.simple(ctx, g.expand(s.words), menu)
	case grubIf:
		for i, cond := range s.conds {
			err := g.exec(ctx, cond, menu)
			if isControl(err) || isEndless(err) {
				return err
			}
			if err == nil {
				return g.exec(ctx, s.bodies[i], menu)
			}
		}
		if len(s.bodies) > len(s.conds) {
			return g.exec(ctx, s.bodies[len(s.conds)], menu)
		}
	case grubFor:
		return g.each(ctx, s, menu)
	case grubWhile:
		return g.loop(ctx, s, menu)
	case grubBlock:
		if s.kind == "function" && len(s.words) > 0 {
			g.functions[strings.Join(g.expand(s.words[:1]), "")] = s.body
			return nil
		}
		menu.entries = append(menu.entries, s)
	}
	return nil
}

func (g *grub) each(ctx context.Context, s grubFor, menu *grubMenu) (err error) {
	for _, word := range g.expand(s.words) {
		g.vars[s.name] = word
		if err = g.exec(ctx, s.body, menu); isControl(err) || isEndless(err) {
			return err
		}
	}
	return err
}

func (g *grub) loop(ctx context.Context, s grubWhile, menu *grubMenu) error {
	for {
		// A round counts even if there is nothing in it: "while; do done" would go on for ever.
		if g.steps++; g.steps > maxSteps {
			return &endless{maxSteps}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := g.exec(ctx, s.cond, menu)
		if isControl(err) || isEndless(err) {
			return err
		}
		if (err == nil) == s.until {
			return nil
		}
		if err := g.exec(ctx, s.body, menu); isControl(err) || isEndless(err) {
			return err
		}
	}
}

// expand turns words into arguments. Beyond maxReferences variables are empty.
func (g *grub) expand(words []grubWord) (out []string) {
	references := 0
	for _, w := range words {
		fields, open := []string{""}, false
		for _, p := range w {
			text := p.text
			if p.isVar {
				if text, references = "", references+1; references <= maxReferences {
					text = g.vars[p.text]
				}
			}
			open = open || p.quoted
			if !p.isVar || p.quoted {
				fields[len(fields)-1] += text
				open = open || text != ""
				continue
			}
			for i, part := range strings.Fields(text) {
				if i > 0 {
					fields = append(fields, "")
				}
				fields[len(fields)-1] += part
				open = true
			}
		}
		if open {
			out = append(out, fields...)
		}
	}
	return out
}

// simple runs one command.
func (g *grub) simple(ctx context.Context, args []string, menu *grubMenu) error {
	if len(args) == 0 {
		return nil
	}
	name, args := args[0], args[1:]
	if body, ok := g.functions[name]; ok {
		return g.exec(ctx, body, menu)
	}
	err := g.command(ctx, name, args)
	if err != nil && !isControl(err) && name != "[" && name != "test" {
		g.say("grub: %s %s: %v", name, strings.Join(args, " "), err)
	}
	return err
}

func (g *grub) command(ctx context.Context, name string, args []string) error {
	if left, value, ok := strings.Cut(name, "="); ok && len(args) == 0 {
		g.vars[left] = clip(value)
		return nil
	}
	switch name {
	case "set", "unset":
		g.assign(name, args)
	case "echo":
		g.say("%s", strings.Join(args, " "))
	case "[", "test":
		return test(args)
	case "true", ":", "insmod", "export", "terminal_input", "terminal_output", "clear", "load_video", "serial", "savedefault", "regexp", "normal":
	case "false":
		return errors.New("false")
	case "linux", "linuxefi", "linux16", "multiboot2":
		return g.linux(ctx, args)
	case "module2":
		before := g.initrds
		err := g.initrd(ctx, args[:min(len(args), 1)])
		g.initrds = append(before, g.initrds...)
		return err
	case "initrd", "initrdefi", "initrd16":
		return g.initrd(ctx, args)
	case "chainloader":
		return g.chainloader(ctx, args)
	case "configfile", "source", ".":
		if len(args) != 1 {
			return errors.New("file name expected")
		}
		return g.configFile(ctx, args[0])
	case "boot":
		return g.start(ctx)
	case "search", "search.file", "search.fs_uuid":
		return g.search(args)
	case "sleep":
		n, _ := strconv.Atoi(strings.Join(args[max(0, len(args)-1):], ""))
		return g.pause(ctx, time.Duration(n)*time.Second)
	case "exit":
		n, _ := strconv.Atoi(strings.Join(args, ""))
		return errExit{n}
	case "halt":
		return &ended{PoweredOff}
	case "reboot":
		return &ended{Rebooted}
	default:
		return errors.New("can't find command")
	}
	return nil
}

func (g *grub) assign(command string, args []string) {
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		if command == "set" {
			g.vars[name] = clip(value)
		} else {
			delete(g.vars, name)
		}
	}
}

// test is the [ command.
func test(args []string) error {
	if n := len(args); n > 0 && args[n-1] == "]" {
		args = args[:n-1]
	}
	no := errors.New("false")
	if len(args) > 0 && args[0] == "!" {
		if test(args[1:]) != nil {
			return nil
		}
		return no
	}
	ok := false
	switch {
	case len(args) == 1:
		ok = args[0] != ""
	case len(args) == 2 && args[0] == "-n":
		ok = args[1] != ""
	case len(args) == 2 && args[0] == "-z":
		ok = args[1] == ""
	case len(args) == 3 && (args[1] == "=" || args[1] == "=="):
		ok = args[0] == args[2]
	case len(args) == 3 && args[1] == "!=":
		ok = args[0] != args[2]
	}
	if !ok {
		return no
	}
	return nil
}

func (g *grub) linux(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("file name expected")
	}
	uri, err := g.urlOf(args[0])
	if err != nil {
		return err
	}
	g.kernel, g.initrds = File{}, nil
	file, err := g.binary(ctx, g.source(), StageKernel, uri)
	if err != nil {
		return err
	}
	// GRUB hands the path of the kernel over as the first argument.
	g.kernel, g.cmdline = file, strings.Join(append([]string{"BOOT_IMAGE=" + args[0]}, args[1:]...), " ")
	return nil
}

func (g *grub) initrd(ctx context.Context, args []string) error {
	if g.kernel.URL == "" {
		return errors.New("you need to load the kernel first")
	}
	g.initrds = nil
	for _, name := range args {
		uri, err := g.urlOf(name)
		if err != nil {
			return err
		}
		file, err := g.binary(ctx, g.source(), StageInitrd, uri)
		if err != nil {
			return err
		}
		g.initrds = append(g.initrds, file)
	}
	return nil
}

func (g *grub) chainloader(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("file name expected")
	}
	if strings.HasPrefix(args[0], "("+diskName) {
		g.chain = args[0]
		return nil
	}
	uri, err := g.urlOf(args[0])
	if err != nil {
		return err
	}
	if loaderKind(uri) == "" {
		return fmt.Errorf("this simulation does not know what %s does", uri)
	}
	g.chain = uri
	return nil
}

// diskName is the one disk a machine may have.
const diskName = "hd0,gpt1"

// search finds the file of a boot loader on the local disk, if there is one.
func (g *grub) search(args []string) error {
	if !g.cfg.Disk {
		return errors.New("no such device")
	}
	name := "root"
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "--set="); ok {
			name = v
		}
	}
	g.vars[name] = diskName
	return nil
}

// start boots what has been loaded.
func (g *grub) start(ctx context.Context) error {
	switch {
	case g.kernel.URL != "":
		g.report.Running = Running{Kind: Linux, Kernel: g.kernel, Initrds: g.initrds, Cmdline: g.cmdline}
		return &ended{Linux}
	case strings.HasPrefix(g.chain, "("):
		return &ended{LocalDisk}
	case g.chain != "":
		return g.runImage(ctx, g.chain)
	}
	return errors.New("you need to load the kernel first")
}
