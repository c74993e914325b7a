package bmcserve

import (
	"net/http"

	"github.com/gomaas/maas/power"
)

// handleWebhooks serves what MAAS' power type webhook asks: on, off and the state by URIs. The
// state is written as its default expressions expect it.
func (s *Server) handleWebhooks(mux *http.ServeMux) {
	mux.HandleFunc("GET /machines/{machine}/state", s.webhook(func(w http.ResponseWriter, r *http.Request, _ client, m *machine) {
		state, _, err := s.stateOf(r.Context(), m)
		if err != nil {
			webhookError(w)(statusOf(err), err.Error())
			return
		}
		status := map[power.State]string{power.On: "running", power.Off: "stopped"}[state]
		if status == "" {
			status = string(state)
		}
		reply(w, http.StatusOK, map[string]string{"status": status})
	}))
	for action, verb := range map[power.Action]string{
		power.ActionOn: "on", power.ActionOff: "off", power.ActionCycle: "cycle", power.ActionReset: "reset", power.ActionSoftOff: "soft-off",
	} {
		mux.HandleFunc("POST /machines/{machine}/"+verb, s.webhook(func(w http.ResponseWriter, _ *http.Request, c client, m *machine) {
			if c.account.ReadOnly {
				webhookError(w)(http.StatusForbidden, "the account may only read")
				return
			}
			if err := s.switchTo(c, m, action, "", webPatience); err != nil {
				webhookError(w)(statusOf(err), err.Error())
				return
			}
			reply(w, http.StatusAccepted, map[string]string{"result": "accepted"})
		}))
	}
}

func webhookError(w http.ResponseWriter) func(code int, text string) {
	return func(code int, text string) { reply(w, code, map[string]string{"error": text}) }
}

// webhook authenticates a request and finds its machine.
func (s *Server) webhook(next func(http.ResponseWriter, *http.Request, client, *machine)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.basic(w, r, "webhook", webhookError(w))
		if !ok {
			return
		}
		m := s.machines[r.PathValue("machine")]
		if m == nil || !c.sees(m.name) { // an account does not learn which other machines exist
			webhookError(w)(http.StatusNotFound, "there is no such machine")
			return
		}
		next(w, r, c, m)
	}
}
