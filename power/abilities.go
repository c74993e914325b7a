package power

import "context"

// able runs one request that needs an optional ability of the driver.
func able[A any](ctx context.Context, c *Controller, t Target, op string, do func(context.Context, A) error) error {
	return c.with(ctx, t, op, func(ctx context.Context, s *session, a *Attempt) error {
		ability, ok := s.driver.(A)
		if !ok {
			return Errorf(Unsupported, op, "this kind of power control cannot do that")
		}
		s.inherited = false
		err := do(ctx, ability)
		a.Report.step(op, err)
		return err
	})
}

// Reset restarts a running machine without taking its power. It returns when the BMC has accepted.
func (c *Controller) Reset(ctx context.Context, t Target) error {
	return able(ctx, c, t, "reset", func(ctx context.Context, r Resetter) error { return r.Reset(ctx) })
}

// SetBootAlways makes every boot of the machine come from the device.
func (c *Controller) SetBootAlways(ctx context.Context, t Target, device BootDevice) error {
	return able(ctx, c, t, "boot always from "+string(device), func(ctx context.Context, b AlwaysBooter) error {
		return b.SetBootAlways(ctx, device)
	})
}

// Identify switches the light that shows where the machine is.
func (c *Controller) Identify(ctx context.Context, t Target, on bool) error {
	return able(ctx, c, t, "identify", func(ctx context.Context, i Identifier) error { return i.Identify(ctx, on) })
}

// Sensors reads the machine's sensors.
func (c *Controller) Sensors(ctx context.Context, t Target) (sensors []Sensor, err error) {
	err = able(ctx, c, t, "read the sensors", func(ctx context.Context, r SensorReader) (err error) {
		sensors, err = r.Sensors(ctx)
		return err
	})
	return sensors, err
}
