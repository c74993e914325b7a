package boottest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// maxText bounds scripts and configurations.
const maxText = 1 << 20

// progressEvery is the number of bytes between two calls of the observer for one file.
const progressEvery = 256 << 10

// source says who fetches and how.
type source struct {
	by        string
	tftp      TFTPOptions
	probe     bool // ask for the size first
	head      bool
	userAgent string // "" = no HTTP
	redirects int
	header    http.Header // more than the usual
}

// own returns the way in which the firmware, or the loader that took its place, fetches files.
func (b *boot) own() source {
	return source{by: b.fw.Name, tftp: b.fw.TFTP, probe: b.fw.SizeProbe, head: b.fw.HTTPHead, userAgent: b.fw.UserAgent, redirects: b.fw.Redirects}
}

// binary fetches a file that is only hashed.
func (b *boot) binary(ctx context.Context, src source, stage Stage, uri string) (File, error) {
	f, err := b.fetch(ctx, src, stage, uri, io.Discard)
	return File{URL: f.URL, Size: f.Bytes, SHA256: f.SHA256}, err
}

// text fetches a file that is kept.
func (b *boot) text(ctx context.Context, src source, stage Stage, uri string) (string, error) {
	var buf limited
	_, err := b.fetch(ctx, src, stage, uri, &buf)
	return buf.String(), err
}

// image fetches something to run, a program or a script, and returns its beginning.
func (b *boot) image(ctx context.Context, src source, stage Stage, uri string) (string, error) {
	var head bytes.Buffer
	_, err := b.fetch(ctx, src, stage, uri, writerFunc(func(p []byte) (int, error) {
		head.Write(p[:min(len(p), maxText-head.Len())])
		return len(p), nil
	}))
	return head.String(), err
}

// limited keeps the beginning of what is written; more than maxText is an error.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText {
		return 0, fmt.Errorf("more than %d bytes of text", maxText)
	}
	return l.Buffer.Write(p)
}

// fetch reads a tftp or http URL, after a probe if the source makes one, and notes it in the
// report.
func (b *boot) fetch(ctx context.Context, src source, stage Stage, uri string, w io.Writer) (Fetch, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return Fetch{}, err
	}
	if src.probe && u.Scheme == "tftp" || src.head && u.Scheme == "http" {
		if f, err := b.one(ctx, src, stage, u, true, io.Discard); err != nil {
			return f, err
		}
	}
	return b.one(ctx, src, stage, u, false, w)
}

func (b *boot) one(ctx context.Context, src source, stage Stage, u *url.URL, probe bool, w io.Writer) (Fetch, error) {
	f := Fetch{Stage: stage, URL: u.String(), By: src.by, Start: time.Now(), Size: -1, Probe: probe}
	hash := &digest{known: b.cfg.Known}
	seen := int64(0)
	tick := func() {
		if f.Bytes-seen >= progressEvery {
			seen = f.Bytes
			b.progress(Progress{Stage: stage, What: f.URL, Bytes: f.Bytes, Total: f.Size})
		}
	}
	b.progress(Progress{Stage: stage, What: f.URL, Total: -1})
	err := b.transfer(ctx, src, u, probe, io.MultiWriter(w, hash), &f, tick)
	if f.Duration = time.Since(f.Start); err != nil {
		f.Err = err.Error()
		err = fmt.Errorf("%s: %s: %w", stage, f.URL, err)
	} else if !probe {
		f.SHA256 = hash.sum()
	}
	b.report.Fetches = append(b.report.Fetches, f)
	b.progress(Progress{Stage: stage, What: f.URL, Bytes: f.Bytes, Total: f.Size, Done: true, Err: err, Fetch: &f})
	return f, err
}

func (b *boot) transfer(ctx context.Context, src source, u *url.URL, probe bool, w io.Writer, f *Fetch, tick func()) error {
	switch {
	case u.Scheme == "tftp":
		server, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return err
		}
		if err = b.tftp(ctx, server, tftpName(u), src.tftp, probe, w, f, tick); errors.Is(err, errProbed) {
			err = nil
		}
		return err
	case u.Scheme == "http" && src.userAgent != "":
		return b.http(ctx, src, u, probe, w, f, tick)
	}
	return fmt.Errorf("%s speaks no %s", src.by, u.Scheme)
}

// tftpName is the file name in a tftp URL: what follows the slash after the server. A name with a
// leading slash has two.
func tftpName(u *url.URL) string {
	return strings.TrimPrefix(u.Path, "/")
}

// http reads a URL, or asks for its headers.
func (b *boot) http(ctx context.Context, src source, u *url.URL, head bool, w io.Writer, f *Fetch, tick func()) error {
	method := http.MethodGet
	if head {
		method = http.MethodHead
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return err
	}
	for name, values := range src.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", src.userAgent)
	client := b.httpClient(src.redirects)
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f.Status, f.Size = resp.StatusCode, resp.ContentLength
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("http status 404: %w", fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("http status %d", resp.StatusCode)
	case head:
		return nil
	case resp.ContentLength < 0:
		return errors.New("no Content-Length: firmware would wait for the end for ever")
	}
	_, err = io.Copy(writerFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		f.Bytes += int64(n)
		tick()
		return n, err
	}), resp.Body)
	return err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// httpClient makes a client on the machine's own network. It asks for no compression, as firmware
// does not.
func (b *boot) httpClient(redirects int) *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: b.dial, DisableCompression: true},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > redirects {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}
