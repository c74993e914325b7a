package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// RackReport is a rack's report of its health.
type RackReport struct {
	// Version is the version of its program.
	Version string `json:"version,omitempty"`
	// Started is the time at which its process began to serve.
	Started  time.Time     `json:"started,omitzero"`
	Services []RackService `json:"services"`
	Topics   []RackTopic   `json:"topics,omitempty"`
	// Waiting is the number of facts on its disk for a region, and Dropped the number of
	// observations that were discarded since its start.
	Waiting int `json:"waiting"`
	// Troubles are faults outside of the rack that it notices, by name, such as "upstream
	// 192.0.2.53" with the text "does not answer since 10:04". Their beginnings and ends are
	// events.
	Troubles map[string]string `json:"troubles,omitempty"`
	Dropped  uint64            `json:"dropped,omitempty"`
}

// RackService is one of a rack's servers.
type RackService struct {
	Name string `json:"name"` // "dhcp", "dhcp6", "tftp", "http", "dns", "proxy" or one of a newer rack
	// Status is "running", "degraded" (it serves older state than it was sent, or none yet), "dead"
	// or "off".
	Status string `json:"status"`
	Info   string `json:"info,omitempty"` // why it is not running; "" = nothing to say
}

// RackTopic is a rack's progress with one topic of state.
type RackTopic struct {
	Name     string `json:"name"`
	Revision uint64 `json:"revision"` // on its disk
	Served   uint64 `json:"served"`
	Refused  string `json:"refused,omitempty"` // why the revision is not served
}

// RackHealth is the last report of a rack.
type RackHealth struct {
	ID     int64
	Rack   string
	Region string // that took the report
	Heard  time.Time
	Report RackReport
	Away   time.Time // since when it counts as away; zero = it does not
}

var rackHealths = table[RackHealth]{
	kind: "rack-health", name: "rack_health", cols: []string{"rack", "region", "heard", "report", "away"},
	id: func(h *RackHealth) *int64 { return &h.ID },
	fields: func(h *RackHealth) []any {
		return []any{&h.Rack, &h.Region, asTime{&h.Heard}, asJSON{&h.Report}, asTime{&h.Away}}
	},
}

// Health holds the reports of racks.
type Health struct{ inv *Inventory }

// Report records a rack's report to a region. It is not in the change feed, since no plan depends
// on it. A rack that was marked away is back. State that the rack refuses becomes an event.
func (hs *Health) Report(ctx context.Context, rack, region string, report RackReport) error {
	now := time.Now()
	return hs.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE rack SET last_seen = ? WHERE name = ?", asTime{&now}, rack)
		if err != nil {
			return err
		}
		if n == 0 {
			return &NotFoundError{kinds.Rack, rack}
		}
		old, err := rackHealths.one(ctx, tx, rack, "rack = ?", rack)
		if err != nil && !notFound(err) {
			return err
		}
		const query = `INSERT INTO rack_health (rack, region, heard, report, away) VALUES (?, ?, ?, ?, 0)
			ON CONFLICT (rack) DO UPDATE SET region = excluded.region, heard = excluded.heard, report = excluded.report, away = 0`
		if _, err := tx.Exec(ctx, query, rack, region, asTime{&now}, asJSON{&report}); err != nil {
			return err
		}
		if err := hs.noticeRefusals(ctx, rack, old.Report, report); err != nil || old.Away.IsZero() {
			return err
		}
		text := fmt.Sprintf("rack %s is back, it was last heard of at %s", rack, old.Heard.Format(time.DateTime))
		return hs.inv.Events.Add(ctx, Event{Kind: kinds.Rack, Description: text})
	})
}

// noticeRefusals logs an event for each topic that a rack begins or ceases to refuse, and for each
// service that fails or works again. Racks report at short intervals, so only differences count.
func (hs *Health) noticeRefusals(ctx context.Context, rack string, before, now RackReport) error {
	var batch []Event
	add := func(level, format string, args ...any) {
		batch = append(batch, Event{Kind: kinds.Rack, Level: level, Description: "rack " + rack + " " + fmt.Sprintf(format, args...)})
	}
	refused := make(map[string]string)
	for _, t := range before.Topics {
		refused[t.Name] = t.Refused
	}
	for _, t := range now.Topics {
		switch old := refused[t.Name]; {
		case t.Refused == old:
		case t.Refused == "":
			add("info", "accepts its %s state again", t.Name)
		case t.Served == 0:
			add("error", "refused its %s state and serves nothing: %s", t.Name, t.Refused)
		default:
			add("error", "refused its %s state and serves older state: %s", t.Name, t.Refused)
		}
	}
	dead := make(map[string]bool)
	for _, s := range before.Services {
		dead[s.Name] = s.Status == "dead"
	}
	for _, s := range now.Services {
		switch {
		case s.Status == "dead" && !dead[s.Name]:
			add("error", "does not serve %s: %s", s.Name, s.Info)
		case s.Status != "dead" && dead[s.Name]:
			add("info", "has service %s back: %s", s.Name, s.Status)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.Troubles)) {
		if _, known := before.Troubles[name]; !known {
			add("error", "reports %s: %s", name, now.Troubles[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Troubles)) {
		if _, still := now.Troubles[name]; !still {
			add("info", "reports that %s is well again", name)
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return hs.inv.Events.Add(ctx, batch...)
}

// Racks returns the last report of each rack that made one.
func (hs *Health) Racks(ctx context.Context) (map[string]RackHealth, error) {
	all, err := listIn(ctx, hs.inv, rackHealths, "")
	out := make(map[string]RackHealth, len(all))
	for _, h := range all {
		out[h.Rack] = h
	}
	return out, err
}

// NoticeAway marks racks without a report since a time, logs an event for each, and another for
// each zone whose racks are all away. It returns the racks that were not marked before.
func (hs *Health) NoticeAway(ctx context.Context, since time.Time) (away []string, err error) {
	quiet, err := listIn(ctx, hs.inv, rackHealths, "away = 0 AND heard < ?", asTime{&since})
	if err != nil || len(quiet) == 0 {
		return nil, err
	}
	err = hs.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		away = nil
		quiet, err := rackHealths.list(ctx, tx, "away = 0 AND heard < ?", asTime{&since})
		if err != nil {
			return err
		}
		now := time.Now()
		for _, h := range quiet {
			if _, err := tx.Exec(ctx, "UPDATE rack_health SET away = ? WHERE id = ?", asTime{&now}, h.ID); err != nil {
				return err
			}
			away = append(away, h.Rack)
			text := fmt.Sprintf("rack %s was not heard of since %s; its machines are served while its network has another rack", h.Rack, h.Heard.Format(time.DateTime))
			if err := hs.inv.Events.Add(ctx, Event{Kind: kinds.Rack, Level: "warning", Description: text}); err != nil {
				return err
			}
		}
		return hs.inv.noticeZones(ctx, away)
	})
	return away, err
}

// noticeZones logs an event for each zone that lost its last rack with these racks.
func (inv *Inventory) noticeZones(ctx context.Context, fresh []string) error {
	zones, err := inv.Health.LostZones(ctx)
	if err != nil {
		return err
	}
	for _, z := range zones {
		if !slices.ContainsFunc(z.Racks, func(name string) bool { return slices.Contains(fresh, name) }) {
			continue
		}
		text := fmt.Sprintf("zone %s is without racks: %s not heard of; BMCs that only they reach cannot be asked", z.Zone.Name, strings.Join(z.Racks, ", "))
		if err := inv.Events.Add(ctx, Event{Kind: kinds.Zone, Level: "error", Description: text}); err != nil {
			return err
		}
	}
	return nil
}

// LostZone is a zone whose racks are all away.
type LostZone struct {
	Zone  AvailabilityZone
	Racks []string
}

// LostZones returns the zones that have racks, all of which count as away.
func (hs *Health) LostZones(ctx context.Context) (lost []LostZone, err error) {
	err = hs.inv.Consistently(ctx, func(ctx context.Context) error {
		lost = nil
		zones, err := hs.inv.Zones.List(ctx)
		if err != nil {
			return err
		}
		racks, err := hs.inv.Racks.List(ctx)
		if err != nil {
			return err
		}
		health, err := hs.Racks(ctx)
		if err != nil {
			return err
		}
		for _, z := range zones {
			l := LostZone{Zone: z}
			there := false
			for _, k := range racks {
				if k.ZoneID != z.ID {
					continue
				}
				l.Racks = append(l.Racks, k.Name)
				h, reported := health[k.Name]
				there = there || !reported || h.Away.IsZero()
			}
			if len(l.Racks) > 0 && !there {
				lost = append(lost, l)
			}
		}
		return nil
	})
	return lost, err
}
