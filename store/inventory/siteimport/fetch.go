package siteimport

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Fetch gets the objects of a NetBox or MAAS at a URL, as files for Read: a page of a list each.
// The token is NetBox's, or the API key of MAAS. If client is nil, http.DefaultClient is used.
func Fetch(ctx context.Context, client *http.Client, kind, base, token string) (fs.FS, []string, error) {
	if client == nil {
		client = http.DefaultClient
	}
	at, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, nil, fmt.Errorf("siteimport: %q is not the URL of a server; write for example https://netbox.example.org", clip(base))
	}
	f := fetcher{client: client, base: at, token: token, files: memory{}}
	switch kind {
	case "netbox":
		err = f.netbox(ctx)
	case "maas":
		err = f.maas(ctx)
	default:
		err = fmt.Errorf("siteimport: kind %q has no URL; name its files", kind)
	}
	return f.files, f.names, err
}

type fetcher struct {
	client *http.Client
	base   *url.URL
	token  string
	bytes  int
	files  memory
	names  []string
}

// netboxPage is the number of objects of a page; NetBox gives up to 1000.
const netboxPage = "1000"

func (f *fetcher) netbox(ctx context.Context) error {
	for _, model := range netboxModels {
		app, name := "ipam", strings.ReplaceAll(model, "_", "-")
		list := name
		switch model {
		case "devices", "interfaces", "mac_addresses":
			app = "dcim"
		case "virtual_machines", "vm_interfaces": // which the API names interfaces, as those of devices
			app, list = "virtualization", strings.TrimPrefix(name, "vm-")
		}
		next := f.base.JoinPath("api", app, list).String() + "/?limit=" + netboxPage
		for page := 1; next != ""; page++ {
			if page > maxFiles {
				return fmt.Errorf("siteimport: %s has more than %d pages", name, maxFiles)
			}
			data, err := f.get(ctx, next, "Token "+f.token, model == "mac_addresses") // an object since NetBox 4.2
			if err != nil || data == nil {
				if err == nil {
					break
				}
				return err
			}
			var answer struct {
				Next *string `json:"next"`
			}
			if err := json.Unmarshal(data, &answer); err != nil {
				return fmt.Errorf("siteimport: %s: is not the answer of NetBox: %w", next, err)
			}
			f.add(fmt.Sprintf("%s.%d.json", name, page), data)
			if next = ""; answer.Next != nil {
				if next, err = f.following(*answer.Next); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// following returns the URL of the next page. It keeps scheme and host of the first one: behind a
// proxy NetBox names others, and a foreign one would get the token.
func (f *fetcher) following(next string) (string, error) {
	u, err := f.base.Parse(next)
	if err != nil {
		return "", fmt.Errorf("siteimport: next page %q: %w", clip(next), err)
	}
	u.Scheme, u.Host, u.User = f.base.Scheme, f.base.Host, f.base.User
	return u.String(), nil
}

func (f *fetcher) maas(ctx context.Context) error {
	parts := strings.Split(f.token, ":")
	if len(parts) != 3 {
		return fmt.Errorf("siteimport: an API key of MAAS has three parts, CONSUMER:TOKEN:SECRET, and this has %d", len(parts))
	}
	for _, model := range maasModels {
		name := strings.ReplaceAll(model, "_", "-")
		at := f.base.JoinPath("api", "2.0", name).String() + "/"
		// RFC 5849 section 3.4.4, PLAINTEXT: MAAS knows no other method.
		sign := fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%s", oauth_nonce="%s", oauth_timestamp="%d"`,
			url.QueryEscape(parts[0]), url.QueryEscape(parts[1]), url.QueryEscape("&"+parts[2]), rand.Text(), time.Now().Unix())
		if model == "ipaddresses" {
			at += "?all=true" // of all users, which administrators may read
		}
		data, err := f.get(ctx, at, sign, model == "reservedips") // since MAAS 3.6
		if err != nil && model == "ipaddresses" {
			return fmt.Errorf("%w; an import reads the addresses of all users, so use the API key of an administrator", err)
		}
		if err != nil {
			return err
		}
		if data != nil {
			f.add(name+".json", data)
		}
	}
	return nil
}

// get returns the answer to a GET; nil = there is no such list, and it is optional.
func (f *fetcher) get(ctx context.Context, at, authorization string, optional bool) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	// The client drops this header when it is redirected to another host.
	req.Header.Set("Authorization", authorization)
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("siteimport: %w", err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound && optional:
		return nil, nil
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("siteimport: %s: the token is not accepted (%s)", at, res.Status)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("siteimport: %s: %s; is the URL right?", at, res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, int64(maxBytes-f.bytes)+1))
	if err != nil {
		return nil, fmt.Errorf("siteimport: %s: %w", at, err)
	}
	if f.bytes += len(data); f.bytes > maxBytes {
		return nil, fmt.Errorf("siteimport: %s: has more than %d MB", at, maxBytes>>20)
	}
	return data, nil
}

// add keeps an answer with a value in each line, so that places in the report are of use.
func (f *fetcher) add(name string, data []byte) {
	var out bytes.Buffer
	if json.Indent(&out, data, "", " ") == nil {
		data = out.Bytes()
	}
	f.files[name] = data
	f.names = append(f.names, name)
}

// memory is a file system of the answers.
type memory map[string][]byte

func (m memory) Open(name string) (fs.File, error) {
	data, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &answer{name: name, size: int64(len(data)), Reader: bytes.NewReader(data)}, nil
}

// answer is a file of memory, and its information.
type answer struct {
	*bytes.Reader
	name string
	size int64
}

func (a *answer) Stat() (fs.FileInfo, error) { return answerInfo{a.name, a.size}, nil }
func (a *answer) Close() error               { return nil }

type answerInfo struct {
	name string
	size int64
}

func (i answerInfo) Name() string     { return i.name }
func (i answerInfo) Size() int64      { return i.size }
func (answerInfo) Mode() fs.FileMode  { return 0o444 }
func (answerInfo) ModTime() time.Time { return time.Time{} }
func (answerInfo) IsDir() bool        { return false }
func (answerInfo) Sys() any           { return nil }
