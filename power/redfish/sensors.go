package redfish

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/gomaas/maas/power"
)

// Identify implements power.Identifier. LocationIndicatorActive takes the place of IndicatorLED
// since 2020; services have the one or the other.
func (d *driver) Identify(ctx context.Context, on bool) error {
	const op = "identify"
	system, err := d.read(ctx, op)
	if err != nil {
		return err
	}
	var body map[string]any
	switch {
	case system.object.has("LocationIndicatorActive"):
		body = map[string]any{"LocationIndicatorActive": on}
	case system.object.has("IndicatorLED") && on:
		body = map[string]any{"IndicatorLED": "Blinking"}
	case system.object.has("IndicatorLED"):
		body = map[string]any{"IndicatorLED": "Off"}
	default:
		return power.Errorf(power.Unsupported, op, "the system has no indicator")
	}
	return d.change(ctx, op, http.MethodPatch, d.system, system.etag, body, d.etag(ctx, op, d.system))
}

// Sensors implements power.SensorReader: it reads the sensors of the system's chassis. Services
// have a collection of sensors, or the older Thermal and Power resources; both are optional.
func (d *driver) Sensors(ctx context.Context) ([]power.Sensor, error) {
	const op = "read the sensors"
	system, err := d.read(ctx, op)
	if err != nil {
		return nil, err
	}
	r := &reader{driver: d, ctx: ctx, op: op}
	for _, chassis := range system.object.child("Links").list("Chassis") {
		r.chassis(d.path(link(chassis)))
	}
	// Sensors that fail are left out. With nothing left the failure is the answer.
	if len(r.out) == 0 || r.failed != nil && ended(ctx, r.failed) {
		return nil, r.failed
	}
	return r.out, nil
}

// reader collects the sensors that can be read.
type reader struct {
	*driver
	ctx    context.Context
	op     string
	out    []power.Sensor
	failed error // the first failure
}

// resource returns a resource, or nil when it is absent or cannot be read.
func (r *reader) resource(uri string) object {
	if uri == "" || r.failed != nil && ended(r.ctx, r.failed) {
		return nil
	}
	a, err := r.get(r.ctx, r.op, uri)
	if err != nil {
		r.failed = cmp.Or(r.failed, err)
		return nil
	}
	return a.object
}

func (r *reader) chassis(uri string) {
	c := r.resource(uri)
	if sensors := r.path(link(c.value("Sensors"))); sensors != "" {
		before := len(r.out)
		r.collection(sensors)
		if len(r.out) > before {
			return // Thermal and Power would repeat them
		}
	}
	thermal := r.resource(r.path(link(c.value("Thermal"))))
	r.add(thermal, "Temperatures", "ReadingCelsius", "degrees C")
	r.add(thermal, "Fans", "Reading", "")
	supply := r.resource(r.path(link(c.value("Power"))))
	r.add(supply, "Voltages", "ReadingVolts", "V")
	r.add(supply, "PowerControl", "PowerConsumedWatts", "W")
}

// collection reads the sensors of the collection that came with the release of 2020.4.
func (r *reader) collection(uri string) {
	uris, err := r.members(r.ctx, r.op, uri)
	if err != nil {
		r.failed = cmp.Or(r.failed, err)
	}
	for _, uri := range uris {
		r.reading(r.resource(uri), "Reading", "")
	}
}

// add adds the readings of an array.
func (r *reader) add(resource object, array, field, unit string) {
	for _, v := range resource.list(array) {
		r.reading(asObject(v), field, unit)
	}
}

// reading adds a sensor, unless its value is no number: absent parts have null, and some makes
// write "N/A".
func (r *reader) reading(s object, field, unit string) {
	value, ok := s.number(field)
	if !ok {
		return
	}
	r.out = append(r.out, power.Sensor{
		Name:  cmp.Or(s.text("Name"), s.text("FanName"), s.text("MemberId"), s.text("Id")), // FanName: older schemas
		Value: value, Unit: cmp.Or(unit, unitOf(s.text("ReadingUnits"))), Health: healths[strings.ToLower(s.child("Status").text("Health"))],
	})
}

// unitNames are UCUM codes (DSP0268, ReadingUnits) as package power writes them; others stay.
var unitNames = map[string]string{"Cel": "degrees C", "{rev}/min": "RPM", "RPM": "RPM", "Percent": "%"}

func unitOf(name string) string { return cmp.Or(unitNames[name], name) }

var healths = map[string]string{"ok": power.HealthOK, "warning": power.HealthWarning, "critical": power.HealthCritical}
