package dhcplink

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// linkNames maps the current indexes of the served interfaces to their names. It asks through a
// socket, so that the answers belong to the socket's network namespace.
type linkNames struct {
	names []string
	raw   syscall.RawConn
	// joined, if not nil, is called when a name has a new index: the old index took its multicast
	// groups with it.
	joined func(index int)

	mu      sync.Mutex
	byIndex map[int]string
	looked  time.Time
}

// name returns the name of a served interface, or "".
func (l *linkNames) name(index int) string {
	l.refresh()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byIndex[index]
}

// index returns the index of an interface, or 0.
func (l *linkNames) index(name string) int {
	l.refresh()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range l.byIndex {
		if n == name {
			return i
		}
	}
	return 0
}

// refresh reads the indexes, at most once a second.
func (l *linkNames) refresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.looked) < time.Second {
		return
	}
	l.looked = time.Now()
	byIndex := make(map[int]string, len(l.names))
	l.raw.Control(func(fd uintptr) {
		for _, name := range l.names {
			if ifr, err := unix.NewIfreq(name); err == nil && unix.IoctlIfreq(int(fd), unix.SIOCGIFINDEX, ifr) == nil {
				byIndex[int(ifr.Uint32())] = name
			}
		}
	})
	former := l.byIndex
	l.byIndex = byIndex
	for index := range byIndex {
		if former[index] == "" && l.joined != nil {
			l.joined(index)
		}
	}
}

// follow refreshes until done is closed: a recreated interface must join its groups before any
// client on it can be heard.
func (l *linkNames) follow(done <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.refresh()
		case <-done:
			return
		}
	}
}
