package boottest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// What follows simulates programs that cannot be distributed, by what they ask for: wimboot after
// https://ipxe.org/wimboot, and VMware's mboot after "About the boot.cfg File" of its installation
// guide.

// sanboot boots a URL as a drive, or a local disk.
func (s *ipxeScript) sanboot(ctx context.Context, args []string) error {
	target := ""
	for _, a := range args {
		if strings.Contains(a, ":") || strings.HasPrefix(a, "/") {
			target = a
		}
	}
	if target == "" {
		if !s.cfg.Disk {
			return errors.New("no such drive")
		}
		return &ended{LocalDisk}
	}
	uri, err := s.resolve(target)
	if err != nil {
		return err
	}
	file, err := s.binary(ctx, s.own(), StageKernel, uri)
	if err != nil {
		return err
	}
	s.report.Running = Running{Kind: Disc, Kernel: file}
	return &ended{Disc}
}

// special starts a kernel that is no Linux by its name; done is false for others.
func (s *ipxeScript) special(ctx context.Context) (done bool, err error) {
	r := &s.report.Running
	switch base := strings.ToLower(path.Base(r.Kernel.URL)); {
	case strings.HasPrefix(base, "wimboot"):
		for _, need := range []string{"BCD", "boot.sdi", "boot.wim"} {
			if !slices.ContainsFunc(s.images, func(i ipxeImage) bool { return i.kind == StageInitrd && (i.args == need || i.name == need) }) {
				return true, fmt.Errorf("wimboot: %s not found", need)
			}
		}
		r.Kind = WindowsPE
		return true, &ended{WindowsPE}
	case base == "memdisk":
		if len(r.Initrds) != 1 || !strings.Contains(r.Cmdline, "iso") {
			return true, errors.New("memdisk: no image")
		}
		r.Kind = Disc
		return true, &ended{Disc}
	case strings.HasPrefix(base, "mboot."):
		return true, s.mboot(ctx, r)
	}
	return false, nil
}

// mboot reads its boot.cfg and fetches the kernel and the modules that it names.
func (s *ipxeScript) mboot(ctx context.Context, r *Running) error {
	_, config, ok := strings.Cut(r.Cmdline, "-c ")
	if !ok {
		config = beside(r.Kernel.URL, "boot.cfg")
	}
	uri, err := s.resolve(strings.TrimSpace(config))
	if err != nil {
		return err
	}
	text, err := s.text(ctx, s.own(), StageConfig, uri)
	if err != nil {
		return fmt.Errorf("mboot: boot.cfg: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = strings.TrimSpace(value)
	}
	r.Cmdline, r.Initrds = values["kernelopt"], nil
	for i, part := range append([]string{values["kernel"]}, strings.Split(values["modules"], "---")...) {
		name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
		stage := StageInitrd
		if i == 0 {
			stage = StageKernel
		}
		file, err := s.binary(ctx, s.own(), stage, strings.TrimSuffix(values["prefix"], "/")+"/"+name)
		if err != nil {
			return fmt.Errorf("mboot: %w", err)
		}
		if i == 0 {
			r.Kernel = file
		} else {
			r.Initrds = append(r.Initrds, file)
		}
	}
	r.Kind = Hypervisor
	return &ended{Hypervisor}
}
