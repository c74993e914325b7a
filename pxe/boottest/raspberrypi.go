package boottest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
)

// piText is the text of option 43 without which the firmware of a Raspberry Pi takes no answer.
const piText = "Raspberry Pi Boot"

// piBoot is a boot of a Raspberry Pi: its firmware finds parts of itself, a configuration and a
// system by names of its own, below its serial number or, when there is no configuration, without.
type piBoot struct {
	*boot
	server netip.Addr
	prefix string
	config map[string]string
}

func (b *boot) raspberryPi(ctx context.Context) error {
	if !strings.Contains(string(b.lease.Options[43]), piText) {
		return fmt.Errorf("%s: the answer of %v does not hold %q in option 43", StageDHCP, b.lease.Server, piText)
	}
	p := &piBoot{boot: b, server: b.lease.NextServer, config: map[string]string{"kernel": "kernel8.img"}}
	if !p.server.IsValid() {
		p.server = b.lease.Server
	}
	for _, name := range b.fw.Configs {
		if name == "config.txt" {
			if err := p.configure(ctx); err != nil {
				return err
			}
			continue
		}
		name, optional := strings.CutSuffix(name, "?")
		if _, err := b.binary(ctx, b.own(), StageLoader, p.url(name)); err != nil && !(optional && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return p.start(ctx)
}

func (p *piBoot) url(name string) string { return tftpURL(p.server, p.prefix+name) }

// configure reads the configuration, whose place is the place of all that follows.
func (p *piBoot) configure(ctx context.Context) (err error) {
	for _, prefix := range []string{fmt.Sprintf("%x/", p.cfg.UUID[:4]), ""} { // the serial number
		p.prefix = prefix
		var text string
		if text, err = p.text(ctx, p.own(), StageConfig, p.url("config.txt")); err == nil {
			p.parse(text)
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// parse reads assignments, and initramfs, which has none.
func (p *piBoot) parse(text string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if files, ok := strings.CutPrefix(line, "initramfs "); ok {
			p.config["initramfs"], _, _ = strings.Cut(files, " ")
		} else if key, value, ok := strings.Cut(line, "="); ok {
			p.config[key] = value
		}
	}
}

// start loads the command line, the kernel and its initrds.
func (p *piBoot) start(ctx context.Context) error {
	cmdline, err := p.text(ctx, p.own(), StageConfig, p.url("cmdline.txt"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	running := Running{Kind: Linux, Cmdline: strings.TrimSpace(cmdline)}
	if running.Kernel, err = p.binary(ctx, p.own(), StageKernel, p.url(p.config["kernel"])); err != nil {
		return err
	}
	if list := p.config["initramfs"]; list != "" {
		for name := range strings.SplitSeq(list, ",") {
			file, err := p.binary(ctx, p.own(), StageInitrd, p.url(name))
			if err != nil {
				return err
			}
			running.Initrds = append(running.Initrds, file)
		}
	}
	p.report.Running = running
	return &ended{Linux}
}
