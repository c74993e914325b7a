package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// loginCmd is `maas login`, which stores a key of the user and never a password.
type loginCmd struct {
	Profile      string `default:"default" help:"Name for the site. Several sites may be logged in to." placeholder:"NAME"`
	URL          string `arg:"" name:"url" help:"URL of the site's API, such as https://maas.example:5240."`
	Username     string `help:"User name (default: ask)." placeholder:"NAME"`
	PasswordFile string `help:"File whose first line is the password; - reads standard input. The default is to ask." placeholder:"FILE"`
	KeyFile      string `help:"File with an API key from maas apikey, instead of user and password; - reads standard input." placeholder:"FILE"`
	CA           string `name:"ca" help:"PEM file with the certificate of the site or its authority." type:"existingfile" placeholder:"FILE"`
	Fingerprint  string `help:"SHA-256 fingerprint that the site's certificate must have, as the region logs it when it starts (default: ask, and pin the one that is shown)." placeholder:"HEX"`
}

// Run runs the command.
func (c loginCmd) Run(ctx context.Context, io stdio) error {
	if c.Profile == localProfile {
		return fmt.Errorf("%s is the daemon on this host, which needs no log-in; choose another --profile", localProfile)
	}
	base, err := client.Base(c.URL)
	if err != nil {
		return err
	}
	login := client.Login{URL: base, Own: c.KeyFile == ""}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return err
		}
		login.CA = string(pem)
	}
	logins, path, err := loadLogins()
	if err != nil {
		return err
	}
	var me maasapi.Account
	// The certificate comes first: nothing secret goes to a server that is not the site.
	if login.Pin, err = c.trust(ctx, io, login, logins.Sites[c.Profile]); err == nil {
		login.Key, err = c.key(ctx, io, login.Client())
	}
	if err == nil {
		err = login.Client().Get(ctx, client.API+"users/?op=whoami", &me)
	}
	if client.Foreign(err) || err == nil && me.Username == "" {
		return fmt.Errorf("%s answers, but is not the API of a site; that is at port 5240 unless the site says otherwise", base)
	}
	if err != nil {
		return err
	}
	logins.Sites[c.Profile], logins.Current = login, c.Profile
	if err := logins.Save(path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "Logged in to %s as %s (%s); commands go there now. Leave with: maas logout --profile %s\n", base, me.Username, me.Role, c.Profile)
	return err
}

// trust returns the certificate to pin, the zero Pin if an authority vouches for it. known is the
// login of that name so far.
func (c loginCmd) trust(ctx context.Context, io stdio, login, known client.Login) (client.Pin, error) {
	shown, distrust, err := login.Client().Seen(ctx)
	if err != nil {
		return client.Pin{}, err
	}
	switch {
	case c.Fingerprint != "":
		return shown, c.checkFingerprint(login.URL, shown)
	case shown == client.Pin{}:
		if !isLoopback(login.URL) {
			fmt.Fprintf(io.err, "maas: warning: %s speaks no TLS, so the password and the key cross the network unencrypted\n", login.URL)
		}
		return shown, nil
	case distrust == nil:
		return client.Pin{}, nil
	case c.CA != "":
		return client.Pin{}, distrust
	case known.URL == login.URL && known.Pin != client.Pin{}:
		return shown, known.Pin.Check(shown)
	}
	fmt.Fprintf(io.err, "The certificate of %s has the SHA-256 fingerprint\n  %s\nThe region logs its own when it starts.\n", login.URL, shown.Fingerprint)
	if !isTerminal(os.Stdin) {
		fmt.Fprintln(io.err, "It is pinned for later commands.")
		return shown, nil
	}
	fmt.Fprint(io.err, "Are they the same? [y/N] ")
	answer, err := line(bufio.NewReader(os.Stdin))
	if answer = strings.ToLower(strings.TrimSpace(answer)); err == nil && answer != "y" && answer != "yes" {
		err = errors.New("not logged in")
	}
	return shown, err
}

// checkFingerprint compares the certificate of a site with the one that the user expects.
func (c loginCmd) checkFingerprint(url string, shown client.Pin) error {
	want, err := client.ParseFingerprint(c.Fingerprint)
	switch {
	case err != nil:
		return err
	case shown == client.Pin{}:
		return fmt.Errorf("%s does not speak TLS, so it has no fingerprint; log in with https in the place of http", url)
	case shown.Fingerprint != want:
		return fmt.Errorf("the certificate of %s has the fingerprint %s instead of %s; another host may answer in its place, so nothing was sent", url, shown.Fingerprint, want)
	}
	return nil
}

// isLoopback reports whether a site's URL leads to this host.
func isLoopback(site string) bool {
	u, err := url.Parse(site)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && a.IsLoopback()
}

// key reads an API key, or creates one with user and password.
func (c loginCmd) key(ctx context.Context, io stdio, cl client.Client) (string, error) {
	if c.KeyFile != "" {
		return readPassword(ctx, c.KeyFile, io.err)
	}
	user := c.Username
	if user == "" {
		if !isTerminal(os.Stdin) {
			return "", errors.New("a user is needed: name one with --username and --password-file, or a key with --key-file")
		}
		fmt.Fprint(io.err, "User: ")
		var err error
		if user, err = line(bufio.NewReader(os.Stdin)); err != nil {
			return "", err
		}
	}
	password, err := oncePassword(ctx, c.PasswordFile, io.err)
	if err != nil {
		return "", err
	}
	host, _ := os.Hostname() // the host name only labels the key
	return cl.Authenticate(ctx, user, password, strings.TrimSpace("maas login "+host))
}

// logoutCmd is `maas logout`.
type logoutCmd struct {
	Profile    string `help:"Site to log out of (default: the current site)." placeholder:"NAME"`
	Everywhere bool   `help:"Revoke all keys of the user, also of other programs and hosts."`
}

// Run runs the command. It revokes a key that the login created, if the site answers.
func (c logoutCmd) Run(ctx context.Context, io stdio) error {
	logins, path, err := loadLogins()
	if err != nil {
		return err
	}
	name := cmp.Or(c.Profile, logins.Current)
	login, ok := logins.Sites[name]
	if !ok {
		return fmt.Errorf("there is no log-in %q; there are: %s", name, cmp.Or(strings.Join(siteNames(logins), ", "), "none"))
	}
	if c.Everywhere {
		// Before the log-in is forgotten: without an answer, it is all that is left to try again
		// with.
		if err := login.Client().Post(ctx, client.API+"account/?op=delete_all_authorisation_tokens", nil, nil); err != nil {
			return fmt.Errorf("the keys could not be taken back: %w", err)
		}
	} else if parts := strings.Split(login.Key, ":"); login.Own && len(parts) == 3 {
		form := url.Values{"token_key": {parts[1]}}
		if err := login.Client().Post(ctx, client.API+"account/?op=delete_authorisation_token", form, nil); err != nil {
			fmt.Fprintf(io.err, "the key could not be taken back: %s\n", oneLine(err))
		}
	}
	delete(logins.Sites, name)
	if logins.Current == name {
		logins.Current = ""
	}
	if err := logins.Save(path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.out, "Logged out of %s.\n", login.URL)
	return err
}

// loginsCmd is `maas logins`.
type loginsCmd struct {
	Output string `short:"o" enum:"table,json,yaml" default:"table" help:"Output format: table, json or yaml."`
	Use    string `arg:"" optional:"" help:"Name of the site for later commands; local is this host. The default is to list the sites."`
}

// Run runs the command.
func (c loginsCmd) Run(io stdio) error {
	logins, path, err := loadLogins()
	if err != nil {
		return err
	}
	if c.Use == "" {
		return c.list(io, logins)
	}
	if _, ok := logins.Sites[c.Use]; !ok && c.Use != localProfile {
		return fmt.Errorf("there is no log-in %q%s", c.Use, didYouMean(c.Use, append(siteNames(logins), localProfile)))
	}
	if logins.Current = c.Use; c.Use == localProfile {
		logins.Current = ""
	}
	return logins.Save(path)
}

// list prints the sites without their keys.
func (c loginsCmd) list(io stdio, logins client.Logins) error {
	type site struct {
		Name    string `json:"name"`
		URL     string `json:"url"`
		Current bool   `json:"current"`
	}
	all := []site{}
	for _, name := range siteNames(logins) {
		all = append(all, site{name, logins.Sites[name].URL, name == logins.Current})
	}
	return remote{Output: c.Output}.print(io.out, all, "NAME\tURL\tCURRENT", func(row func(...string)) {
		for _, s := range all {
			row(s.Name, s.URL, map[bool]string{true: "yes"}[s.Current])
		}
	})
}

// loadLogins reads the logged-in sites and returns the path of their file too.
func loadLogins() (logins client.Logins, path string, err error) {
	if path, err = client.LoginsPath(); err == nil {
		logins, err = client.LoadLogins(path)
	}
	return logins, path, err
}
