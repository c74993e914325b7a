package maasapi

import (
	"fmt"
	"net/http"
	"strconv"
)

// eventLimit is how many events one answer holds unless the client asks for fewer.
const eventLimit = 1000

func (a *API) listEvents(r *http.Request) (any, error) {
	query := r.URL.Query()
	if query.Get("op") != "query" {
		return nil, &unsupported{"events op=" + query.Get("op")}
	}
	limit := 100
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > eventLimit {
			return nil, &badRequest{"limit", fmt.Sprintf("%q is not a number from 1 to %d", text, eventLimit)}
		}
		limit = n
	}
	var node int64
	if id := query.Get("id"); id != "" {
		m, err := a.inv.MachineByName(r.Context(), id)
		if err != nil {
			return nil, err
		}
		node = m.ID
	}
	events, err := a.inv.LastEvents(r.Context(), node, limit)
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, e := range events {
		list = append(list, map[string]any{
			"id": e.ID, "type": e.Kind, "level": e.Level, "created": e.Time, "description": e.Description,
		})
	}
	return map[string]any{"count": len(list), "events": list}, nil
}
