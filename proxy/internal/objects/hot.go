package objects

import (
	"container/list"
	"sync"
)

// Content is an object's description, and its body when that is small.
type Content struct {
	*Meta
	// Body is the whole body, or nil when it has to be read from its file.
	Body []byte
	// Note is the value that the store's user computed from the description, see [Store.Load].
	Note any
}

const (
	// smallBody is the size up to which bodies of used objects are kept in memory.
	smallBody = 16 << 10
	// hotBytes bounds the memory of hot contents; a description is counted as hotMeta.
	hotBytes = 32 << 20
	hotMeta  = 4 << 10
)

// hot holds the contents used last.
type hot struct {
	mu    sync.Mutex
	order list.List // of hotEntry, the last used at the back
	at    map[*Object]*list.Element
	bytes int
}

type hotEntry struct {
	o *Object
	c *Content
}

func (h *hot) get(o *Object) *Content {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.at[o]
	if !ok {
		return nil
	}
	h.order.MoveToBack(e)
	return e.Value.(hotEntry).c
}

func (h *hot) put(o *Object, c *Content) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == nil {
		h.at = make(map[*Object]*list.Element)
	}
	if e, ok := h.at[o]; ok {
		h.remove(e)
	}
	h.at[o] = h.order.PushBack(hotEntry{o, c})
	h.bytes += hotMeta + len(c.Body)
	for h.bytes > hotBytes {
		h.remove(h.order.Front())
	}
}

func (h *hot) drop(o *Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.at[o]; ok {
		h.remove(e)
	}
}

func (h *hot) remove(e *list.Element) {
	entry := h.order.Remove(e).(hotEntry)
	delete(h.at, entry.o)
	h.bytes -= hotMeta + len(entry.c.Body)
}
