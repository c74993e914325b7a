// Package pgtest starts PostgreSQL servers for tests:
//
//	server := pgtest.Start(t)
//	db, err := store.Open(t.Context(), server.NewDatabase(t), schema.FS)
package pgtest

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// Server is a PostgreSQL server that runs for a test or for several. It listens on a Unix socket in
// a directory of its own.
type Server struct {
	socket string
	user   string
	made   atomic.Int64
}

// Start starts a server of Debian's package postgresql and stops it when the test ends. Without the
// programs the test is skipped, or fails if MAAS_TEST_REQUIRE is "all". Run by root, the server
// runs as user postgres, since it refuses to run as root.
func Start(t testing.TB) *Server {
	t.Helper()
	p, stop := start(t)
	t.Cleanup(stop)
	return p
}

// Shared is a server for all tests of a package, started by the first that needs it: starting takes
// seconds, making a database in it none. Its zero value is ready, for one goroutine.
type Shared struct {
	server *Server
	stop   func()
}

// Postgres returns the server; see Start.
func (s *Shared) Postgres(t testing.TB) *Server {
	t.Helper()
	if s.server == nil {
		s.server, s.stop = start(t)
	}
	return s.server
}

// Stop stops the server if there is one. TestMain calls it after the tests.
func (s *Shared) Stop() {
	if s.stop != nil {
		s.stop()
	}
}

func start(t testing.TB) (p *Server, stop func()) {
	t.Helper()
	initdb, server := find("initdb"), find("postgres")
	if initdb == "" || server == "" {
		const why = "needs the programs initdb and postgres (Debian package postgresql)"
		if os.Getenv("MAAS_TEST_REQUIRE") == "all" {
			t.Fatal(why + " (MAAS_TEST_REQUIRE=all forbids skipping)")
		}
		t.Skip(why)
	}
	dir, err := os.MkdirTemp("", "pgtest") // t.TempDir makes paths too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	stop = func() { os.RemoveAll(dir) }
	up := false
	defer func() { // t.Fatal leaves from anywhere
		if !up {
			stop()
		}
	}()
	as := account(t, dir)
	data := filepath.Join(dir, "data")
	p = &Server{socket: dir, user: "maas"}
	run(t, as, initdb, "--pgdata", data, "--username", p.user, "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C")
	cmd := exec.Command(server, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200")
	cmd.Dir, cmd.SysProcAttr = dir, as
	if err := cmd.Start(); err != nil {
		t.Fatalf("start postgres: %v", err)
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = cmd.Wait()
		os.RemoveAll(dir)
	}
	p.await(t)
	up = true
	return p, stop
}

// find looks in PATH and where Debian puts the server's programs.
func find(program string) string {
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if len(paths) == 0 {
		return ""
	}
	return paths[len(paths)-1]
}

// account returns how to run as the owner of dir: as oneself, or as postgres for root.
func account(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("root cannot run postgres without the user postgres: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func run(t testing.TB, as *syscall.SysProcAttr, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.SysProcAttr = "/", as
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (p *Server) url(database string) string {
	q := url.Values{"host": {p.socket}, "user": {p.user}, "sslmode": {"disable"}}
	return "postgres:///" + database + "?" + q.Encode()
}

func (p *Server) await(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := p.exec("SELECT 1")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("postgres did not come up: %v", err)
		}
	}
}

func (p *Server) exec(query string) error {
	db, err := sql.Open("pgx", p.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(query)
	return err
}

// Socket returns the path of the Unix socket at which the server listens, for a proxy before it.
func (p *Server) Socket() string { return filepath.Join(p.socket, ".s.PGSQL.5432") }

// Exec runs a statement as the owner of the server.
func (p *Server) Exec(t testing.TB, query string) {
	t.Helper()
	if err := p.exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// NewDatabase makes an empty database and returns its URL for store.Open.
func (p *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("maas%d", p.made.Add(1))
	if err := p.exec("CREATE DATABASE " + name); err != nil && !strings.Contains(err.Error(), "exists") {
		t.Fatal(err)
	}
	return p.url(name)
}
