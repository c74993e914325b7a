package rack

import (
	"context"
	"sync"

	"github.com/gomaas/maas/rpc"
)

// first has a channel for each topic that is closed when the topic has been applied for the first time, from disk or by the
// region.
type first map[string]chan struct{}

// watch has the topics tell when they come for the first time.
func (f first) watch(topics []rpc.Topic) []rpc.Topic {
	for i, t := range topics {
		came := make(chan struct{})
		f[t.Name] = came
		var once sync.Once
		topics[i].Apply = func(ctx context.Context, objects map[string][]byte) error {
			err := t.Apply(ctx, objects)
			if err == nil {
				once.Do(func() { close(came) })
			}
			return err
		}
	}
	return topics
}

// then runs what serves from a topic once that has come, or ctx has ended. On a rack that is new it would refuse what it
// knows a moment later; who asks before that waits in the queue of the socket.
func (f first) then(topic string, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-f[topic]:
		case <-ctx.Done():
		}
		return run(ctx)
	}
}
