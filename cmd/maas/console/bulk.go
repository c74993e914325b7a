package console

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

const (
	// maxBulk bounds the machines of one bulk action.
	maxBulk = 500
	// bulkAtOnce is the number of machines that are acted on at a time. A BMC takes seconds.
	bulkAtOnce = 16
)

// bulkAction is an action on several machines.
type bulkAction struct{ Name, Label string }

// bulkActions returns what a user may do with several machines.
func bulkActions(u inventory.User) (out []bulkAction) {
	if u.Role == inventory.RoleReadOnly {
		return nil
	}
	out = []bulkAction{
		{"power-on", "Switch on"}, {"power-off", "Switch off"}, {"power-cycle", "Power cycle"}, {"lock", "Lock"}, {"unlock", "Unlock"},
		{"release", "Release"}, {"reinstall", "Boot the profile again"},
	}
	if u.Role == inventory.RoleAdmin {
		out = append(out, bulkAction{"machine-delete", "Delete"})
	}
	return out
}

// bulkView is the data of the question before a bulk action, and of its progress.
type bulkView struct {
	Label, Action string
	Machines      []machineRow
	Next          string
	Marker        template.HTML // where rows follow while the action runs
}

// marker is in the place of the rows that follow. It is in no value: templates escape these.
const marker = "<!--rows-->"

// bulk asks before an action on several machines and, once the question is answered, does it.
func (c *Console) bulk(w http.ResponseWriter, r *http.Request) error {
	list := bulkActions(sessionOf(r).user)
	i := slices.IndexFunc(list, func(b bulkAction) bool { return b.Name == r.PostFormValue("action") })
	if i < 0 {
		return &refusal{Status: http.StatusForbidden, Text: "Your role does not allow this, or there is no such action."}
	}
	ids := r.PostForm["id"]
	if len(ids) == 0 || len(ids) > maxBulk {
		return &refusal{Status: http.StatusBadRequest, Text: "Choose between 1 and " + itoa(maxBulk) + " machines."}
	}
	ask := bulkView{Label: list[i].Label, Action: list[i].Name, Next: c.nextOf(r)}
	err := c.site.look(r.Context(), func(v view) error {
		for _, id := range ids {
			if m := v.machine(id); m != nil {
				ask.Machines = append(ask.Machines, v.machineRow(m))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if r.PostFormValue("sure") != "yes" {
		return c.show(w, r, "bulk", c.bulkFrame(ask))
	}
	return c.bulkRun(w, r, ask)
}

// bulkFrame returns the frame of a bulk action. Its foot has the command and the call for the first
// machine: those for the others differ in the machine alone.
func (c *Console) bulkFrame(view bulkView) frame {
	f := frame{Title: view.Label, Here: "Machines", Data: view}
	if len(view.Machines) > 0 {
		a, m := c.actions[view.Action], view.Machines[0]
		x := a.call(url.Values{"id": {m.System}})
		f.Command, f.Call = shellLine(a, url.Values{"id": {m.Name}}), x.method+" "+x.path
	}
	return f
}

// bulkRun does an action and adds a row to the page for each machine as soon as it is done. The
// page shows the progress without JavaScript; a browser that leaves it ends what has not begun.
func (c *Console) bulkRun(w http.ResponseWriter, r *http.Request, view bulkView) error {
	view.Marker = marker
	page := &recorder{header: w.Header()}
	if err := c.show(page, r, "bulkrun", c.bulkFrame(view)); err != nil {
		return err
	}
	before, after, _ := strings.Cut(page.body.String(), marker)
	w.Header().Del("Content-Length")
	out := http.NewResponseController(w)
	send := func(text string) error {
		_ = out.SetWriteDeadline(time.Now().Add(liveSlow)) // a recorder of a test has none
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		return out.Flush()
	}
	if send(before) != nil {
		return nil // the client has gone before anything was done
	}
	results := c.bulkWork(r, c.actions[view.Action], view.Machines)
	n, failed := 0, 0
	for res := range results {
		n++
		if res.Problem != "" {
			failed++
		}
		res.N, res.Of = n, len(view.Machines)
		var b bytes.Buffer
		if err := c.pages["bulkrun"].ExecuteTemplate(&b, "bulkrow", res); err == nil {
			_ = send(string(straight(b.Bytes()))) // the work goes on until the request's context ends
		}
	}
	_ = send("</tbody></table><p role=\"status\"><b>" + plural(n-failed, "machine") + " done, " + itoa(failed) + " refused or failed.</b></p>" + after)
	return nil
}

// bulkResult is the outcome of one machine.
type bulkResult struct {
	machineRow
	Problem string // "" = it worked
	N, Of   int
}

// bulkWork acts on machines, several at a time, and closes the channel when all have ended.
func (c *Console) bulkWork(r *http.Request, a action, machines []machineRow) <-chan bulkResult {
	results := make(chan bulkResult)
	work := make(chan machineRow)
	var running sync.WaitGroup
	for range min(bulkAtOnce, len(machines)) {
		running.Go(func() {
			for m := range work {
				res := bulkResult{machineRow: m}
				if err := r.Context().Err(); err != nil {
					res.Problem = "left as it was: the page was closed"
				} else if err := c.ask(r, a.call(url.Values{"id": {m.System}}), nil); err != nil {
					res.Problem = err.Error()
				}
				results <- res
			}
		})
	}
	go func() {
		for _, m := range machines {
			work <- m
		}
		close(work)
		running.Wait()
		close(results)
	}()
	return results
}
