package region

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
	"github.com/gomaas/maas/cmd/maas/internal/supervise"
)

// serveAPI returns the task of the API on one socket.
func (r *Region) serveAPI(ln net.Listener) supervise.Task {
	if r.tls == nil {
		return serving(taskAPI, ln, r.Handler())
	}
	h := r.Handler()
	if !r.plainHTTP {
		h = r.refusePlain(h)
	}
	return supervise.OnSocket(taskAPI, ln, func(ctx context.Context, ln net.Listener) error {
		return httpserve.Secure(ctx, ln, r.tls, h)
	}, supervise.Reopen(ln))
}

// refusePlain answers requests of other hosts over plain HTTP with the URL to use: keys and
// passwords must not cross a network where others listen. There is no redirect, after which clients
// would go on to send them in the clear first. Pages for monitors need no key and hold no secrets.
func (r *Region) refusePlain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.TLS != nil || isPage(req.URL.Path) || httpserve.Local(req) {
			next.ServeHTTP(w, req)
			return
		}
		fingerprint, err := httpserve.Fingerprint(r.tls)
		if err != nil {
			fingerprint = "unknown: " + err.Error()
		}
		text := fmt.Sprintf("this site speaks TLS: use https://%s/; the SHA-256 fingerprint of its certificate, as in the region's log, is %s", req.Host, fingerprint)
		if req.Header.Get("Authorization") != "" || req.ContentLength != 0 {
			text += ". What came with this request has crossed the network unencrypted: change the password, or delete the key"
		}
		http.Error(w, text, http.StatusMisdirectedRequest)
	})
}

// isPage reports whether a path is of a page for monitors; see pages.
func isPage(path string) bool { return path == "/metrics" || path == "/healthz" || path == "/readyz" }
