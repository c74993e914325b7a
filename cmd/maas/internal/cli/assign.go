package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
)

// assignments reads NAME=VALUE arguments as a form. @FILE as a value reads a file, @- reads
// standard input.
func (r *resource) assignments(args []string) (url.Values, error) {
	form := url.Values{}
	for i, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case !ok && i == 0 && r.bare != "":
			if err := r.assignBare(form, arg); err != nil {
				return nil, err
			}
			continue
		case !ok:
			return nil, fmt.Errorf("%q is not NAME=VALUE; %s has %s", arg, r.articled(), strings.Join(r.fields, ", "))
		}
		if !r.hasField(name) {
			name = strings.ReplaceAll(name, "-", "_")
		}
		if !r.hasField(name) {
			return nil, fmt.Errorf("%s has %s, and not %q%s", r.articled(), strings.Join(r.fields, ", "), name, didYouMean(name, r.fields))
		}
		text, err := contents(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		form.Add(name, text)
	}
	return form, nil
}

// assignBare sets the field that the first argument stands for when it has no "=".
func (r *resource) assignBare(form url.Values, arg string) error {
	first, second, two := strings.Cut(r.bare, "-")
	if !two {
		text, err := contents(arg)
		form.Set(first, text)
		return err
	}
	a, b, ok := strings.Cut(arg, "-")
	if !ok {
		return fmt.Errorf("%q is not %s", arg, strings.ToUpper(r.bare))
	}
	form.Set(first, a)
	form.Set(second, b)
	return nil
}

// hasField reports whether the form has a field, by name or by the beginning of its name.
func (r *resource) hasField(name string) bool {
	for _, f := range r.fields {
		if prefix, many := strings.CutSuffix(f, "*"); f == name || many && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// maxFile bounds a value that is read from a file.
const maxFile = 1 << 20

// contents returns a value, or the text of the file that it names.
func contents(value string) (string, error) {
	name, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return "", err
		}
		defer f.Close()
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("is larger than 1 MB")
	}
	return strings.TrimRight(string(data), "\r\n"), err
}
