// Package proxyrpc carries the policy of a rack's proxy from the region.
//
//	objects, err := proxyrpc.Objects(policy)                      // region
//	region.State("rack-1").Set(proxyrpc.Topic, objects)
//
//	rpc.Topic{Name: proxyrpc.Topic, Apply: proxyrpc.Apply(proxy)} // rack
package proxyrpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gomaas/maas/proxy"
)

// Topic is the rpc topic.
const Topic = "proxy"

const policyKey = "policy"

// Objects returns the policy as the topic's one object.
func Objects(p proxy.Policy) (map[string][]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("proxyrpc: %w", err)
	}
	return map[string][]byte{policyKey: data}, nil
}

// Apply puts each state of the topic in force. Without a policy object nobody may use the proxy.
func Apply(p *proxy.Proxy) func(context.Context, map[string][]byte) error {
	return func(_ context.Context, objects map[string][]byte) error {
		var policy proxy.Policy
		if data, ok := objects[policyKey]; ok {
			if err := json.Unmarshal(data, &policy); err != nil {
				return fmt.Errorf("proxyrpc: %w", err)
			}
		}
		return p.Update(policy)
	}
}
