package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
)

// adminCmd is `maas createadmin`, the first command on a site: before it, no user can log in.
type adminCmd struct {
	stored
	Username     string `required:"" help:"Name of the administrator. An account without a password gets one."`
	Email        string `help:"Email address." placeholder:"ADDR"`
	PasswordFile string `help:"File whose first line is the password; - reads standard input. The default is to ask." placeholder:"FILE"`
}

// Run runs the command.
func (c adminCmd) Run(ctx context.Context, io stdio) error {
	password, err := readPassword(ctx, c.PasswordFile, io.err)
	if err != nil {
		return err
	}
	return c.asOwner(func() error { return c.create(ctx, io, password) })
}

// create makes the administrator, or gives an account without a password one.
func (c adminCmd) create(ctx context.Context, io stdio, password string) error {
	db, err := c.openOrMake(ctx)
	if err != nil {
		return err
	}
	return c.withUsers(ctx, db, "maas createadmin", func(ctx context.Context, inv *inventory.Inventory) error {
		hash, err := inv.HashPassword(ctx, password)
		if err != nil {
			return err
		}
		u, err := inv.Users.Find(ctx, c.Username)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			_, err = inv.Users.Create(ctx, inventory.User{Name: c.Username, Email: c.Email, Role: inventory.RoleAdmin, Password: hash})
		case err == nil && u.Password != "":
			err = fmt.Errorf("there is already a user %s; choose another name, or change the password of this one with: maas user update %s password=@FILE", c.Username, c.Username)
		case err == nil:
			u.Role, u.Password = inventory.RoleAdmin, hash
			if c.Email != "" {
				u.Email = c.Email
			}
			_, err = inv.Users.Update(ctx, u)
		}
		if err == nil {
			_, err = fmt.Fprintf(io.out, "%s is an administrator; make a key with: maas apikey --username %s\n", c.Username, c.Username)
		}
		return err
	})
}

// apiKeyCmd is `maas apikey`.
type apiKeyCmd struct {
	stored
	Username  string        `required:"" help:"User of the key."`
	Name      string        `help:"Purpose of the key." placeholder:"TEXT"`
	List      bool          `help:"List the user's keys, without secrets, instead of creating one." xor:"what"`
	TTL       time.Duration `name:"ttl" help:"Lifetime of the new key, such as 720h (default: no end)." placeholder:"TIME"`
	DeleteAll bool          `help:"Revoke all keys of the user: sign out everywhere." xor:"what"`
	Delete    *string       `help:"Revoke a key, given whole or by the part between its colons, which --list shows." placeholder:"KEY" xor:"what"`
	Output    string        `short:"o" enum:"table,json,yaml" default:"table" help:"Format of the list: table, json or yaml."`
}

// Run runs the command. Existing keys cannot be shown, since the site stores only hashes of their
// secrets.
func (c apiKeyCmd) Run(ctx context.Context, io stdio) error {
	if c.Delete != nil && *c.Delete == "" { // such as an unset variable of a script
		return fmt.Errorf("--delete is empty; it needs a key, of those that this lists: maas apikey --username %s --list", c.Username)
	}
	return c.asOwner(func() error { return c.run(ctx, io) })
}

func (c apiKeyCmd) run(ctx context.Context, io stdio) error {
	db, _, err := c.open(ctx)
	if err != nil {
		return err
	}
	return c.withUsers(ctx, db, "maas apikey", func(ctx context.Context, inv *inventory.Inventory) error {
		u, err := inv.Users.Find(ctx, c.Username)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no user %s; make an administrator with: maas createadmin --username %s", c.Username, c.Username)
		}
		if err != nil {
			return err
		}
		switch {
		case c.List:
			return c.list(ctx, io, inv, u)
		case c.Delete != nil:
			return c.delete(ctx, io, inv, u)
		case c.DeleteAll:
			n, err := inv.APIKeys.DeleteAll(ctx, u.ID)
			if err == nil {
				_, err = fmt.Fprintf(io.out, "%d keys of %s are taken back\n", n, u.Name)
			}
			return err
		}
		var expires time.Time
		if c.TTL != 0 {
			expires = time.Now().Add(c.TTL)
		}
		_, key, err := inv.APIKeys.Create(ctx, u.ID, c.Name, expires)
		if err == nil {
			_, err = fmt.Fprintln(io.out, key)
		}
		return err
	})
}

// list prints the user's keys without their secrets.
func (c apiKeyCmd) list(ctx context.Context, io stdio, inv *inventory.Inventory, u inventory.User) error {
	type key struct {
		Token   string    `json:"token"`
		Name    string    `json:"name"`
		Created time.Time `json:"created"`
		Expires time.Time `json:"expires,omitzero"`
		Used    time.Time `json:"last_used,omitzero"`
	}
	keys, err := inv.APIKeys.List(ctx, u.ID)
	if err != nil {
		return err
	}
	all := []key{}
	for _, k := range keys {
		all = append(all, key{k.Token, k.Name, k.Created, k.Expires, k.Used})
	}
	return remote{Output: c.Output}.print(io.out, all, "KEY\tFOR\tMADE\tENDS\tLAST USED", func(row func(...string)) {
		for _, k := range all {
			row(k.Token, k.Name, stamp(k.Created), stamp(k.Expires), stamp(k.Used))
		}
	})
}

// delete revokes a key of the user.
func (c apiKeyCmd) delete(ctx context.Context, io stdio, inv *inventory.Inventory, u inventory.User) error {
	token := *c.Delete
	if parts := strings.Split(token, ":"); len(parts) == 3 {
		token = parts[1]
	}
	err := inv.APIKeys.Delete(ctx, u.ID, token)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no key %s; see maas apikey --username %s --list", u.Name, token, u.Name)
	}
	if err == nil {
		_, err = fmt.Fprintf(io.out, "key %s of %s is taken back\n", token, u.Name)
	}
	return err
}

// openOrMake opens the site's database and creates it if it does not exist.
func (c stored) openOrMake(ctx context.Context) (*store.DB, error) {
	if c.Database == "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return nil, fmt.Errorf("data directory: %w; choose another with --data", err)
		}
		if err := region.CheckData(c.Data, ""); err != nil {
			return nil, err
		}
	}
	url, err := c.url()
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, url, schema.FS)
}

// withUsers calls do with the site's users and closes the database. A daemon that runs on it sees
// the changes, and the audit log names the host's user by number.
func (c stored) withUsers(ctx context.Context, db *store.DB, doing string, do func(context.Context, *inventory.Inventory) error) (err error) {
	defer func() { err = errors.Join(err, db.Close()) }()
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		return err
	}
	who := inventory.Actor{User: fmt.Sprintf("uid %d", os.Getuid()), Doing: func() string { return doing }}
	return do(inventory.As(ctx, who), inv)
}

// readPassword reads the first line of a file or, without one, asks for a password twice.
func readPassword(ctx context.Context, file string, prompt io.Writer) (string, error) {
	return passwordOf(ctx, file, prompt, "Password: ", "Again: ")
}

// oncePassword is readPassword for an existing password: it asks once.
func oncePassword(ctx context.Context, file string, prompt io.Writer) (string, error) {
	return passwordOf(ctx, file, prompt, "Password: ")
}

// passwordOf reads a password from a file, from standard input, or from the terminal.
func passwordOf(ctx context.Context, file string, prompt io.Writer, questions ...string) (string, error) {
	in := os.Stdin
	switch {
	case file == "" && isTerminal(os.Stdin):
		return askPassword(ctx, prompt, questions)
	case file == "":
		return "", errors.New("a password is needed: name a file with --password-file, or - for standard input")
	case file != "-":
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	return line(bufio.NewReader(in))
}

// askPassword asks on the terminal with echo off.
func askPassword(ctx context.Context, prompt io.Writer, questions []string) (string, error) {
	fd := int(os.Stdin.Fd())
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	silent := *state
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return "", err
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, state) }() // cannot fail: it was set a moment ago
	in := bufio.NewReader(os.Stdin)
	answers := make([]string, len(questions))
	for i, question := range questions {
		fmt.Fprint(prompt, question)
		done := make(chan error, 1)
		go func() {
			var err error
			answers[i], err = line(in)
			done <- err
		}()
		select {
		case <-ctx.Done(): // the program exits, and the read with it
			return "", ctx.Err()
		case err := <-done:
			if err != nil {
				return "", err
			}
		}
		fmt.Fprintln(prompt)
	}
	if answers[0] != answers[len(answers)-1] {
		return "", errors.New("the two passwords differ; try again")
	}
	return answers[0], nil
}

// line reads one line without its end.
func line(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(text, "\r\n"), nil
}
