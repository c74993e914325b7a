package dhcpsrv

import (
	"fmt"
	"slices"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// merge joins levels of options, the more specific ones later, in the order of their codes.
func merge(levels ...Options) Options {
	var out Options
	for _, level := range levels {
		for _, o := range level {
			if have := out.find(o.Code); have != nil {
				*have = o
			} else {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b Option) int { return int(a.Code) - int(b.Code) })
	return out
}

// ownOption reports whether the server makes the option itself for every reply, so that no level
// may set it.
func ownOption(code uint8) bool {
	switch code {
	case 0, wire.OptRequestedIP, wire.OptLeaseTime, wire.OptOverload, wire.OptMessageType, wire.OptServerID,
		wire.OptParameterList, wire.OptMessage, wire.OptMaxSize, wire.OptT1, wire.OptT2, wire.OptClientID,
		wire.OptRapidCommit, wire.OptRelayAgent, wire.OptClientUUID, wire.OptEnd:
		return true
	}
	return false
}

func checkOptions(where string, opts Options) error { return checkLevel(where, "", opts, ownOption) }

// checkLevel checks the options of one level. own reports the options that the server makes itself
// for the protocol.
func checkLevel(where, protocol string, opts Options, own func(code uint8) bool) error {
	for i, o := range opts {
		switch {
		case own(o.Code):
			return fmt.Errorf("%s: option %d%s is made by the server itself", where, o.Code, protocol)
		case len(o.Data) > 1024:
			return fmt.Errorf("%s: option %d has %d bytes, more than 1024", where, o.Code, len(o.Data))
		case opts[:i].find(o.Code) != nil:
			return fmt.Errorf("%s: option %d is given twice", where, o.Code)
		}
	}
	return nil
}
