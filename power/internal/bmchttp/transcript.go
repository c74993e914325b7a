package bmchttp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
)

// layer names exchanges of HTTP in a transcript.
const layer = "http"

// maxBody bounds the part of an answer that a transcript keeps.
const maxBody = 1 << 20

// transcribed records requests and answers, or plays them back.
type transcribed struct {
	next *http.Transport
	t    *power.Transcript
}

// CloseIdleConnections implements the method that http.Client.CloseIdleConnections looks for.
func (t *transcribed) CloseIdleConnections() { t.next.CloseIdleConnections() }

// RoundTrip implements http.RoundTripper.
func (t *transcribed) RoundTrip(req *http.Request) (*http.Response, error) {
	request, err := describe(req)
	if err != nil {
		return nil, err
	}
	if t.t.Replays() {
		e, err := t.t.Replay(layer, request)
		if err != nil {
			return nil, err
		}
		return http.ReadResponse(bufio.NewReader(strings.NewReader(e.Answer)), req)
	}
	e := power.Exchange{Time: time.Now(), Layer: layer, Request: request}
	resp, err := t.next.RoundTrip(req)
	if err == nil {
		e.Answer, err = answer(resp)
	}
	e.Took = time.Since(e.Time)
	if err != nil {
		e.Err = err.Error()
	}
	t.t.Record(e)
	if resp != nil { // a body that is cut short is the caller's to notice
		return resp, nil
	}
	return nil, err
}

// describe is the method and the path, and the body below it. Values in the query are left out:
// people put keys there.
func describe(req *http.Request) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", req.Method, req.URL.EscapedPath())
	for i, name := range names(req.URL.Query()) {
		fmt.Fprintf(&b, "%c%s=***", "?&"[min(i, 1)], name)
	}
	// A playback compares this text, so it holds nothing that differs from run to run, such as
	// header fields.
	if req.Body == nil || req.Body == http.NoBody {
		return b.String(), nil
	}
	body, err := io.ReadAll(req.Body)
	req.Body.Close()
	if err != nil {
		return "", err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	fmt.Fprintf(&b, "\n%s", body)
	return b.String(), nil
}

func names(query url.Values) []string {
	out := make([]string, 0, len(query))
	for name := range query {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// kept are the header fields of an answer that drivers look at. Without the challenge of digest
// authentication a playback would end with the refusal that it begins with.
var kept = []string{"Content-Type", "Etag", "Location", "Allow", "Retry-After", "Www-Authenticate"}

// answer is the response as text. Its body can still be read.
func answer(resp *http.Response) (string, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	rest := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", resp.StatusCode, http.StatusText(resp.StatusCode))
	for _, name := range kept {
		for _, value := range resp.Header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	if resp.Header.Get("X-Auth-Token") != "" {
		b.WriteString("X-Auth-Token: ***\n")
	}
	fmt.Fprintf(&b, "\n%s", body) // up to the end: its length changes when secrets are taken out
	return b.String(), err
}
