package redfish

import (
	"context"
	"fmt"
	"strconv"

	"github.com/stmcginnis/gofish/schemas"

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
	//lint:ignore SA1019 deprecated, and all that older BMCs have
	led := system.IndicatorLED
	if system.LocationIndicatorActive == nil && led == "" {
		return power.Errorf(power.Unsupported, op, "the system has no indicator")
	}
	return d.retryStale(ctx, op, system, func(s *schemas.ComputerSystem) error {
		if s.LocationIndicatorActive != nil {
			s.LocationIndicatorActive = &on
			return s.Update()
		}
		light := schemas.OffIndicatorLED
		if on {
			light = schemas.BlinkingIndicatorLED
		}
		//lint:ignore SA1019 as above
		s.IndicatorLED = light
		return s.Update()
	})
}

// Sensors implements power.SensorReader: it reads the sensors of the system's chassis. Services
// have a collection of sensors, or the older Thermal and Power resources; both are optional.
func (d *driver) Sensors(ctx context.Context) ([]power.Sensor, error) {
	const op = "read the sensors"
	system, err := d.read(ctx, op)
	if err != nil {
		return nil, err
	}
	chassis, err := system.Chassis()
	if err != nil {
		return nil, classify(ctx, op, err)
	}
	var out []power.Sensor
	for _, c := range chassis {
		sensors, err := c.Sensors()
		if err == nil && len(sensors) > 0 {
			out = append(out, readings(sensors)...)
			continue
		}
		older, err := thermalAndPower(c)
		if err != nil {
			return nil, classify(ctx, op, err)
		}
		out = append(out, older...)
	}
	return out, nil
}

// unitNames are UCUM codes (DSP0268, ReadingUnits) as package power writes them; others stay.
var unitNames = map[string]string{"Cel": "degrees C", "{rev}/min": "RPM", "RPM": "RPM", "Percent": "%"}

func unit(name string) string {
	if known, ok := unitNames[name]; ok {
		return known
	}
	return name
}

func readings(sensors []*schemas.Sensor) []power.Sensor {
	var out []power.Sensor
	for _, s := range sensors {
		if s.Reading != nil {
			out = append(out, power.Sensor{Name: s.Name, Value: *s.Reading, Unit: unit(s.ReadingUnits), Health: health(s.Status)})
		}
	}
	return out
}

// thermalAndPower reads the resources that came before the collection of sensors.
func thermalAndPower(c *schemas.Chassis) ([]power.Sensor, error) {
	var out []power.Sensor
	thermal, err := c.Thermal()
	if err != nil {
		return nil, err
	}
	if thermal != nil {
		for _, t := range thermal.Temperatures {
			out = addReading(out, t.Name, t.ReadingCelsius, "degrees C", t.Status)
		}
		for _, f := range thermal.Fans {
			out = addReading(out, f.Name, f.Reading, unit(string(f.ReadingUnits)), f.Status)
		}
	}
	supply, err := c.Power()
	if err != nil {
		return nil, err
	}
	if supply != nil {
		for _, v := range supply.Voltages {
			out = addReading(out, v.Name, v.ReadingVolts, "V", v.Status)
		}
		for _, p := range supply.PowerControl {
			out = addReading(out, p.Name, p.PowerConsumedWatts, "W", p.Status)
		}
	}
	return out, nil
}

func addReading[N int | float32 | float64](out []power.Sensor, name string, value *N, unit string, status schemas.Status) []power.Sensor {
	if value == nil {
		return out
	}
	exact, _ := strconv.ParseFloat(fmt.Sprint(*value), 64) // 12.1 as a float32 is not 12.1 as a float64
	return append(out, power.Sensor{Name: name, Value: exact, Unit: unit, Health: health(status)})
}

func health(s schemas.Status) string {
	switch s.Health {
	case schemas.OKHealth:
		return power.HealthOK
	case schemas.WarningHealth:
		return power.HealthWarning
	case schemas.CriticalHealth:
		return power.HealthCritical
	}
	return ""
}
