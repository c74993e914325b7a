package maasapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// Applied is the answer to apply.
type Applied struct {
	DryRun bool `json:"dry_run"`
	// Changes were made or, in a dry run, would be.
	Changes []sitedoc.Change `json:"changes"`
	// Warnings are about what was left out, such as a rack that is not enrolled yet.
	Warnings []string `json:"warnings,omitempty"`
}

// applySite makes the site equal to a document; see package sitedoc. Query parameters are dry_run
// and prune. The document is YAML, or JSON if the content type says so.
func (a *API) applySite(r *http.Request) (any, error) {
	opts, err := applyOptions(r.URL.Query())
	if err != nil {
		return nil, err
	}
	opts.Kinds = a.power.Kinds()
	var warnings []string
	opts.Warn = func(text string) { warnings = append(warnings, text) }
	doc, data, err := readDocument(r)
	if err != nil {
		return nil, err
	}
	changes, err := sitedoc.Apply(r.Context(), a.inv, doc, opts)
	if err != nil {
		return nil, applyError(err, func(e *sitedoc.Error) int { return lineOf(data, isJSON(r), e) })
	}
	return Applied{DryRun: opts.DryRun, Changes: changes, Warnings: warnings}, nil
}

// applyOptions reads the options of the query.
func applyOptions(query url.Values) (opts sitedoc.Options, err error) {
	for name, to := range map[string]*bool{"dry_run": &opts.DryRun, "prune": &opts.Prune} {
		if *to, err = form.ParseBool(query.Get(name)); err != nil {
			return opts, form.Invalid(name, "is neither true nor false")
		}
	}
	return opts, nil
}

// readDocument reads a document of at most maxDocument bytes. Both decoders are strict: a
// misspelled key would otherwise be dropped, and with prune its objects deleted.
func readDocument(r *http.Request) (doc sitedoc.Document, data []byte, err error) {
	if data, err = io.ReadAll(r.Body); err != nil {
		return doc, nil, err
	}
	defer func() {
		if p := recover(); p != nil { // the YAML library panics on some malformed documents
			doc, data, err = sitedoc.Document{}, nil, form.Invalid("document", "is not valid YAML")
		}
	}()
	if isJSON(r) {
		err = jsonError(decodeJSON(data, &doc), data)
	} else if err = plainYAML(data); err == nil {
		err = yaml.UnmarshalWithOptions(data, &doc, yaml.Strict())
	}
	if yerr := (yaml.Error)(nil); errors.As(err, &yerr) {
		err = yamlError(yerr)
	}
	if err != nil {
		return sitedoc.Document{}, nil, form.Invalid("document", err.Error())
	}
	if !utf8.Valid(data) || form.UnfitIn(reflect.ValueOf(doc)) {
		return sitedoc.Document{}, nil, form.Invalid("document", "has a text that "+form.UnfitMessage)
	}
	return doc, data, nil
}

// isJSON reports whether the body of a request is JSON.
func isJSON(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/json"
}

// yamlError returns what is wrong and the line, without the text around it, which may be a secret.
// The library quotes malformed documents in its messages, and only names of keys are kept from
// them.
func yamlError(err yaml.Error) error {
	text := err.GetMessage()
	if syntax := (*yaml.SyntaxError)(nil); errors.As(err, &syntax) && !strings.HasPrefix(text, "mapping key ") {
		text, _, _ = strings.Cut(text, `"`)
		text = strings.TrimRight(text, ": ")
	}
	if at := err.GetToken(); at != nil && at.Position != nil {
		text = fmt.Sprintf("line %d: %s", at.Position.Line, text)
	}
	return errors.New(text)
}

// jsonError adds the line to an error of which the place is known.
func jsonError(err error, data []byte) error {
	syntax, kind := (*json.SyntaxError)(nil), (*json.UnmarshalTypeError)(nil)
	at := int64(0)
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	default:
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:min(at, int64(len(data)))], []byte("\n")), err)
}

// maxNesting bounds the open brackets of a document: the YAML library takes quadratic time for
// many.
const maxNesting = 16

// plainYAML refuses the features that make a small document large, such as aliases of aliases, or
// slow to read.
func plainYAML(data []byte) error {
	open := 0
	for _, t := range lexer.Tokenize(string(data)) {
		switch t.Type {
		case token.AliasType, token.AnchorType, token.MergeKeyType:
			return errors.New("has anchors or aliases, which are not understood")
		case token.SequenceStartType, token.MappingStartType:
			if open++; open > maxNesting {
				return errors.New("is nested too deeply")
			}
		case token.SequenceEndType, token.MappingEndType:
			open--
		}
	}
	return nil
}

// applyError keeps the name of the object in the message of an error, and adds the line.
func applyError(err error, line func(*sitedoc.Error) int) error {
	at := (*sitedoc.Error)(nil)
	inUse, stale := (*inventory.InUseError)(nil), (*inventory.StaleError)(nil)
	if !errors.As(err, &at) || errors.As(err, &inUse) || errors.As(err, &stale) {
		return err
	}
	text := at.Error()
	if n := line(at); n > 0 {
		text = fmt.Sprintf("line %d: %s", n, text)
	}
	return form.Invalid("document", text)
}

// exportSite returns the site as a document: YAML, or JSON if the client accepts nothing else.
func (a *API) exportSite(r *http.Request) (any, error) {
	doc, err := sitedoc.Export(r.Context(), a.inv)
	doc = shownDocument(r, doc)
	if err != nil || r.URL.Query().Get("format") == "json" || r.Header.Get("Accept") == "application/json" {
		return doc, err
	}
	text, err := json.Marshal(doc)
	if err == nil {
		text, err = YAML(text)
	}
	return file{"application/yaml", text}, err
}

// decodeJSON decodes JSON and refuses unknown fields, in which a typing error would be overlooked.
func decodeJSON(data []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(to)
}
