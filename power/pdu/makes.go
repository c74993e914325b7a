package pdu

// A pduMake has the columns of a public MIB by which the units of a make are switched. They end
// with the numbers of unit and outlet.
type pduMake struct {
	state         string // column that is read
	on, off       int    // its values
	turning       []int  // values on the way
	control       string // column that is set
	setOn, setOff int    // its values
	controlOn     string // another column for on; "" = the same
	// unit are the numbers before the outlet's where a unit is alone; nil = there are none.
	unit []int
}

func (m pduMake) depth() int { return len(m.unit) + 1 }

// makes are the makes by name. The trailing dot is part of a column.
var makes = map[string]pduMake{
	// PowerNet-MIB: rPDUOutletControlOutletCommand.
	"apc": {
		state: ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.", on: 1, off: 2,
		control: ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.", setOn: 1, setOff: 2,
	},
	// PowerNet-MIB: rPDU2OutletSwitchedStatusState and rPDU2OutletSwitchedControlCommand.
	"apc-rpdu2": {
		state: ".1.3.6.1.4.1.318.1.1.26.9.2.3.1.5.", on: 2, off: 1,
		control: ".1.3.6.1.4.1.318.1.1.26.9.2.4.1.5.", setOn: 1, setOff: 2,
	},
	// PowerNet-MIB: sPDUOutletCtl.
	"apc-masterswitch": {
		state: ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.", on: 1, off: 2,
		control: ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.", setOn: 1, setOff: 2,
	},
	// EATON-EPDU-MIB: outletControlStatus, OffCmd and OnCmd, which take the seconds to wait.
	"eaton": {
		state: ".1.3.6.1.4.1.534.6.6.7.6.6.1.2.", on: 1, off: 0, turning: []int{2, 3},
		control: ".1.3.6.1.4.1.534.6.6.7.6.6.1.3.", controlOn: ".1.3.6.1.4.1.534.6.6.7.6.6.1.4.", unit: []int{0},
	},
	// PDU2-MIB: outletSwitchingState and switchingOperation.
	"raritan": {
		state: ".1.3.6.1.4.1.13742.6.4.1.2.1.3.", on: 7, off: 8,
		control: ".1.3.6.1.4.1.13742.6.4.1.2.1.2.", setOn: 1, setOff: 0, unit: []int{1},
	},
	// Sentry3-MIB: outletStatus and outletControlAction, by tower, infeed and outlet.
	"servertech-sentry3": {
		state: ".1.3.6.1.4.1.1718.3.2.3.1.5.", on: 1, off: 0, turning: []int{2, 3},
		control: ".1.3.6.1.4.1.1718.3.2.3.1.11.", setOn: 1, setOff: 2, unit: []int{1, 1},
	},
	// Sentry4-MIB: st4OutletState and st4OutletControlAction, by unit, cord and outlet.
	"servertech": {
		state: ".1.3.6.1.4.1.1718.4.1.8.3.1.1.", on: 1, off: 2,
		control: ".1.3.6.1.4.1.1718.4.1.8.5.1.2.", setOn: 1, setOff: 2, unit: []int{1, 1},
	},
	// VERTIV-V5-MIB: pduOutletSwitchState and pduOutletSwitchControl.
	"vertiv": {
		state: ".1.3.6.1.4.1.21239.5.2.3.5.1.4.", on: 1, off: 2, turning: []int{3, 4},
		control: ".1.3.6.1.4.1.21239.5.2.3.5.1.6.", setOn: 2, setOff: 4,
	},
	// CPS-MIB: ePDUOutletStatusOutletState and ePDUOutletControlOutletCommand.
	"cyberpower": {
		state: ".1.3.6.1.4.1.3808.1.1.3.3.5.1.1.4.", on: 1, off: 2,
		control: ".1.3.6.1.4.1.3808.1.1.3.3.3.1.1.4.", setOn: 1, setOff: 2,
	},
}
