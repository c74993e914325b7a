package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Access describes a request that was answered, refused or forwarded.
type Access struct {
	Time   time.Time // when it came
	Client netip.Addr
	Method string
	// URL is the origin's, for CONNECT host and port.
	URL string
	// Proto is the protocol of the request, such as HTTP/1.1.
	Proto string
	// Status is the status that the client got. Zero means that the connection ended before.
	Status int
	// Bytes counts the body bytes sent to the client; for a tunnel, the bytes from the destination.
	Bytes int64
	// Cache is the value of Cache-Status (RFC 9211) without the cache's name: "hit", "fwd=miss;
	// stored", "fwd=miss; collapsed" and so on. It is empty if the cache was not asked.
	Cache string
	// Duration is from the request to the end of the answer.
	Duration time.Duration
}

// recorder counts what goes to a client. It keeps io.ReaderFrom in reach, by which files go out
// with sendfile.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(code int) {
	if r.status == 0 && code >= 200 {
		r.status = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// tunnelled notes the bytes of a hijacked connection.
func tunnelled(w http.ResponseWriter, bytes int64) {
	if r, ok := w.(*recorder); ok {
		r.status, r.bytes = http.StatusOK, bytes
	}
}

// withoutUser is a URL without the credentials that clients put into it.
func withoutUser(u *url.URL) string {
	if u.User == nil {
		return u.String()
	}
	bare := *u
	bare.User = nil
	return bare.String()
}

// record serves a request and reports it, also when serving ends in a panic that ends the
// connection.
func (p *Proxy) record(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w}
	a := Access{Time: time.Now(), Client: clientOf(r), Method: r.Method, URL: withoutUser(r.URL), Proto: r.Proto}
	if r.Method == http.MethodConnect {
		a.URL = r.URL.Host
	} else if routed := p.policy.Load().route(r); r.URL.Host == "" && routed != nil {
		a.URL = routed.URL.String()
	}
	defer func() {
		a.Status, a.Bytes, a.Duration = rec.status, rec.bytes, time.Since(a.Time)
		if lines := w.Header()["Cache-Status"]; len(lines) > 0 {
			if how, ours := strings.CutPrefix(lines[len(lines)-1], cacheName+"; "); ours {
				a.Cache = how
			}
		}
		p.traffic.count(p.policy.Load(), &a)
		if p.access != nil {
			p.access(a)
		}
	}()
	p.serve(rec, r)
}
