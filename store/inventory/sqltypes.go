package inventory

import (
	"bytes"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// The types of this file join a Go value to a column, in both directions.

// asText stores what knows its own text, such as a netip.Prefix.
type asText struct {
	v interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
}

func (c asText) Value() (driver.Value, error) {
	b, err := c.v.MarshalText()
	return string(b), err
}

func (c asText) Scan(src any) error { return c.v.UnmarshalText(bytesOf(src)) }

// orNull stores the zero address as NULL.
type orNull struct{ addr *netip.Addr }

func (c orNull) Value() (driver.Value, error) {
	if !c.addr.IsValid() {
		return nil, nil
	}
	return c.addr.String(), nil
}

func (c orNull) Scan(src any) error { return c.addr.UnmarshalText(bytesOf(src)) }

// asMAC stores a link address in lower case with colons; none is "".
type asMAC struct{ mac *net.HardwareAddr }

func (c asMAC) Value() (driver.Value, error) { return c.mac.String(), nil }

func (c asMAC) Scan(src any) (err error) {
	*c.mac = nil
	if text := string(bytesOf(src)); text != "" {
		*c.mac, err = net.ParseMAC(text)
	}
	return err
}

// asJSON stores lists and maps; v is a pointer.
type asJSON struct{ v any }

func (c asJSON) Value() (driver.Value, error) {
	b, err := json.Marshal(c.v)
	return string(b), err
}

func (c asJSON) Scan(src any) error {
	if b := bytesOf(src); len(b) > 0 {
		return json.Unmarshal(b, c.v)
	}
	return nil
}

// asTime stores microseconds since 1970; 0 is the zero time.
type asTime struct{ t *time.Time }

func (c asTime) Value() (driver.Value, error) {
	if c.t.IsZero() {
		return int64(0), nil
	}
	return c.t.UnixMicro(), nil
}

func (c asTime) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", src)
	}
	*c.t = time.Time{}
	if n != 0 {
		*c.t = time.UnixMicro(n).UTC()
	}
	return nil
}

// asRef stores the ID of another object; 0 is NULL.
type asRef struct{ id *int64 }

func (c asRef) Value() (driver.Value, error) {
	if *c.id == 0 {
		return nil, nil
	}
	return *c.id, nil
}

func (c asRef) Scan(src any) error {
	*c.id, _ = src.(int64)
	return nil
}

// asInt stores a small enumeration.
type asInt[E ~uint8] struct{ v *E }

func (c asInt[E]) Value() (driver.Value, error) { return int64(*c.v), nil }

func (c asInt[E]) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a number is stored as %T", src)
	}
	*c.v = E(n)
	return nil
}

func bytesOf(src any) []byte {
	switch s := src.(type) {
	case string:
		return []byte(s)
	case []byte:
		return s
	}
	return nil
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
