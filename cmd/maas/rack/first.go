package rack

import (
	"context"
	"sync"

	"github.com/gomaas/maas/rpc"
)

// first has a channel for each topic that is closed after the first attempt to apply the topic, from disk or by the region.
// An attempt that failed counts, too: waiting on would keep all who ask from what the rest can answer.
type first map[string]chan struct{}

// watch has the topics tell when they come for the first time.
func (f first) watch(topics []rpc.Topic) []rpc.Topic {
	for i, t := range topics {
		came := make(chan struct{})
		f[t.Name] = came
		var once sync.Once
		topics[i].Apply = func(ctx context.Context, objects map[string][]byte) error {
			defer once.Do(func() { close(came) })
			return t.Apply(ctx, objects)
		}
	}
	return topics
}

// wait returns when a topic has come, or ctx has ended. What serves from it would refuse on a new rack what it knows a moment
// later; who asks before that waits in the queue of the socket. There is no waiting for an empty name.
func (f first) wait(ctx context.Context, topic string) {
	if topic == "" {
		return
	}
	select {
	case <-f[topic]:
	case <-ctx.Done():
	}
}
