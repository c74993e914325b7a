package power

import "context"

// able runs one request that needs an optional ability of the driver.
func able[A any](ctx context.Context, c *Controller, t Target, op string, do func(context.Context, A, *Result) error) (result Result, err error) {
	r, release, err := c.inTurn(ctx, t, op)
	if err != nil {
		return unseen(), err
	}
	defer release(&result, &err)
	ability, ok := r.driver.(A)
	if !ok {
		return r.result, Errorf(Unsupported, op, "this kind of power control cannot do that")
	}
	r.inherited = false
	err = do(r.ctx, ability, &r.result)
	return r.result, err
}

// Reset restarts a running machine without taking its power. It returns when the BMC has accepted.
func (c *Controller) Reset(ctx context.Context, t Target) error {
	_, err := c.reset(ctx, t)
	return err
}

func (c *Controller) reset(ctx context.Context, t Target) (Result, error) {
	return able(ctx, c, t, "reset", func(ctx context.Context, r Resetter, _ *Result) error { return r.Reset(ctx) })
}

// SetBootAlways makes every boot of the machine come from the device.
func (c *Controller) SetBootAlways(ctx context.Context, t Target, device BootDevice) error {
	_, err := able(ctx, c, t, "boot always from "+string(device), func(ctx context.Context, b AlwaysBooter, _ *Result) error {
		return b.SetBootAlways(ctx, device)
	})
	return err
}

// Identify switches the light that shows where the machine is.
func (c *Controller) Identify(ctx context.Context, t Target, on bool) error {
	_, err := c.identify(ctx, t, on)
	return err
}

func (c *Controller) identify(ctx context.Context, t Target, on bool) (Result, error) {
	return able(ctx, c, t, "identify", func(ctx context.Context, i Identifier, _ *Result) error { return i.Identify(ctx, on) })
}

// Sensors reads the machine's sensors.
func (c *Controller) Sensors(ctx context.Context, t Target) ([]Sensor, error) {
	result, err := c.readSensors(ctx, t)
	return result.Sensors, err
}

func (c *Controller) readSensors(ctx context.Context, t Target) (Result, error) {
	return able(ctx, c, t, "read the sensors", func(ctx context.Context, r SensorReader, result *Result) (err error) {
		result.Sensors, err = r.Sensors(ctx)
		return err
	})
}
