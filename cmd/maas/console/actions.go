package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

// action is one thing that a form does: one request to the API.
type action struct {
	name string // in the address of the form, below /do/
	// role is the least role that may do it. The API decides; forms that it would refuse are not
	// shown.
	role   inventory.Role
	method string
	// path is the path of the call. {name} is replaced by the field of the form with that name.
	path string
	// fields of the form are sent on. A field that the form has not is left out.
	fields []string
	fixed  url.Values // further fields that are sent
	// command is the maas command that does the same, with {name} as in path.
	command string
	flags   map[string]string // added to command if a field has a value, by "field=value"
	done    string            // the text on the page after it
}

// actions are all that forms do.
func actions() []action {
	return append(append(machineActions(), networkActions()...), siteActions()...)
}

// fill replaces each {name} in a text by the field of a form.
func fill(text string, form url.Values, escape func(string) string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		name, after, ok := strings.Cut(rest, "}")
		if !found || !ok {
			return b.String()
		}
		b.WriteString(escape(form.Get(name)))
		text = after
	}
}

// call returns the request that the action makes of a form.
func (a action) call(form url.Values) call {
	x := call{method: a.method, path: fill(a.path, form, url.PathEscape), match: form.Get("version")}
	if a.method != http.MethodDelete {
		x.form = url.Values{}
		for name, values := range a.fixed {
			x.form[name] = values
		}
		for _, name := range a.fields {
			for key, values := range form {
				if key == name || strings.HasSuffix(name, "*") && strings.HasPrefix(key, strings.TrimSuffix(name, "*")) {
					x.form[key] = values
				}
			}
		}
	}
	return x
}

// act serves the forms of all actions.
func (c *Console) act(w http.ResponseWriter, r *http.Request) error {
	a, ok := c.actions[r.PathValue("action")]
	if !ok {
		return &refusal{Status: http.StatusNotFound, Text: "There is no such action."}
	}
	x := a.call(r.PostForm)
	err := c.ask(r, x, nil)
	var no *refusal
	if errors.As(err, &no) {
		if no.Status == http.StatusPreconditionFailed {
			return c.conflict(w, r, a, x)
		}
		return c.refused(w, r, a, x, no)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, withDone(c.nextOf(r), a.name), http.StatusSeeOther)
	return nil
}

// withDone adds the name of an action to the address of the page after it.
func withDone(next, name string) string {
	u, err := url.Parse(next)
	if err != nil {
		return next
	}
	q := u.Query()
	q.Set("done", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// refusedView is the data of the page about a refusal.
type refusedView struct {
	*refusal
	Next   string
	Action string
	Fields []sentField
	Why    []fieldError
}

// sentField is a field of a form, with the value that the object has meanwhile.
type sentField struct {
	Name        string
	Yours, Now  string
	Long        bool
	Secret      bool
	Differs     bool
	Unavailable bool // the object does not show the field
}

// refused shows why the API refused a form, with the form to be corrected.
func (c *Console) refused(w http.ResponseWriter, r *http.Request, a action, x call, no *refusal) error {
	view := refusedView{refusal: no, Next: c.nextOf(r), Action: a.name, Why: no.Fields}
	for _, name := range formFields(r.PostForm) {
		view.Fields = append(view.Fields, sentField{Name: name, Yours: r.PostForm.Get(name), Secret: secretField(name)})
	}
	return c.show(w, r, "refused", frame{Title: "Refused", Status: no.Status, Command: shellLine(a, r.PostForm), Call: x.method + " " + x.path, Data: view})
}

// conflictView is the data of the page about an object that was changed meanwhile.
type conflictView struct {
	Next, Action, Version string
	Fields                []sentField
	Gone                  bool
}

// conflict shows both versions of an object that was changed since the form was shown: what the
// user sent, and what the object has now. The form of the page has the new version, so that sending
// it again is a decision made with both in view.
func (c *Console) conflict(w http.ResponseWriter, r *http.Request, a action, x call) error {
	view := conflictView{Next: c.nextOf(r), Action: a.name}
	var have map[string]any
	version, err := c.askVersion(r, call{method: "GET", path: x.path}, &have)
	if no := (*refusal)(nil); errors.As(err, &no) {
		view.Gone = true
	} else if err != nil {
		return err
	}
	view.Version = version
	for _, name := range formFields(r.PostForm) {
		if name == "version" {
			continue
		}
		now, ok := have[name]
		f := sentField{Name: name, Yours: r.PostForm.Get(name), Now: textOf(now), Secret: secretField(name), Unavailable: !ok}
		f.Differs = ok && f.Now != f.Yours
		view.Fields = append(view.Fields, f)
	}
	return c.show(w, r, "conflict", frame{
		Title: "Changed meanwhile", Status: http.StatusPreconditionFailed, Command: shellLine(a, r.PostForm), Call: x.method + " " + x.path, Data: view,
	})
}

// secretField reports whether a field holds a secret, which no page repeats.
func secretField(name string) bool {
	return strings.Contains(name, "pass") || strings.Contains(name, "secret") || strings.Contains(name, "_key") || strings.Contains(name, "token")
}

// shellLine returns the command of an action with its values.
func shellLine(a action, form url.Values) string {
	line := fill(a.command, form, shellWord)
	for _, condition := range sortedKeys(a.flags) {
		if name, value, _ := strings.Cut(condition, "="); form.Get(name) == value {
			line += " " + a.flags[condition]
		}
	}
	return line
}

// shellWord quotes a word for a POSIX shell unless it is plain.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
