package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
)

// A Login is a site that the user has logged in to.
type Login struct {
	URL string `json:"url"`
	Key string `json:"key"`          // CONSUMER:TOKEN:SECRET
	CA  string `json:"ca,omitempty"` // PEM
	Pin Pin    `json:"pin,omitzero"`
	// Own means that logging in made the key, so that logging out takes it back.
	Own bool `json:"own,omitempty"`
}

// Client talks to the site.
func (l Login) Client() Client { return Client{URL: l.URL, Key: l.Key, CA: l.CA, Pin: l.Pin} }

// Logins are the sites of the user, by the name that the user gave them.
type Logins struct {
	// name of the site that commands use by default; may be empty
	Current string           `json:"current"`
	Sites   map[string]Login `json:"sites"`
}

// LoginsPath returns the path of the user's logins.
func LoginsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep log-ins: %w", err)
	}
	return filepath.Join(dir, "maas", "logins.json"), nil
}

// LoadLogins reads a file of logins; one that is not there has none.
func LoadLogins(path string) (l Logins, err error) {
	if err := secretfile.Check(path); err != nil {
		return Logins{}, fmt.Errorf("log-ins: %w", err)
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &l)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return Logins{}, fmt.Errorf("log-ins: %s: %w; remove it and log in again", path, err)
	}
	if l.Sites == nil {
		l.Sites = map[string]Login{}
	}
	return l, nil
}

// Save replaces the file, which only the user can read, whole or not at all.
func (l Logins) Save(path string) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return secretfile.Write(path, append(data, '\n'))
}

// Base is the URL of a site as people give it: the API's path is cut off, and the scheme may be
// left out, which means https.
func Base(text string) (string, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		text = "[" + strings.ReplaceAll(text, "%", "%25") + "]" // the zone, by RFC 6874
	}
	bare := !strings.Contains(text, "://")
	if bare {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("%q is not a URL such as https://maas.example:5240: %w", text, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("%q is not a URL such as https://maas.example:5240", text)
	}
	path, _, _ := strings.Cut(u.Path, "/MAAS")
	if path = strings.TrimSuffix(path, "/"); path != "" {
		return "", fmt.Errorf("%q has a path; the API of a site is below its root", text)
	}
	if u.Port() == "" && (bare || u.Scheme == "http") && !strings.Contains(text, "/MAAS") {
		u.Host += ":5240"
	}
	return u.Scheme + "://" + strings.ReplaceAll(u.Host, "%", "%25"), nil
}

// Authenticate creates a key for a user and a password. consumer names the key in the user's list
// of keys. [Foreign] reports whether its error means that no site answered.
func (c Client) Authenticate(ctx context.Context, user, password, consumer string) (key string, err error) {
	var answer struct {
		Consumer string `json:"consumer_key"`
		Token    string `json:"token_key"`
		Secret   string `json:"token_secret"`
	}
	form := url.Values{"username": {user}, "password": {password}, "consumer": {consumer}}
	if err := c.Post(ctx, "/MAAS/accounts/authenticate/", form, &answer); err != nil {
		return "", err
	}
	if answer.Token == "" {
		return "", &Error{Status: http.StatusOK, Text: c.URL + " does not answer as a MAAS API", strange: true}
	}
	return answer.Consumer + ":" + answer.Token + ":" + answer.Secret, nil
}
