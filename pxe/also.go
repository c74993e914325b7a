package pxe

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// also has the handlers of Config.Also.
type also struct{ mux *http.ServeMux }

// newAlso makes a mux of the patterns; nil when there are none.
func newAlso(patterns map[string]http.Handler) (*also, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	a := &also{mux: http.NewServeMux()}
	for pattern, handler := range patterns {
		if err := a.add(pattern, handler); err != nil {
			return nil, fmt.Errorf("pxe: Config.Also has %q: %w", pattern, err)
		}
	}
	return a, nil
}

func (a *also) add(pattern string, handler http.Handler) (err error) {
	if !strings.HasPrefix(pattern, "/") {
		return errors.New("a pattern is a path that begins with a slash, without method and host")
	}
	if handler == nil {
		return errors.New("its handler is nil")
	}
	defer func() { // ServeMux has no other way to refuse a pattern
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%v", cause)
		}
	}()
	a.mux.Handle(pattern, chosen{handler})
	return nil
}

// chosen is a handler of Config.Also, unlike one that ServeMux makes for a redirect.
type chosen struct{ http.Handler }

// serve answers a request that one of the patterns matches, and reports whether one did.
func (a *also) serve(w http.ResponseWriter, r *http.Request) bool {
	if a == nil || !clean(r.URL.Path) {
		return false
	}
	// GRUB sends paths such as //boot/..., and cannot follow a redirect.
	h, _ := a.mux.Handler(r)
	_, ok := h.(chosen)
	if ok {
		a.mux.ServeHTTP(w, r) // it sets the wildcards, which Handler does not
	}
	return ok
}

// clean reports whether a path has no doubled slashes and no dots to resolve.
func clean(p string) bool {
	c := path.Clean(p)
	return p == c || p == c+"/"
}
