package power

import "context"

// Manual is the power type of machines that people switch: it knows nothing and refuses to act.
func Manual() Kind {
	return Kind{Name: "manual", Title: "Manual", Blind: true, Open: func(context.Context, Params) (Driver, error) { return manual{}, nil }}
}

type manual struct{}

func (manual) PowerState(context.Context) (State, error) { return Unknown, nil }

func (manual) SetPower(context.Context, State) error {
	return Errorf(Unsupported, "set power", "this machine is switched by hand")
}
