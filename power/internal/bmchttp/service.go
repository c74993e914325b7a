package bmchttp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/power"
)

// Ask sends a request and returns the status and the body of the answer, at most maxBody of it.
func Ask(client *http.Client, op string, req *http.Request) (code int, body []byte, err error) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, Transport(req.Context(), op, err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return 0, nil, Transport(req.Context(), op, err)
	}
	return resp.StatusCode, body, nil
}

// A Service is a web service that answers in JSON. It switches machines, or has machines behind it.
type Service struct {
	HTTP *http.Client
	// Base is the URL that paths are appended to.
	Base string
	// Name is the name of what is expected at the address, and Param the parameter that has the
	// address, for errors.
	Name, Param string
	// Sign adds credentials to a request. If nil, it has none.
	Sign func(*http.Request)
	// Detail returns the reason that the answer of a failure holds. If nil, errors have none.
	Detail func(body []byte) string
}

// Do sends in, as a form if it is url.Values, else as JSON, and decodes the answer into out; nil
// leaves either out.
func (s *Service) Do(ctx context.Context, op, method, path string, in, out any) error {
	req, err := s.request(ctx, op, method, path, in)
	if err != nil {
		return err
	}
	code, body, err := Ask(s.HTTP, op, req)
	if err != nil {
		return err
	}
	// An answer without a body is JSON enough: it has nothing to misread.
	foreign := len(bytes.TrimSpace(body)) > 0 && !json.Valid(body)
	detail := ""
	if s.Detail != nil && !foreign {
		detail = s.Detail(body)
	}
	err = Status(op, code, detail)
	switch class := power.ClassOf(err); {
	// A page instead of an answer, or a redirect to one, comes from another program.
	case foreign && (err == nil || class == power.Settings || code >= 300 && code < 400):
		return s.foreign(op, code)
	case err != nil || out == nil:
		return err
	}
	if json.Unmarshal(body, out) != nil {
		return s.foreign(op, code)
	}
	return nil
}

func (s *Service) foreign(op string, code int) error {
	return power.Errorf(power.Settings, op, "HTTP %d and no answer of %s; see the host and the port of %s", code, s.Name, s.Param)
}

func (s *Service) request(ctx context.Context, op, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	kind := ""
	switch v := in.(type) {
	case nil:
	case url.Values:
		body, kind = strings.NewReader(v.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return nil, power.Errorf(power.Settings, op, "%w", err)
		}
		body, kind = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Base+path, body)
	if err != nil {
		return nil, power.Errorf(power.Settings, op, "%s is not the address of a service", s.Param)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gomaas")
	if s.Sign != nil {
		s.Sign(req)
	}
	return req, nil
}
