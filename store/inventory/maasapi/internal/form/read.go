package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxBody is the largest request body in bytes that [Read] takes. The caller bounds the body, since
// other bodies are read too.
const MaxBody = 1 << 20

// Read reads the form of a request: URL-encoded, multipart, or a JSON object, which MAAS takes too.
// It sets r.PostForm to the fields, whatever the encoding.
func Read(r *http.Request) (*Form, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if empty, err := emptyBody(r); err != nil {
		return nil, readError(err)
	} else if empty { // in any encoding: some clients send a type with no body, or a multipart body without parts
		r.PostForm = url.Values{}
		return &Form{Values: r.PostForm}, nil
	}
	if packed := r.Header.Get("Content-Encoding"); packed != "" && packed != "identity" {
		return nil, &MediaTypeError{kind + " in " + packed}
	}
	var err error
	switch kind {
	case "application/json":
		err = parseJSON(r)
	case "multipart/form-data":
		if err = r.ParseMultipartForm(MaxBody); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("its last part has no end, or none of its parts begins with the boundary of the Content-Type")
		}
	case "application/x-www-form-urlencoded":
		err = r.ParseForm()
	default:
		return nil, &MediaTypeError{kind}
	}
	if err != nil {
		return nil, readError(err)
	}
	if r.PostForm == nil {
		r.PostForm = url.Values{}
	}
	// The names are sorted so that the same request is always refused for the same field.
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		if Unfit(name) || slices.ContainsFunc(r.PostForm[name], Unfit) {
			return nil, &InvalidError{name, UnfitMessage}
		}
	}
	return &Form{Values: r.PostForm}, nil
}

// emptyBody reports whether the body has no bytes, or is a multipart body without a part. It leaves
// the body to be read.
func emptyBody(r *http.Request) (bool, error) {
	if r.Body == nil {
		return true, nil
	}
	// The end of a multipart body is its boundary between two pairs of hyphens.
	_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	end := "--" + params["boundary"] + "--"
	head := make([]byte, len(end)+2*len("\r\n")+1)
	n, err := io.ReadFull(r.Body, head)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if n == 0 || params["boundary"] != "" && strings.TrimSpace(string(head[:n])) == end {
			return true, nil
		}
	case err != nil:
		return false, err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head[:n]), r.Body), r.Body}
	return false, nil
}

// readError describes why a form cannot be read. Errors with a status of their own stay as they
// are.
func readError(err error) error {
	tooBig, unread := (*http.MaxBytesError)(nil), (*MediaTypeError)(nil)
	if errors.As(err, &tooBig) || errors.As(err, &unread) {
		return err
	}
	return &InvalidError{"__all__", "the form cannot be read: " + err.Error()}
}

// MediaTypeError reports a body of a type that is not read.
type MediaTypeError struct{ Type string }

func (e *MediaTypeError) Error() string {
	return fmt.Sprintf("a body of type %q is not read; send the fields as application/x-www-form-urlencoded, multipart/form-data or application/json", e.Type)
}

// parseJSON reads the fields of a JSON object: a list is a field with several values, an object
// stays JSON, and null is an absent field.
func parseJSON(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) { // the decoder would replace the characters silently
		return errors.New("the JSON " + UnfitMessage)
	}
	var fields map[string]json.RawMessage
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &fields); err != nil {
			return err
		}
	}
	r.PostForm = url.Values{}
	for name, raw := range fields {
		if string(raw) != "null" {
			r.PostForm[name] = values(raw)
		}
	}
	return nil
}

// values returns a JSON value as a form has it. An empty list becomes one empty text, since that is
// how a form empties a list.
func values(raw json.RawMessage) []string {
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	if len(list) == 0 {
		return []string{""}
	}
	out := make([]string, len(list))
	for i, one := range list {
		if json.Unmarshal(one, &out[i]) != nil { // numbers, flags and objects keep their JSON text
			out[i] = string(one)
		}
	}
	return out
}
