package console

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// frame holds the values of the layout, with the data of a page.
type frame struct {
	Title  string
	Status int    // of HTTP; 0 = 200
	Here   string // entry of the navigation that the page belongs to
	// Command is the maas command that does the same, and Call the request to the API, whose method
	// is GET unless the text begins with another one.
	Command, Call string
	Data          any

	// The rest is filled in by show.
	Base    string
	User    inventory.User
	Trusted bool
	Token   string // of forms
	Done    string // what the form before this page did; "" = nothing
	Path    string // of this page, to return to after a form
	Nav     []navEntry
	Now     time.Time
}

// navEntry is one entry of the navigation.
type navEntry struct {
	Name, Path string
	Here       bool
}

// navigation lists the parts of the page, in the order of use.
var navigation = []navEntry{
	{Name: "Overview", Path: "/"}, {Name: "Boots", Path: "/boots"}, {Name: "Machines", Path: "/machines"},
	{Name: "Networks", Path: "/networks"}, {Name: "Leases", Path: "/leases"}, {Name: "Devices", Path: "/devices"}, {Name: "Names", Path: "/names"},
	{Name: "Racks", Path: "/racks"}, {Name: "Images", Path: "/images"}, {Name: "Doctor", Path: "/doctor"}, {Name: "Events", Path: "/events"},
	{Name: "Audit", Path: "/audit"}, {Name: "Docs", Path: "/docs"},
}

// Operator reports whether the user may do what operators may.
func (f frame) Operator() bool {
	return f.User.Role == inventory.RoleAdmin || f.User.Role == inventory.RoleOperator
}

// Admin reports whether the user is an administrator.
func (f frame) Admin() bool { return f.User.Role == inventory.RoleAdmin }

// loadPages parses the templates: each file is a page in the layout, apart from the layout and the
// parts, whose names begin with an underscore.
func (c *Console) loadPages() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(c.functions()).ParseFS(embedded, "templates/_*.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(embedded, "templates/[a-z]*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(embedded, name)
		}
		if err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return pages, nil
}

// functions returns the functions of templates.
func (c *Console) functions() template.FuncMap {
	return template.FuncMap{
		"file": c.fileURL, "ago": ago, "stamp": stamp, "size": size, "took": took, "join": strings.Join, "plural": plural,
		"link": c.link, "lives": func() []string { return tokenLives },
	}
}

// link returns the address of a page: a path below Base, and values that follow it. They are
// escaped here, since html/template takes a value beside another action for the start of an
// address, and refuses a rack with the name "javascript:x".
func (c *Console) link(at string, values ...any) string {
	escape := url.PathEscape
	if strings.Contains(at, "?") {
		escape = url.QueryEscape
	}
	for _, v := range values {
		at += escape(fmt.Sprint(v))
	}
	return c.base + at
}

// show writes a page. It is rendered whole before anything is sent, so that a failure is an error
// page and not half a page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, name string, f frame) error {
	s := sessionOf(r)
	f.Base, f.User, f.Trusted, f.Token, f.Now = c.base, s.user, c.cfg.Trusted, c.formToken(r), now()
	f.Path = r.URL.RequestURI()
	f.Done = c.actions[r.URL.Query().Get("done")].done // a link of a stranger chooses among these texts only
	for _, n := range navigation {
		n.Here = n.Name == f.Here
		f.Nav = append(f.Nav, n)
	}
	if f.Call != "" {
		f.Call = c.callText(f.Call)
	}
	page := c.pages[name]
	if page == nil {
		return fmt.Errorf("console: no page %q", name)
	}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "layout", f); err != nil {
		return err
	}
	body := straight(b.Bytes())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	_, _ = w.Write(body) // an error means that the client has gone
	return nil
}

// callText returns a call as the foot of a page has it, with the path that clients use.
func (c *Console) callText(text string) string {
	method, at, found := strings.Cut(text, " ")
	if !found {
		method, at = http.MethodGet, text
	}
	return method + " " + c.apiURL(at)
}

func itoa(n int) string { return strconv.Itoa(n) }

// ago returns how long ago a time was, in the largest unit.
func ago(t time.Time) string {
	d := time.Since(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 0:
		return "in " + span(-d)
	case d < 2*time.Second:
		return "now"
	}
	return span(d) + " ago"
}

// span returns a duration in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// stamp returns a time as commands print it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// took returns a duration with one decimal.
func took(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// size returns a number of octets in the unit that reads best.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", max(n, 0))
}

// plural returns a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return itoa(n) + " " + noun + "s"
}

// turns are the characters that embed, override or isolate the direction of the text after them
// (UAX #9, section 2), as escapes that show.
var turns = func() *strings.Replacer {
	var pairs []string
	for _, r := range []rune{0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069} {
		pairs = append(pairs, string(r), fmt.Sprintf("[U+%04X]", r))
	}
	return strings.NewReplacer(pairs...)
}()

// straight makes the characters visible that turn text around. html/template leaves them as they
// are, and a hostname with one of them would show the rest of its row backwards: a client chooses
// its hostname, and could look like another one.
func straight(page []byte) []byte {
	// Their first octet is rare in pages, so most pages are not copied.
	if !bytes.Contains(page, []byte{0xe2, 0x80}) && !bytes.Contains(page, []byte{0xe2, 0x81}) {
		return page
	}
	return []byte(turns.Replace(string(page)))
}
