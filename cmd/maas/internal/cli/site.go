package cli

import (
	"bytes"
	"context"
	"net/http"
	"os"

	"github.com/gomaas/maas/pxe"
)

type profileCmd struct {
	Show profileShowCmd `cmd:"" help:"Show it."`
	Set  profileSetCmd  `cmd:"" help:"Set it from a JSON file."`
}

const profilePath = "/api/v1/boot-profile"

type profileShowCmd struct{ remote }

// Run is called by the parser when the command was given.
func (c profileShowCmd) Run(ctx context.Context, io stdio) error {
	var p pxe.Profile
	if err := c.get(ctx, profilePath, &p); err != nil {
		return err
	}
	c.Output = "json" // a profile has no table
	return c.print(io.out, p, "", nil)
}

type profileSetCmd struct {
	remote
	File string `arg:"" help:"JSON file with kernel, initrd and cmdline; files are named as the daemon serves them." type:"existingfile"`
}

// Run is called by the parser when the command was given.
func (c profileSetCmd) Run(ctx context.Context) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, profilePath, bytes.NewReader(data), "application/json", nil)
}
