package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// YAML writes JSON as YAML in blocks, fields in their order. Texts are written without quotes only
// where every reader of YAML, 1.1 or 1.2, takes them for texts. An error says that the text is no
// JSON.
//
// JSONToYAML of goccy/go-yaml 1.19 was tried instead. It writes .inf, <<, MAC addresses and keys
// with line breaks without quotes, so that readers of YAML 1.1 take them for numbers or merges and
// it does not read them back itself, and 1.50 as 1.5; the tests hold both.
func YAML(text []byte) ([]byte, error) {
	w := yamlWriter{dec: json.NewDecoder(bytes.NewReader(text))}
	w.dec.UseNumber()
	if err := w.value(0, alone); err != nil {
		return nil, fmt.Errorf("maasapi: JSON as YAML: %w", err)
	}
	return w.out.Bytes(), nil
}

// place is the position of a value in its line.
type place int

const (
	alone place = iota
	behindKey
	behindDash
)

// yamlWriter writes tokens as they are decoded, so that fields keep their order, which maps would
// lose.
type yamlWriter struct {
	dec *json.Decoder
	out bytes.Buffer
}

// value writes the next value; what it consists of is indented by that many spaces.
func (w *yamlWriter) value(indent int, at place) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	if at == behindKey && (token == json.Delim('{') || token == json.Delim('[')) && w.dec.More() {
		w.out.WriteByte('\n')
	} else if at == behindKey {
		w.out.WriteByte(' ')
	}
	delim, is := token.(json.Delim)
	if !is {
		w.out.WriteString(yamlScalar(token) + "\n")
		return nil
	}
	if !w.dec.More() {
		w.out.WriteString(map[json.Delim]string{'{': "{}\n", '[': "[]\n"}[delim])
	}
	if delim == '{' && at == behindKey {
		indent += 2
	}
	for first := true; w.dec.More(); first = false {
		if !first || at != behindDash {
			w.out.WriteString(strings.Repeat(" ", indent))
		}
		if err := w.element(delim, indent); err != nil {
			return err
		}
	}
	_, err = w.dec.Token()
	return err
}

// element writes an element of a list, or a field of an object.
func (w *yamlWriter) element(of json.Delim, indent int) error {
	if of == '[' {
		w.out.WriteString("- ")
		return w.value(indent+2, behindDash)
	}
	key, err := w.dec.Token()
	if err != nil {
		return err
	}
	w.out.WriteString(yamlScalar(key) + ":")
	return w.value(indent, behindKey)
}

// yamlScalar writes a value that is no list or object.
func yamlScalar(token json.Token) string {
	switch v := token.(type) {
	case nil:
		return "null"
	case string:
		return yamlText(v)
	}
	return fmt.Sprint(token) // true, false and numbers
}

var (
	// yamlPlain are words, paths and names of hosts; and IPv4 addresses and networks.
	yamlPlain = regexp.MustCompile(`^([A-Za-z_/][-A-Za-z0-9_./]*( [A-Za-z0-9_./]+[-A-Za-z0-9_./]*)*|\d+(\.\d+){3}(/\d+)?)$`)
	// yamlWords are not texts in YAML, in any case of letters.
	yamlWords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
)

// yamlText writes a text, in quotes unless it is certain that every reader takes it for a text.
// JSON's quoting is a subset of YAML's, apart from characters that YAML does not print.
func yamlText(text string) string {
	if yamlPlain.MatchString(text) && !slices.Contains(yamlWords, strings.ToLower(text)) {
		return text
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	if enc.Encode(text) != nil { // texts always encode
		return `""`
	}
	var out strings.Builder
	for _, r := range strings.TrimSuffix(quoted.String(), "\n") {
		if r >= 0x7F && r < 0xA0 || r == 0xFEFF || r == 0xFFFE || r == 0xFFFF { // not printable (YAML 1.2 section 5.1)
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}
