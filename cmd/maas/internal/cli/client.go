package cli

import (
	"context"
	"io"
	"net/url"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
)

// remote are the flags of commands that talk to a running daemon.
type remote struct {
	Data   string `help:"Data directory of the daemon on this host (default ${default})." default:"${default_data}" placeholder:"DIR"`
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

func (c remote) client() client.Client { return client.Client{Socket: daemon.SocketPath(c.Data)} }

func (c remote) get(ctx context.Context, path string, out any) error {
	return c.client().Get(ctx, path, out)
}

func (c remote) post(ctx context.Context, path string, form url.Values, out any) error {
	return c.client().Post(ctx, path, form, out)
}

func (c remote) call(ctx context.Context, method, path string, body io.Reader, contentType string, out any) error {
	return c.client().Do(ctx, method, path, body, contentType, out)
}

// defaultVars are what help texts and defaults refer to.
func defaultVars() map[string]string { return map[string]string{"default_data": config.DefaultData} }
