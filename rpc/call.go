package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
)

// A Caller calls methods of the other side with one JSON document each way. [Do] is the typed way
// to use it.
type Caller interface {
	Call(ctx context.Context, method string, in []byte) ([]byte, error)
}

// Do calls a method and decodes its answer. Errors of the other side come back as [*Error].
func Do[Out, In any](ctx context.Context, c Caller, method string, in In) (Out, error) {
	var out Out
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("rpc: %s: encode arguments: %w", method, err)
	}
	answer, err := c.Call(ctx, method, body)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("rpc: %s: decode answer: %w", method, err)
	}
	return out, nil
}

// Methods holds the methods that one side offers to the other. The zero value offers nothing. It
// may be used concurrently.
type Methods struct {
	mu     sync.RWMutex // guards the fields below
	table  map[string]func(context.Context, []byte) ([]byte, error)
	around Around
}

// Around watches calls of offered methods: next runs the call, and Around returns its outcome. It
// calls next at most once, with a context derived from its own. It is called concurrently.
type Around func(ctx context.Context, method string, next func(context.Context) ([]byte, error)) ([]byte, error)

// Watch makes f run all calls of offered methods from now on, in the place of what did so before.
// Nil runs them as they are.
func (m *Methods) Watch(f Around) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.around = f
}

// Offer adds a method. A name that is offered twice answers as the later one says.
func Offer[In, Out any](m *Methods, method string, handle func(context.Context, In) (Out, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == nil {
		m.table = map[string]func(context.Context, []byte) ([]byte, error){}
	}
	m.table[method] = func(ctx context.Context, body []byte) ([]byte, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrInvalid, err)
		}
		out, err := handle(ctx, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}
}

// Call runs an offered method in the caller's goroutine. A panic in it becomes an error.
func (m *Methods) Call(ctx context.Context, method string, in []byte) (out []byte, err error) {
	m.mu.RLock()
	handle, around := m.table[method], m.around
	m.mu.RUnlock()
	if handle == nil {
		return nil, encodeError(method, ErrUnknownMethod)
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, encodeError(method, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if around == nil {
		out, err = handle(ctx, in)
	} else {
		out, err = around(ctx, method, func(ctx context.Context) ([]byte, error) { return handle(ctx, in) })
	}
	if err != nil {
		return nil, encodeError(method, err)
	}
	return out, nil
}
