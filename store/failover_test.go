package store_test

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/pgtest"
)

// address is one address that leads to one of several servers.
type address struct {
	ln net.Listener

	mu    sync.Mutex // guards the fields below
	to    string     // socket of the server; "" = connections are closed
	conns []net.Conn
}

func newAddress(t *testing.T, to string) *address {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &address{ln: ln, to: to}
	t.Cleanup(func() {
		ln.Close()
		a.cut()
	})
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			a.join(c)
		}
	}()
	return a
}

// join connects a client with the server.
func (a *address) join(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := net.Dial("unix", a.to)
	if a.to == "" || err != nil {
		c.Close()
		return
	}
	a.conns = append(a.conns, c, s)
	for from, to := range map[net.Conn]net.Conn{c: s, s: c} {
		go func() {
			_, _ = io.Copy(to, from)
			to.Close()
		}()
	}
}

func (a *address) lead(to string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = to
}

// cut ends the connections that exist.
func (a *address) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.conns {
		c.Close()
	}
	a.conns = nil
}

// url returns the URL of a database at the address.
func (a *address) url(direct string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(direct, "postgres:///"), "?")
	_, port, _ := net.SplitHostPort(a.ln.Addr().String())
	return "postgres://maas@127.0.0.1:" + port + "/" + name + "?sslmode=disable"
}

// Behind one address another server takes over. Whatever becomes of the former one and of the
// connections to it, the next write succeeds, without a restart, and so does the next read.
func TestFailOverBehindOneAddress(t *testing.T) {
	servers := [2]*pgtest.Server{pgtest.Start(t), pgtest.Start(t)}
	for name, leave := range map[string]func(t *testing.T, former *pgtest.Server, a *address, next string){
		// A standby now: its connections stay, and only reads work.
		"the former server is read-only": func(t *testing.T, former *pgtest.Server, a *address, next string) {
			former.Exec(t, "ALTER SYSTEM SET default_transaction_read_only = on")
			former.Exec(t, "SELECT pg_reload_conf()")
			a.lead(next)
		},
		"the former server ends its sessions": func(t *testing.T, former *pgtest.Server, a *address, next string) {
			a.lead(next)
			former.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname LIKE 'maas%'")
		},
		"connections break": func(_ *testing.T, _ *pgtest.Server, a *address, next string) {
			a.lead(next)
			a.cut()
		},
		"the address is without a server for a while": func(_ *testing.T, _ *pgtest.Server, a *address, next string) {
			a.lead("")
			a.cut()
			time.AfterFunc(200*time.Millisecond, func() { a.lead(next) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			former, next := servers[0], servers[1]
			// Both have the schema, as a standby has.
			open(t, next.NewDatabase(t)).Close()
			direct := former.NewDatabase(t)
			a := newAddress(t, former.Socket())
			defer func() {
				former.Exec(t, "ALTER SYSTEM RESET default_transaction_read_only")
				former.Exec(t, "SELECT pg_reload_conf()")
			}()
			db := open(t, a.url(direct))
			many(t, db, func(i int) error { return put(t.Context(), db, i) })
			leave(t, former, a, next.Socket())
			many(t, db, func(i int) error { return put(t.Context(), db, 100+i) })
			many(t, db, func(int) error {
				return db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					var n int
					return tx.Get(ctx, "SELECT COUNT(*) FROM zone WHERE name LIKE 'name1%'", nil, &n)
				})
			})
		})
	}
}

// many runs f several times at once, so that several connections are in use.
func many(t *testing.T, _ *store.DB, f func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	for i := range 6 {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := f(i); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}()
	}
	group.Wait()
}

func put(ctx context.Context, db *store.DB, i int) error {
	return db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO zone (name, description) VALUES (?, '')", "name"+strconv.Itoa(i))
		return err
	})
}
