package maasapi

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// versioned is an answer about an object that counts its changes.
type versioned struct {
	version int64
	body    any
}

// versionOf returns how often an object was changed; 0 if its type does not count that.
func versionOf(x any) int64 {
	v := reflect.ValueOf(x)
	if v.Kind() != reflect.Struct {
		return 0
	}
	field := v.FieldByName("Version")
	if !field.IsValid() || field.Kind() != reflect.Int64 {
		return 0
	}
	return field.Int()
}

// tagged adds the object's version to an answer.
func tagged(x, shown any, err error) (any, error) {
	if v := versionOf(x); err == nil && v > 0 {
		return versioned{v, shown}, nil
	}
	return shown, err
}

// etag is a strong validator: two answers with one version are equal.
func etag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// changedSince reports a write to an older version of an object than the stored one.
type changedSince struct{ have, want string }

func (e *changedSince) Error() string {
	return fmt.Sprintf("the object is at version %s, and the request wants to change %s; read it again", e.have, e.want)
}

// ifMatch refuses a write if the client has another version of the object (RFC 9110 section
// 13.1.1).
func ifMatch(r *http.Request, x any) error {
	want := r.Header.Get("If-Match")
	if want == "" || strings.TrimSpace(want) == "*" {
		return nil
	}
	have := etag(versionOf(x))
	for _, tag := range strings.Split(want, ",") {
		if strings.TrimSpace(tag) == have && versionOf(x) > 0 {
			return nil
		}
	}
	return &changedSince{have, want}
}

// page returns the part of a list that limit and offset select, and links to its neighbors in the
// header (RFC 8288). Without the two it returns the whole list, since clients of MAAS expect that.
func page(w http.ResponseWriter, r *http.Request, out any) (any, error) {
	query := r.URL.Query()
	list := reflect.ValueOf(out)
	if r.Method != http.MethodGet || list.Kind() != reflect.Slice || !query.Has("limit") && !query.Has("offset") {
		return out, nil
	}
	f := &form.Form{Values: query}
	limit, offset := list.Len(), 0
	f.Number("limit", &limit)
	f.Number("offset", &offset)
	if f.Err == nil && (limit < 1 || offset < 0) {
		f.Wrong("limit", "is at least 1, and offset at least 0")
	}
	if f.Err != nil {
		return nil, f.Err
	}
	from := min(offset, list.Len())
	to := from + min(limit, list.Len()-from)
	link := func(rel string, offset int) {
		query.Set("offset", fmt.Sprint(max(offset, 0)))
		query.Set("limit", fmt.Sprint(limit))
		w.Header().Add("Link", fmt.Sprintf(`<%s?%s>; rel="%s"`, r.URL.EscapedPath(), query.Encode(), rel))
	}
	if to < list.Len() {
		link("next", to)
	}
	if from > 0 {
		link("prev", from-limit)
	}
	w.Header().Set("X-Total-Count", fmt.Sprint(list.Len()))
	return list.Slice(from, to).Interface(), nil
}
