package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

// pageRows is the number of rows of a list on one page: a page of them stays small whatever the
// size of the site.
const pageRows = 50

// bootsView is the data of the list of boots.
type bootsView struct {
	Rows   []bootRow
	State  string
	Q      string
	States []string
	Live   string // address of the stream
	Pages  pager
}

// bootFilter says which boots are wanted.
type bootFilter struct{ state, q string }

func bootFilterOf(r *http.Request) bootFilter {
	return bootFilter{r.FormValue("state"), strings.ToLower(strings.TrimSpace(r.FormValue("q")))}
}

// wants reports whether a row is wanted.
func (f bootFilter) wants(row bootRow) bool {
	if f.state != "" && row.State != f.state {
		return false
	}
	return f.q == "" || strings.Contains(strings.ToLower(row.Name+" "+row.MAC+" "+row.Method+" "+row.Diagnosis), f.q)
}

// bootList shows the last boots of all machines, the latest first.
func (c *Console) bootList(w http.ResponseWriter, r *http.Request) error {
	all, seq, err := c.boots.list(r.Context())
	if err != nil {
		return err
	}
	f := bootFilterOf(r)
	out := bootsView{State: f.state, Q: r.FormValue("q"), States: []string{bootActive, bootRunning, bootFailed}}
	at := now()
	err = c.site.look(r.Context(), func(v view) error {
		for _, e := range all {
			if row := rowOf(v, e, at); f.wants(row) {
				out.Rows = append(out.Rows, row)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.Pages = pagerOf(r, len(out.Rows))
	out.Rows = cut(out.Rows, out.Pages)
	if out.Pages.Page == 1 {
		out.Live = c.base + "/boots/live?" + url.Values{"state": {f.state}, "q": {out.Q}, "from": {c.boots.mark(seq)}}.Encode()
	}
	return c.show(w, r, "boots", frame{Title: "Boots", Here: "Boots", Command: "maas events --kind boot", Call: "events/?op=query&kind=boot", Data: out})
}

// pager is the place of a page in a list.
type pager struct {
	Page, Last, Total int
	Prev, Next        string // addresses; "" = there is none
}

// pagerOf returns the place that a request asks for in a list of n rows.
func pagerOf(r *http.Request, n int) pager {
	p := pager{Page: 1, Last: max(1, (n+pageRows-1)/pageRows), Total: n}
	if asked := number(r.FormValue("page")); asked > 1 {
		p.Page = min(asked, p.Last)
	}
	at := func(page int) string {
		q := r.URL.Query()
		q.Del("done")
		q.Set("page", itoa(page))
		return r.URL.Path + "?" + q.Encode()
	}
	if p.Page > 1 {
		p.Prev = at(p.Page - 1)
	}
	if p.Page < p.Last {
		p.Next = at(p.Page + 1)
	}
	return p
}

// cut returns the rows of a page.
func cut[T any](rows []T, p pager) []T {
	from := min((p.Page-1)*pageRows, len(rows))
	return rows[from:min(from+pageRows, len(rows))]
}

// number reads a number of an address; 0 = it is none.
func number(text string) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1e8 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// lastEvents returns the last events of machines and devices, the latest first.
func lastEvents(r *http.Request, log EventLog, limit int, nodes ...int64) ([]inventory.Event, error) {
	all, err := log.Find(r.Context(), inventory.EventFilter{Nodes: nodes, Limit: limit})
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all, err
}
