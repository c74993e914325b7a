// The maas command runs a region, a rack, or both, and drives a running one from the command line.
//
// See the README for how to use it; `maas --help` lists the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Hosts without certificates of their own, such as the OCI image, fetch images by HTTPS, too.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/gomaas/maas/cmd/maas/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
