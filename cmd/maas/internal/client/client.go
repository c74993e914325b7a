// Package client calls the API of a daemon: the daemon of this host by its command socket, or a
// daemon of the network with a key.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// API is the path of the MAAS API.
const API = "/MAAS/api/2.0/"

// A Client sends each request over a connection of its own. The zero Client has no daemon.
type Client struct {
	// Socket is the path of the daemon's command socket. It counts only without a URL.
	Socket string
	// URL is the API's URL, such as https://maas.example:5240. If empty, the command socket is
	// used.
	URL string
	// Key is CONSUMER:TOKEN:SECRET, for a URL. Empty asks without one.
	Key string
	// CA holds the certificates, in PEM, that the server's certificate is checked against. If
	// empty, the system's are used.
	CA string
	// Pin is the certificate that the server must have, whatever its names and its issuer. The zero
	// Pin checks names and issuer.
	Pin Pin
}

// Error is an answer that is not a success, or none of the API.
type Error struct {
	Status int // of HTTP
	Text   string
	// strange means that the API answers nothing like it: a web page, or no JSON.
	strange bool
}

// Error is one line.
func (e *Error) Error() string { return e.Text }

// Is makes 404 fs.ErrNotExist and 403 fs.ErrPermission.
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && e.Status == http.StatusNotFound || target == fs.ErrPermission && e.Status == http.StatusForbidden
}

// Foreign reports whether an error means that no API of a site answers. It is valid for paths that
// every site has, such as the login.
func Foreign(err error) bool {
	e := (*Error)(nil)
	return errors.As(err, &e) && (e.strange || slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, e.Status))
}

// maxAnswer bounds an answer that is kept in memory.
const maxAnswer = 256 << 20

// Do sends one request and decodes the answer into out, unless that is nil or there is none. A
// *[]byte takes it as it is. An answer that is not a success becomes an [*Error] with what it says,
// on one line.
func (c Client) Do(ctx context.Context, method, path string, body io.Reader, contentType string, out any) error {
	resp, done, err := c.open(ctx, method, path, body, contentType, nil)
	if err != nil {
		return err
	}
	defer done()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = data
		return nil
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return &Error{Status: resp.StatusCode, Text: fmt.Sprintf("%s does not answer as a MAAS API: %s", c, err), strange: true}
	}
	return nil
}

// String returns the address of the daemon.
func (c Client) String() string {
	if c.URL != "" {
		return c.URL
	}
	return c.Socket
}

// open sends a request and returns its answer, which is a success. The caller calls done when it
// has read it.
func (c Client) open(ctx context.Context, method, path string, body io.Reader, contentType string, header http.Header) (*http.Response, func(), error) {
	transport, err := c.transport()
	if err != nil {
		return nil, nil, err
	}
	at := "http://maas"
	if c.URL != "" {
		at = strings.TrimSuffix(c.URL, "/")
	}
	req, err := http.NewRequestWithContext(ctx, method, at+path, body)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(req.Header, header)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.Key != "" {
		if err := sign(req, c.Key); err != nil {
			return nil, nil, err
		}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, c.explain(err)
	}
	done := func() {
		resp.Body.Close()
		client.CloseIdleConnections()
	}
	if resp.StatusCode >= 300 {
		defer done()
		data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the status says enough
		return nil, nil, &Error{resp.StatusCode, c.refusal(resp, data), isPage(resp, data)}
	}
	return resp, done, nil
}

func (c Client) transport() (*http.Transport, error) {
	if c.URL == "" {
		return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
		}}, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.Pin != (Pin{}) {
		config.InsecureSkipVerify = true // the check of names and issuer alone; the next line checks more
		config.VerifyConnection = c.Pin.verify
	}
	if c.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, errors.New("the saved certificate is not PEM; log in again with --ca")
		}
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config}, nil
}

// refusal returns the text of an error response.
func (c Client) refusal(resp *http.Response, body []byte) string {
	text := readable(body)
	if text == "" || isPage(resp, body) { // an HTML page is unreadable in a terminal
		text = resp.Status
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized && c.Key != "":
		return text + "; log in again with: maas login " + c.URL
	case resp.StatusCode == http.StatusBadRequest && resp.TLS == nil && bytes.Contains(body, []byte("HTTPS server")):
		return c.URL + " speaks TLS; log in with https in the place of http"
	case resp.StatusCode < 400:
		return c.URL + " leads elsewhere: " + resp.Header.Get("Location")
	}
	return text
}

// isPage reports whether an answer is a web page, which the API never sends.
func isPage(resp *http.Response, body []byte) bool {
	return strings.Contains(resp.Header.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

// Date is the daemon's time, to the second.
func (c Client) Date(ctx context.Context) (time.Time, error) {
	resp, done, err := c.open(ctx, http.MethodGet, API+"version/", nil, "", nil)
	if err != nil {
		return time.Time{}, err
	}
	defer done()
	return http.ParseTime(resp.Header.Get("Date"))
}

// Get reads.
func (c Client) Get(ctx context.Context, path string, out any) error {
	return c.Do(ctx, http.MethodGet, path, nil, "", out)
}

// Post sends a form.
func (c Client) Post(ctx context.Context, path string, form url.Values, out any) error {
	return c.Send(ctx, http.MethodPost, path, form, out)
}

// Send sends a form with any method.
func (c Client) Send(ctx context.Context, method, path string, form url.Values, out any) error {
	return c.Do(ctx, method, path, strings.NewReader(form.Encode()), "application/x-www-form-urlencoded", out)
}

// MachinePath is the path of a machine by name or system ID.
func MachinePath(name string) string { return API + "machines/" + url.PathEscape(name) + "/" }

func (c Client) explain(err error) error {
	unknown, name := x509.UnknownAuthorityError{}, x509.HostnameError{}
	record, changed := tls.RecordHeaderError{}, (*ChangedError)(nil)
	switch {
	case errors.As(err, &changed):
		return fmt.Errorf("%s: %w", c.URL, changed)
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is signed by no authority that is known here; pin it with: maas login %s, or name its authority with: maas login --ca FILE %s", c.URL, c.URL, c.URL)
	case errors.As(err, &name):
		return fmt.Errorf("the certificate of %s is for other names: %w", c.URL, name)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s does not speak TLS; log in with http in the place of https", c.URL)
	case c.URL != "":
		if cause := (*url.Error)(nil); errors.As(err, &cause) {
			err = cause.Err
		}
		return fmt.Errorf("%s does not answer: %w", c.URL, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no daemon listens at %s; start one with: maas all, name its data directory with --data, or use one of the network after: maas login URL", c.Socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may only be used by the user that runs the daemon; try with sudo, or log in with: maas login URL", c.Socket)
	}
	return err
}

// readable makes one line of an error body: either text, or fields with what is wrong with each.
func readable(body []byte) string {
	var fields map[string][]string
	if json.Unmarshal(body, &fields) != nil {
		return strings.TrimSpace(string(body))
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		text := strings.Join(fields[name], ", ")
		if name != "__all__" {
			text = name + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
