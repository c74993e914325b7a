package boottest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// onie is a switch looking for its installer: at exact URLs from DHCP first, then under its default
// names at the boot server, by TFTP below its link address and at the top.
func (b *boot) onie(ctx context.Context) error {
	var places []string
	for _, text := range []string{string(b.lease.Options[114]), b.lease.BootFile} {
		if strings.Contains(text, "://") {
			places = append(places, text)
		}
	}
	server := b.lease.NextServer
	if !server.IsValid() {
		server = b.lease.Server
	}
	for _, name := range b.fw.Configs {
		places = append(places, tftpURL(server, formatMAC(b.cfg.MAC, "hexhyp")+"/"+name), tftpURL(server, name))
	}
	src := b.own()
	src.header = http.Header{"ONIE-ETH-ADDR": {b.cfg.MAC.String()}, "ONIE-ARCH": {"x86_64"}, "ONIE-OPERATION": {"os-install"}}
	for _, place := range places {
		file, err := b.binary(ctx, src, StageKernel, place)
		switch {
		case err == nil:
			b.report.Running.Kernel = file
			return &ended{Installer}
		case ctx.Err() != nil || !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return fmt.Errorf("%s: no installer at %d places", StageKernel, len(places))
}
