// Package client talks to the API of a running daemon over its command socket.
package client

import (
	"context"
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
)

// API is the path of the MAAS API.
const API = "/MAAS/api/2.0/"

// A Client sends each request over a connection of its own. The zero Client has no daemon.
type Client struct {
	// Socket is the path of the daemon's command socket.
	Socket string
}

// Do sends one request and decodes the answer into out, unless that is nil or there is none. An answer that is not a
// success becomes an error with what it says, on one line.
func (c Client) Do(ctx context.Context, method, path string, body io.Reader, contentType string, out any) error {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
		},
	}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://maas"+path, body)
	if err != nil {
		return err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return errors.New(readable(data))
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, out)
}

// Get reads.
func (c Client) Get(ctx context.Context, path string, out any) error {
	return c.Do(ctx, http.MethodGet, path, nil, "", out)
}

// Post sends a form.
func (c Client) Post(ctx context.Context, path string, form url.Values, out any) error {
	return c.Do(ctx, http.MethodPost, path, strings.NewReader(form.Encode()), "application/x-www-form-urlencoded", out)
}

// MachinePath is the path of a machine by name or system ID.
func MachinePath(name string) string { return API + "machines/" + url.PathEscape(name) + "/" }

func (c Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no daemon listens at %s; start one with: maas all, or name its data directory with --data", c.Socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may only be used by the user that runs the daemon; try with sudo", c.Socket)
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
