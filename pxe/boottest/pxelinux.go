package boottest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// pxelinux is the loader, or firmware that reads the same configurations.
type pxelinux struct {
	*boot
	src    source
	server netip.Addr
	prefix string // of names without a server of their own
	core   string // URL of the loader's module, "" in firmware that reads the configurations itself

	text    pxelinuxConfig
	configs int // read so far
}

// pxelinuxConfig is a configuration as far as boot servers use the language.
type pxelinuxConfig struct {
	first, onError string
	prompt         bool
	timeout        time.Duration
	labels         map[string]pxelinuxLabel
	say            []string
}

// named returns the label with a name or a title; else the name.
func (c pxelinuxConfig) named(name string) string {
	for label, l := range c.labels {
		if l.title == name && name != "" {
			return label
		}
	}
	return name
}

type pxelinuxLabel struct {
	kernel, initrd, args, com32, config, title string
	local, bootif                              bool
}

// pxelinux runs the loader of that name, which reads its core module and then its configuration
// from beside itself.
func (b *boot) pxelinux(ctx context.Context, uri string) error {
	server, name, err := splitTFTP(uri)
	if err != nil {
		return err
	}
	p := &pxelinux{boot: b, server: server, prefix: strings.TrimPrefix(path.Dir(name)+"/", "./"),
		src: source{by: "pxelinux", tftp: pxelinuxTFTP}}
	p.core = tftpURL(server, p.prefix+"ldlinux.c32")
	if _, err := b.binary(ctx, p.src, StageLoader, p.core); err != nil {
		return err
	}
	names := pxelinuxConfigs
	if !b.fw.UUID {
		names = names[1:]
	}
	return p.search(ctx, names)
}

// netboot is firmware that finds its configuration by itself.
func (b *boot) netboot(ctx context.Context) error {
	p := &pxelinux{boot: b, server: b.lease.NextServer, prefix: string(b.lease.Options[210]), src: b.own()}
	if !p.server.IsValid() {
		p.server = b.lease.Server
	}
	return p.search(ctx, b.fw.Configs)
}

// names replaces what varies in the name of a configuration.
func (b *boot) names(pattern string) (names []string) {
	text := strings.NewReplacer("{uuid}", formatUUID(b.cfg.UUID), "{mac}", formatMAC(b.cfg.MAC, "hexhyp")).Replace(pattern)
	if !strings.Contains(text, "{hexip}") {
		return []string{text}
	}
	if !b.lease.Addr.Is4() {
		return nil
	}
	hex := fmt.Sprintf("%08X", b.lease.Addr.AsSlice())
	// pxelinux shortens the address by a digit at a time, from one machine to ever larger networks.
	for n := len(hex); n > 0; n-- {
		names = append(names, strings.ReplaceAll(text, "{hexip}", hex[:n]))
	}
	return names
}

// search runs the first configuration that there is.
func (p *pxelinux) search(ctx context.Context, patterns []string) error {
	for _, pattern := range patterns {
		for _, name := range p.names(pattern) {
			err := p.config(ctx, name)
			if !errors.Is(err, fs.ErrNotExist) || p.configs > 0 {
				return err
			}
		}
	}
	return errors.New("pxelinux: there is no configuration")
}

// config reads a configuration and runs its first label, and the one for errors when that fails.
func (p *pxelinux) config(ctx context.Context, name string) error {
	text, err := p.boot.text(ctx, p.src, StageConfig, p.url(name))
	if err != nil {
		return err
	}
	if p.configs++; p.configs > maxDepth {
		return fmt.Errorf("pxelinux: %d configurations in a row load each other: %s", maxDepth, name)
	}
	p.text = parsePXELinux(text)
	for _, line := range p.text.say {
		p.say("%s", line)
	}
	if p.text.prompt && len(p.text.labels) > 1 { // one label is no choice
		if name, ok := p.chosen(ctx); ok {
			return p.label(ctx, p.text.named(name))
		}
	}
	if p.text.prompt {
		if err := p.pause(ctx, p.text.timeout); err != nil {
			return err
		}
	}
	err = p.label(ctx, p.text.first)
	if err != nil && !isControl(err) && p.text.onError != "" {
		p.say("pxelinux: %v", err)
		err = p.label(ctx, p.text.onError)
	}
	return err
}

// parsePXELinux reads what it knows; words are in any case.
func parsePXELinux(text string) pxelinuxConfig {
	c := pxelinuxConfig{labels: map[string]pxelinuxLabel{}}
	name := ""
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		l := c.labels[name]
		switch n, _ := strconv.Atoi(rest); strings.ToUpper(word) {
		case "DEFAULT":
			c.first = rest
		case "ONERROR":
			c.onError = rest
		case "PROMPT":
			c.prompt = n != 0
		case "TIMEOUT": // in tenths of a second
			c.timeout = time.Duration(max(n, 0)) * time.Second / 10
		case "SAY":
			c.say = append(c.say, rest)
			continue
		case "MENU":
			if title, ok := strings.CutPrefix(rest, "LABEL "); ok {
				l.title = title
			}
		case "LABEL":
			name = rest
			l = c.labels[name]
		case "KERNEL", "LINUX":
			l.kernel = rest
		case "INITRD":
			l.initrd = rest
		case "APPEND":
			l.args = rest
		case "SYSAPPEND", "IPAPPEND":
			l.bootif = n&2 != 0
		case "LOCALBOOT":
			l.local = true
		case "COM32":
			l.com32 = rest
		case "CONFIG":
			l.config = rest
		default:
			continue
		}
		c.labels[name] = l
	}
	return c
}

// label does what a label says.
func (p *pxelinux) label(ctx context.Context, name string) error {
	l, ok := p.text.labels[name]
	switch {
	case !ok:
		return fmt.Errorf("pxelinux: there is no label %q", name)
	case l.local && p.cfg.Disk:
		return &ended{LocalDisk}
	case l.local:
		return &ended{NextDevice}
	case l.config != "":
		if p.core != "" { // pxelinux 6.04 loads its module again before it reads the configuration
			if _, err := p.binary(ctx, p.src, StageLoader, p.core); err != nil {
				return err
			}
		}
		return p.config(ctx, l.config)
	case l.com32 != "":
		if _, err := p.binary(ctx, p.src, StageLoader, p.url(l.com32)); err != nil {
			return err
		}
		if path.Base(l.com32) != "poweroff.c32" {
			return fmt.Errorf("pxelinux: %s is not a module whose name this simulation knows", l.com32)
		}
		return &ended{PoweredOff}
	case l.kernel == "":
		return fmt.Errorf("pxelinux: label %q has nothing to boot", name)
	}
	return p.linux(ctx, l)
}

func (p *pxelinux) linux(ctx context.Context, l pxelinuxLabel) error {
	kernel, err := p.binary(ctx, p.src, StageKernel, p.url(l.kernel))
	if err != nil {
		return err
	}
	r := Running{Kind: Linux, Kernel: kernel, Cmdline: strings.TrimSpace("BOOT_IMAGE=" + l.kernel + " " + l.args)}
	for _, name := range strings.FieldsFunc(l.initrd, func(c rune) bool { return c == ',' }) {
		file, err := p.binary(ctx, p.src, StageInitrd, p.url(name))
		if err != nil {
			return err
		}
		r.Initrds = append(r.Initrds, file)
	}
	if l.bootif {
		r.Cmdline += " BOOTIF=01-" + formatMAC(p.cfg.MAC, "hexhyp")
	}
	if path.Base(l.kernel) == "memdisk" {
		r.Kind = Disc
	}
	p.report.Running = r
	return &ended{r.Kind}
}

// url makes a URL of a name: SERVER::FILE is at another server, a URL is one already.
func (p *pxelinux) url(name string) string {
	if strings.Contains(name, "://") {
		return name
	}
	if host, file, ok := strings.Cut(name, "::"); ok {
		if server, err := netip.ParseAddr(host); err == nil {
			return tftpURL(server, file)
		}
	}
	return tftpURL(p.server, p.prefix+name)
}
