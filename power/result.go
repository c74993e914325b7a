package power

import "time"

// A Result is the outcome of one request to a BMC: what was asked, when, what was done and which
// state was seen. It holds no secrets, and it is valid when the request failed.
type Result struct {
	// Name and Kind are the target's.
	Name string `json:"-"`
	Kind string `json:"-"`
	// Action is, for example, "set power on" or "query".
	Action string `json:"-"`
	// Asked is the time of the request. Began is when its turn came and the session was open; zero
	// means that it never was. Ended is the time of the result.
	Asked time.Time `json:"-"`
	Began time.Time `json:"-"`
	Ended time.Time `json:"-"`
	// Before is the state seen first; Unknown when the request did not read it.
	Before State `json:"-"`
	// State is the state seen last; Unknown when the request did not read it.
	State State `json:"state"`
	// Steps are the operations on the BMC, in order.
	Steps []Step `json:"steps,omitempty"`
	// Sensors are the readings of ActionSensors.
	Sensors []Sensor `json:"sensors,omitempty"`
	// Media is the image in the virtual CD drive after ActionInsert and ActionMedia, without the
	// query of its URL.
	Media string `json:"media,omitempty"`
	// Transcript is the dialog with the BMC, as [Transcript.WriteTo] writes it, when the caller
	// asked for one.
	Transcript string `json:"transcript,omitempty"`
}

// A Step is one thing done to the BMC.
type Step struct {
	Time time.Time `json:"time"`
	// Op names the operation, for example "set power on" or "boot once from network".
	Op string `json:"op"`
	// Err is empty when the BMC accepted.
	Err string `json:"err,omitempty"`
}

// unseen returns the result of a request that has not reached the BMC.
func unseen() Result { return Result{Before: Unknown, State: Unknown} }
