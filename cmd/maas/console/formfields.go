package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// formFields returns the names of the fields of a form that are of its object, in order.
func formFields(form url.Values) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "csrf" && name != "next" {
			names = append(names, name)
		}
	}
	return names
}

// textOf returns a value of an answer as a form has it.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.0f", v), ".")
	case map[string]any:
		for _, name := range []string{"name", "cidr"} {
			if text, ok := v[name].(string); ok {
				return text
			}
		}
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, textOf(e))
		}
		return strings.Join(parts, " ")
	}
	text, _ := json.Marshal(v) // decoded from JSON, so it encodes
	return string(text)
}

// askVersion is ask, and returns the version of the object in the answer; "" = it has none.
func (c *Console) askVersion(r *http.Request, x call, out any) (string, error) {
	req, err := c.request(r, sessionOf(r).key, x)
	if err != nil {
		return "", err
	}
	w := &recorder{header: http.Header{}}
	c.cfg.API.ServeHTTP(w, req)
	if w.status >= http.StatusBadRequest {
		return "", refusalOf(w)
	}
	return strings.Trim(w.header.Get("ETag"), `"`), json.Unmarshal(w.body.Bytes(), out)
}
