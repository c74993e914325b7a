package cli

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// userDataCmd is the group `maas user-data`.
type userDataCmd struct {
	List   userDataListCmd   `cmd:"" help:"List who has user data, without its content, which may hold secrets."`
	Set    userDataSetCmd    `cmd:"" help:"Set user data from a file. Racks use it at once."`
	Delete userDataDeleteCmd `cmd:"" help:"Remove user data."`
}

// userDataTarget holds the flags that name the owner of user data.
type userDataTarget struct {
	Machine *string `help:"User data of a machine, by name or system ID." placeholder:"NAME" xor:"target"`
	Tag     *string `help:"User data of the machines with a tag. Without any of these flags: user data of all others." placeholder:"NAME" xor:"target"`
}

// userDataPath is the API path of user data.
const userDataPath = "/api/v1/user-data"

func (t userDataTarget) path() string {
	query := url.Values{}
	for name, value := range map[string]*string{"machine": t.Machine, "tag": t.Tag} {
		if value != nil {
			query.Set(name, *value)
		}
	}
	return userDataPath + "?" + query.Encode()
}

// userDataListCmd is `maas user-data list`.
type userDataListCmd struct{ remote }

// Run runs the command.
func (c userDataListCmd) Run(ctx context.Context, io stdio) error {
	var all []maasapi.UserData
	if err := c.get(ctx, userDataPath, &all); err != nil {
		return err
	}
	return c.print(io.out, all, "FOR\tOCTETS\tCHANGED", func(row func(...string)) {
		for _, u := range all {
			whom := "all others"
			switch {
			case u.Machine != "":
				whom = "machine " + u.Machine
			case u.Tag != "":
				whom = "tag " + u.Tag
			}
			row(whom, strconv.Itoa(u.Size), stamp(u.Changed))
		}
	})
}

// userDataSetCmd is `maas user-data set`.
type userDataSetCmd struct {
	remote
	userDataTarget
	File string `arg:"" help:"File in a form that the machine's system reads, such as cloud-config or Ignition; - reads standard input."`
}

// Run runs the command.
func (c userDataSetCmd) Run(ctx context.Context) error {
	data, err := readFile(c.File)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, c.path(), bytes.NewReader(data), "application/octet-stream", nil)
}

// userDataDeleteCmd is `maas user-data delete`.
type userDataDeleteCmd struct {
	remote
	userDataTarget
}

// Run runs the command.
func (c userDataDeleteCmd) Run(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, c.path(), nil, "", nil)
}
