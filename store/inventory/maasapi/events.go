package maasapi

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// eventLimit bounds the events of one answer.
const eventLimit = 1000

// Event is an event as the API shows it.
type Event struct {
	ID          int64     `json:"id"`
	Type        string    `json:"type"`
	Level       string    `json:"level"` // in MAAS' spelling: "INFO"
	Created     time.Time `json:"created"`
	Description string    `json:"description"`
	Username    string    `json:"username"`
	Node        string    `json:"node,omitempty"`
	Hostname    string    `json:"hostname,omitempty"`
	// Differences are the fields that a change changed, of level AUDIT.
	Differences *inventory.Differences `json:"differences,omitempty"`
}

// Events is a page of the log.
type Events struct {
	Count   int     `json:"count"`
	Events  []Event `json:"events"`
	NextURI string  `json:"next_uri"` // older events
	PrevURI string  `json:"prev_uri"` // newer events
}

// listEvents serves op=query: the last events, by machine (id, hostname, mac_address), level,
// owner, kind, before and after.
func (a *API) listEvents(r *http.Request) (any, error) {
	query := r.URL.Query()
	if query.Get("op") != "query" {
		return nil, &unsupported{"events op=" + query.Get("op")}
	}
	filter, some, err := a.eventFilter(r, query)
	if err != nil || !some {
		return Events{Events: []Event{}}, err
	}
	log := a.events
	if filter.Level == inventory.LevelAudit {
		log = a.audit
	}
	events, err := log.Find(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	out := Events{Count: len(events), Events: []Event{}}
	names := map[int64]inventory.Machine{}
	for _, e := range events {
		out.Events = append(out.Events, a.eventOf(r, e, names))
	}
	if len(events) > 0 {
		out.NextURI = a.eventsURI(query, "before", events[0].ID)
		out.PrevURI = a.eventsURI(query, "after", events[len(events)-1].ID)
	}
	return out, nil
}

// eventsURI returns the URI of the page before or after an event, with the query's filters.
func (a *API) eventsURI(query url.Values, way string, id int64) string {
	query.Del("before")
	query.Del("after")
	query.Set(way, strconv.FormatInt(id, 10))
	return a.base + "events/?" + query.Encode()
}

// eventOf shows an event. names remembers machines between calls, because the events of a page are
// often about the same few.
func (a *API) eventOf(r *http.Request, e inventory.Event, names map[int64]inventory.Machine) Event {
	out := Event{
		ID: e.ID, Type: e.Kind, Level: strings.ToUpper(e.Level), Created: e.Time, Description: e.Description, Username: e.User, Differences: e.Differences,
	}
	if e.NodeID == 0 {
		return out
	}
	m, known := names[e.NodeID]
	if !known {
		var err error
		if m, err = a.inv.Machines.Get(r.Context(), e.NodeID); err != nil { // the event is about a device, or the machine was deleted
			m = inventory.Machine{}
		}
		names[e.NodeID] = m
	}
	out.Node, out.Hostname = m.SystemID, m.Hostname
	return out
}

// eventFilter reads the query. some is false if it names machines and none of them exists.
func (a *API) eventFilter(r *http.Request, query url.Values) (f inventory.EventFilter, some bool, err error) {
	f = inventory.EventFilter{Limit: 100, User: query.Get("owner"), Kind: query.Get("kind"), Level: strings.ToLower(query.Get("level"))}
	// As in MAAS. A kind that is asked for is shown at each level.
	if f.Level == "" && f.Kind == "" {
		f.Level = "info"
	}
	if f.Level != "" && f.Level != inventory.LevelAudit && !slices.Contains(inventory.EventLevels, f.Level) {
		return f, false, form.Invalid("level", fmt.Sprintf("%q is none of AUDIT, DEBUG, INFO, WARNING, ERROR and CRITICAL", query.Get("level")))
	}
	for name, to := range map[string]*int64{"before": &f.Before, "after": &f.After} {
		if text := query.Get(name); text != "" {
			if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < 0 {
				return f, false, form.Invalid(name, fmt.Sprintf("%q is not the id of an event", text))
			}
		}
	}
	f.Oldest = query.Get("after") != "" && query.Get("before") == ""
	if text := query.Get("limit"); text != "" {
		if f.Limit, err = strconv.Atoi(text); err != nil || f.Limit < 1 || f.Limit > eventLimit {
			return f, false, form.Invalid("limit", fmt.Sprintf("%q is not a number from 1 to %d", text, eventLimit))
		}
	}
	for _, name := range []string{"zone", "agent_name", "domain"} {
		if query.Get(name) != "" {
			return f, false, &unsupported{"events by " + name}
		}
	}
	f.Nodes, some, err = a.eventNodes(r, query)
	return f, some, err
}

// eventNodes returns the machines that a query names. some is false if none of them exists: an
// empty filter would return the events of all machines.
func (a *API) eventNodes(r *http.Request, query url.Values) (ids []int64, some bool, err error) {
	add := func(m inventory.Machine, err error) error {
		if err == nil {
			ids = append(ids, m.ID)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	names := append(query["id"], query["hostname"]...)
	for _, name := range names {
		err = cmp.Or(err, add(a.inv.Machines.Find(r.Context(), name)))
	}
	for _, text := range query["mac_address"] {
		mac, merr := net.ParseMAC(text)
		if merr != nil {
			return nil, false, form.Invalid("mac_address", fmt.Sprintf("%q is not a MAC address", text))
		}
		err = cmp.Or(err, add(a.nodes.MachineByMAC(r.Context(), mac)))
	}
	asked := len(names)+len(query["mac_address"]) > 0
	return ids, !asked || len(ids) > 0, err
}
