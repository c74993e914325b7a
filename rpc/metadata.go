package rpc

import (
	"context"
	"maps"
)

// maxMetadata bounds the names and values that travel with one call or update, in bytes together.
const maxMetadata = 1 << 10

type metadataKey struct{}

// WithMetadata makes m travel with the calls that are made with the context it returns: the other
// side's method finds it with [Metadata]. It is for what describes a call without being an argument
// of it, such as W3C trace context. What came with a call goes on with the calls that its method
// makes.
//
// Metadata is a hint: a peer of an older version ignores it, and more than a kilobyte in all is
// left behind, so nothing may depend on its arrival. The map must not be modified afterwards.
func WithMetadata(ctx context.Context, m map[string]string) context.Context {
	if len(m) == 0 || tooLarge(m) {
		return ctx
	}
	return context.WithValue(ctx, metadataKey{}, m)
}

// Metadata returns the metadata of a call, inside its method, or of an update, inside Apply and
// Change of a [Topic]. Nil means none. It must not be modified.
func Metadata(ctx context.Context) map[string]string {
	m, _ := ctx.Value(metadataKey{}).(map[string]string)
	return m
}

func tooLarge(m map[string]string) bool {
	size := 0
	for name, value := range m {
		size += len(name) + len(value)
	}
	return size > maxMetadata
}

// Carry attaches m to later changes, until Carry is called again: a rack finds it with [Metadata].
// Where several changes arrive as one update, it has the metadata of the last one. Nil, the
// beginning, attaches nothing.
func (s *State) Carry(m map[string]string) {
	if tooLarge(m) {
		m = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carried = maps.Clone(m)
}

type servingKey struct{}

// Serving is the position that a rack is about to serve, inside Apply and Change of a [Topic]; zero
// in any other context.
func Serving(ctx context.Context) Position {
	p, _ := ctx.Value(servingKey{}).(Position)
	return p
}
