package maasapi

import (
	"context"
	"net/http"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// crud serves one kind of object: it finds them, shows them, reads them from a form and stores
// them. Operations whose function is nil are not served.
type crud[T any] struct {
	tx    transactor
	all   func(r *http.Request) ([]T, error)
	find  func(r *http.Request) (T, error) // the object of the path
	shown any                              // a value of the type that show returns, for the description of the API
	show  func(r *http.Request, objects []T) ([]any, error)
	fresh func(r *http.Request) (T, error) // a new object before the form is read; nil = the zero value
	// slow work on the form, done before the transaction begins, since SQLite has one writer; nil =
	// none
	ready  func(r *http.Request, f *form.Form)
	read   func(r *http.Request, f *form.Form, to *T)
	create func(ctx context.Context, x T) (T, error)
	update func(ctx context.Context, x T) (T, error)
	remove func(ctx context.Context, r *http.Request, x T) error
}

// routes returns the endpoints below two paths: the path of the collection and the path of one
// object.
func (c crud[T]) routes(collection, item string) []route {
	var out []route
	add := func(supported bool, x route) {
		if supported {
			out = append(out, x)
		}
	}
	add(c.all != nil, route{method: "GET", path: collection, handle: c.list, answer: c.shown, list: true})
	add(c.create != nil, route{method: "POST", path: collection, handle: c.post, answer: c.shown})
	add(c.find != nil, route{method: "GET", path: item, handle: c.get, answer: c.shown})
	add(c.update != nil, route{method: "PUT", path: item, handle: c.put, answer: c.shown})
	add(c.remove != nil, route{method: "DELETE", path: item, handle: c.delete})
	return out
}

// list returns all objects. It returns an empty list instead of null, which clients would not
// accept.
func (c crud[T]) list(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{r.URL.Path + "?op=" + op}
	}
	all, err := c.all(r)
	if err != nil {
		return nil, err
	}
	shown, err := c.show(r, all)
	if shown == nil {
		shown = []any{}
	}
	return shown, err
}

// one shows one object with its version, unless err says that it was not found.
func (c crud[T]) one(r *http.Request, x T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	shown, err := c.show(r, []T{x})
	if err != nil {
		return nil, err
	}
	return tagged(x, shown[0], nil)
}

// get returns the object of the path.
func (c crud[T]) get(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{r.URL.Path + "?op=" + op}
	}
	x, err := c.find(r)
	return c.one(r, x, err)
}

// form reads the form of a request that creates or changes an object.
func (c crud[T]) form(r *http.Request) (*form.Form, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{r.URL.Path + "?op=" + op}
	}
	f, err := form.Read(r)
	if err == nil && c.ready != nil {
		c.ready(r, f)
		err = f.Err
	}
	return f, err
}

// post creates an object. The form's references are resolved in the same transaction, so that none
// of them is deleted in between.
func (c crud[T]) post(r *http.Request) (any, error) {
	f, err := c.form(r)
	if err != nil {
		return nil, err
	}
	var x T
	err = c.tx.Atomically(r.Context(), func(ctx context.Context) error {
		r := r.WithContext(ctx)
		if c.fresh != nil {
			if x, err = c.fresh(r); err != nil {
				return err
			}
		}
		c.read(r, f, &x)
		if err := f.Rest(); err != nil {
			return err
		}
		x, err = c.create(ctx, x)
		return err
	})
	return c.one(r, x, err)
}

// put changes the fields that the form has and no others.
func (c crud[T]) put(r *http.Request) (any, error) {
	f, err := c.form(r)
	if err != nil {
		return nil, err
	}
	var shown any
	err = c.tx.Atomically(r.Context(), func(ctx context.Context) error {
		r := r.WithContext(ctx)
		x, err := c.find(r)
		if err != nil {
			return err
		}
		if err := ifMatch(r, x); err != nil {
			return err
		}
		c.read(r, f, &x)
		if err := f.Rest(); err != nil {
			return err
		}
		if x, err = c.update(ctx, x); err != nil {
			return err
		}
		shown, err = c.again(r, x)
		return err
	})
	return shown, err
}

// again shows an object as it is stored now. If the change renamed it, the path no longer finds it,
// and the object is shown as it was written.
func (c crud[T]) again(r *http.Request, x T) (any, error) {
	if now, err := c.find(r); err == nil {
		x = now
	}
	return c.one(r, x, nil)
}

// delete deletes the object of the path. It is found and checked in the same transaction, so that
// If-Match holds until then.
func (c crud[T]) delete(r *http.Request) (any, error) {
	return nil, c.tx.Atomically(r.Context(), func(ctx context.Context) error {
		r := r.WithContext(ctx)
		x, err := c.find(r)
		if err != nil {
			return err
		}
		if err := ifMatch(r, x); err != nil {
			return err
		}
		return c.remove(ctx, r, x)
	})
}

// each returns a function that shows objects one by one.
func each[T any](show func(T) any) func(*http.Request, []T) ([]any, error) {
	return func(_ *http.Request, objects []T) ([]any, error) {
		out := []any{}
		for _, x := range objects {
			out = append(out, show(x))
		}
		return out, nil
	}
}

// every returns a function that reads a list, whatever the request is.
func every[T any](list func(context.Context) ([]T, error)) func(*http.Request) ([]T, error) {
	return func(r *http.Request) ([]T, error) { return list(r.Context()) }
}

// numbered returns a function that finds the object whose number is in the path.
func numbered[T any](get func(context.Context, int64) (T, error)) func(*http.Request) (T, error) {
	return func(r *http.Request) (T, error) {
		id, err := pathID(r)
		if err != nil {
			var none T
			return none, err
		}
		return get(r.Context(), id)
	}
}

// removing returns a function that deletes an object by number.
func removing[T any](remove func(context.Context, int64) error, id func(T) int64) func(context.Context, *http.Request, T) error {
	return func(ctx context.Context, _ *http.Request, x T) error { return remove(ctx, id(x)) }
}
