package powersim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/gomaas/maas/power/powersim"
)

// client talks to a BMC by HTTP, without any driver.
type client struct {
	t    *testing.T
	http *http.Client
	base string
	head http.Header // of each request
}

// newClient trusts the certificate that the target pins.
func newClient(t *testing.T, bmc *powersim.BMC) *client {
	t.Helper()
	pin := bmc.Target().Params["tls_fingerprint"]
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); hex.EncodeToString(sum[:]) != pin {
				return errors.New("another certificate")
			}
			return nil
		},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, http: &http.Client{Transport: transport, Jar: jar}, base: "https://" + bmc.Address, head: http.Header{}}
}

// do sends a request and returns the answer with its body as JSON, nil when it has none.
func (c *client) do(method, path, body string, header ...string) (*http.Response, map[string]any) {
	c.t.Helper()
	resp, text := c.raw(c.t.Context(), method, path, body, header...)
	var out map[string]any
	if resp.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(text, &out); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return resp, out
}

func (c *client) raw(ctx context.Context, method, path, body string, header ...string) (*http.Response, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.head {
		req.Header[name] = values
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, bytes.TrimSpace(text)
}

// status sends a request and compares the status of the answer.
func (c *client) status(want int, method, path, body string, header ...string) map[string]any {
	c.t.Helper()
	resp, out := c.do(method, path, body, header...)
	if resp.StatusCode != want {
		c.t.Errorf("%s %s %s: %s, want %d: %v", method, path, body, resp.Status, want, out)
	}
	return out
}
