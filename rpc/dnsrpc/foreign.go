package dnsrpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/dnssrv"
)

// ForeignTopic is the rpc topic of what a rack does with the DNS servers of others.
const ForeignTopic = "dns-foreign"

// Foreign holds the zones of DNS servers of others that concern a rack.
type Foreign struct {
	Update []ForeignZone `json:"update,omitempty"` // get the names of the rack's leases, by dynamic updates
	Follow []ForeignZone `json:"follow,omitempty"` // catalogs (RFC 9432) whose zones the rack serves, too
}

// ForeignZone is a zone of another server.
type ForeignZone struct {
	Zone   string         `json:"zone"`
	Server netip.AddrPort `json:"server"` // its primary
	Key    dnssrv.Key     `json:"key"`    // signs what is sent there; zero = nothing is signed
}

const foreignKey = "foreign"

// ForeignObjects returns the topic's one object.
func ForeignObjects(f Foreign) (map[string][]byte, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("dnsrpc: %w", err)
	}
	return map[string][]byte{foreignKey: data}, nil
}

// ApplyForeign hands each state of the topic to adopt. Without an object that is the zero Foreign.
func ApplyForeign(adopt func(context.Context, Foreign) error) func(context.Context, map[string][]byte) error {
	return func(ctx context.Context, objects map[string][]byte) error {
		var f Foreign
		if err := decode(foreignKey, objects[foreignKey], &f); err != nil {
			return err
		}
		return adopt(ctx, f)
	}
}
