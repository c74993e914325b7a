package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi/internal/rmcp"
)

// Commands of the sensor data repository (IPMI 2.0 section 33) and of sensors (section 35).
const (
	netFnSensor      = 0x04
	cmdReading       = 0x2d
	netFnStorage     = 0x0a
	cmdReserve       = 0x22
	cmdGetRecord     = 0x23
	recordHeader     = 5
	recordChunk      = 16 // what the smallest buffers of BMCs hold
	lastRecord       = 0xffff
	maxRecords       = 1024 // of a repository; a BMC that names more goes in circles
	codeReservation  = rmcp.Completion(0xc5)
	readingMissing   = 0x20
	scanningEnabled  = 0x40
	reservationTries = 3
)

// Sensors implements power.SensorReader: the analogue sensors that have a reading now.
func (d *lanPlus) Sensors(ctx context.Context) ([]power.Sensor, error) {
	const op = "read the sensors"
	var out []power.Sensor
	for id, n := uint16(0), 0; id != lastRecord && n < maxRecords; n++ {
		next, record, err := d.record(ctx, id)
		if err != nil {
			return nil, classify(op, err)
		}
		if s, ok := parseSensor(record); ok {
			sensor, ok, err := d.reading(ctx, s)
			if err != nil {
				return nil, classify(op, err)
			}
			if ok {
				out = append(out, sensor)
			}
		}
		id = next
	}
	return out, nil
}

// record reads a record in pieces. A reservation may be lost at any time, when another client takes
// one.
func (d *lanPlus) record(ctx context.Context, id uint16) (next uint16, record []byte, err error) {
	for range reservationTries {
		next, record, err = d.recordOnce(ctx, id)
		if !errors.Is(err, codeReservation) {
			break
		}
	}
	return next, record, err
}

func (d *lanPlus) recordOnce(ctx context.Context, id uint16) (next uint16, record []byte, err error) {
	reserved, err := d.session.Command(ctx, netFnStorage, cmdReserve, nil)
	if err != nil {
		return 0, nil, err
	}
	if len(reserved) < 2 {
		return 0, nil, errShort
	}
	reservation := binary.LittleEndian.Uint16(reserved)
	piece := func(offset, n int) ([]byte, error) {
		request := binary.LittleEndian.AppendUint16(nil, reservation)
		request = append(binary.LittleEndian.AppendUint16(request, id), byte(offset), byte(n))
		answer, err := d.session.Command(ctx, netFnStorage, cmdGetRecord, request)
		if err == nil && len(answer) != 2+n {
			err = errShort
		}
		if err != nil {
			return nil, err
		}
		next = binary.LittleEndian.Uint16(answer)
		return answer[2:], nil
	}
	header, err := piece(0, recordHeader)
	if err != nil {
		return 0, nil, err
	}
	record = append(record, header...)
	for size := recordHeader + int(header[4]); len(record) < size; {
		more, err := piece(len(record), min(recordChunk, size-len(record)))
		if err != nil {
			return 0, nil, err
		}
		record = append(record, more...)
	}
	return next, record, nil
}

var errShort = errors.New("the answer is shorter than it must be")

// reading asks a sensor for its value. One that is absent or asleep has none.
func (d *lanPlus) reading(ctx context.Context, s sensor) (out power.Sensor, ok bool, err error) {
	answer, err := d.session.Command(ctx, netFnSensor, cmdReading, []byte{s.number})
	var code rmcp.Completion
	if errors.As(err, &code) || err == nil && len(answer) < 2 {
		return out, false, nil // a sensor that is in the list only
	}
	if err != nil || answer[1]&readingMissing != 0 || answer[1]&scanningEnabled == 0 {
		return out, false, err
	}
	out = power.Sensor{Name: s.name, Value: s.value(answer[0]), Unit: s.unit}
	if math.IsNaN(out.Value) || math.IsInf(out.Value, 0) {
		return out, false, nil // the factors do not fit the reading
	}
	if len(answer) > 2 {
		out.Health = healthOf(answer[2])
	}
	return out, true, nil
}

// healthOf reads the thresholds that are crossed (table 35-15): non-critical, critical and
// non-recoverable, low and high.
func healthOf(crossed byte) string {
	switch {
	case crossed&0b110110 != 0:
		return power.HealthCritical
	case crossed&0b001001 != 0:
		return power.HealthWarning
	}
	return power.HealthOK
}
