package inventory_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/pgtest"
)

// Many callers at once ask a nearly full subnet: no address goes out twice, and none is refused
// while one is free.
func TestAllocateFromNearlyFullSubnet(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		const callers, each, free = 64, 2, 100
		s := must[ipam.Subnet](t)(inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))
		must[ipam.Range](t)(inv.Ranges.Create(t.Context(), ipam.Range{SubnetID: s.ID, Start: addr("10.0.0.1"), End: addr("10.0.0.154")}))
		var mu sync.Mutex
		got, refusals := map[netip.Addr]bool{}, 0
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					a, err := inv.ReserveAddress(t.Context(), inventory.Reservation{SubnetID: s.ID, Owner: "ada"})
					var full *ipam.ExhaustedError
					mu.Lock()
					switch {
					case errors.As(err, &full):
						refusals++
					case err != nil:
						t.Error(err)
					case got[a.Addr]:
						t.Errorf("%s was given out twice", a.Addr)
					default:
						got[a.Addr] = true
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(got) != free || refusals != callers*each-free {
			t.Errorf("%d given out, %d refused; want %d and %d", len(got), refusals, free, callers*each-free)
		}
	})
}

// What a transaction gave out is free again if it does not commit.
func TestRollbackFreesAddresses(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/29")}))
	for range 3 {
		err := inv.Atomically(ctx, func(ctx context.Context) error {
			for range 6 {
				if _, err := inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: s.ID}); err != nil {
					return err
				}
			}
			return errDropped
		})
		if !errors.Is(err, errDropped) {
			t.Fatal(err)
		}
	}
	if a := must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: s.ID})); a.Addr != addr("10.0.0.1") {
		t.Errorf("got %s", a.Addr)
	}
}

var errDropped = errors.New("dropped")

const (
	childEnv   = "INVENTORY_TEST_WRITER"
	reserveEnv = "INVENTORY_TEST_RESERVER"
)

// TestMain also plays the process that TestKill kills, and those of TestSeveralProcesses.
func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		write(url)
		return
	}
	if url := os.Getenv(reserveEnv); url != "" {
		reserve(url)
		return
	}
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// server is PostgreSQL for the tests of this package.
var server pgtest.Shared

// reserve takes addresses from many goroutines until there are none, and prints them.
func reserve(url string) {
	ctx, db, inv := background(url)
	defer db.Close()
	s, err := inv.SubnetFor(ctx, addr("10.0.0.1"))
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				a, err := inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: s.ID})
				var full *ipam.ExhaustedError
				if errors.As(err, &full) {
					return
				}
				if err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println(a.Addr)
			}
		})
	}
	wg.Wait()
}

// Four processes with 16 goroutines each empty a nearly full subnet: every address goes out once.
func TestSeveralProcesses(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite://" + filepath.Join(t.TempDir(), "maas.db"),
		"postgres": server.Postgres(t).NewDatabase(t),
	} {
		t.Run(name, func(t *testing.T) {
			inv := openInventory(t, url)
			must[ipam.Subnet](t)(inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))
			must[ipam.Range](t)(inv.Ranges.Create(t.Context(), ipam.Range{Start: addr("10.0.0.1"), End: addr("10.0.0.154")}))
			outs := make([][]byte, 4)
			var wg sync.WaitGroup
			for i := range outs {
				wg.Go(func() {
					cmd := exec.CommandContext(t.Context(), os.Args[0])
					cmd.Env = append(os.Environ(), reserveEnv+"="+url)
					var err error
					if outs[i], err = cmd.CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, outs[i])
					}
				})
			}
			wg.Wait()
			got := map[string]int{}
			for _, out := range outs {
				for _, line := range strings.Fields(string(out)) {
					got[line]++
				}
			}
			if len(got) != 100 {
				t.Errorf("%d addresses given out, want 100: %v", len(got), got)
			}
			for a, n := range got {
				if n != 1 {
					t.Errorf("%s: %d times", a, n)
				}
			}
		})
	}
}

// write adds zones for ever and prints each name once it is committed.
func write(url string) {
	ctx, db, inv := background(url)
	defer db.Close()
	for i := 0; ; i++ {
		z, err := inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: fmt.Sprintf("%d-%d", os.Getpid(), i)})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(z.Name)
	}
}

// A process that is killed at any moment loses nothing that it was told is
// committed, and the change feed has no gap. INVENTORY_TEST_KILLS sets how
// often.
func TestKill(t *testing.T) {
	kills := 24
	if testing.Short() {
		kills = 3
	}
	if n := os.Getenv("INVENTORY_TEST_KILLS"); n != "" {
		if _, err := fmt.Sscan(n, &kills); err != nil {
			t.Fatal(err)
		}
	}
	url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
	acknowledged := map[string]bool{}
	for i := range kills {
		for _, name := range runAndKill(t, url, time.Duration(5+i*37%90)*time.Millisecond) {
			acknowledged[name] = true
		}
	}
	inv := openInventory(t, url)
	for _, z := range must[[]inventory.AvailabilityZone](t)(inv.Zones.List(t.Context())) {
		delete(acknowledged, z.Name)
	}
	if len(acknowledged) > 0 {
		t.Errorf("lost: %v", acknowledged)
	}
	checkFeed(t, inv)
	checkIntegrity(t, strings.TrimPrefix(url, "sqlite://"))
}

// checkIntegrity has SQLite look at every page, index and reference.
func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db := must[*sql.DB](t)(sql.Open("sqlite", path))
	defer db.Close()
	var verdict string
	ok(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("integrity check: %s", verdict)
	}
	rows := must[*sql.Rows](t)(db.QueryContext(t.Context(), "PRAGMA foreign_key_check"))
	defer rows.Close()
	if rows.Next() {
		t.Error("a reference leads nowhere")
	}
	ok(t, rows.Err())
}

func runAndKill(t *testing.T, url string, after time.Duration) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+url)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	var lines []string
	scan := bufio.NewScanner(out)
	var timer *time.Timer
	for scan.Scan() {
		if timer == nil { // it is up: the time runs from the first commit
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		if strings.HasPrefix(scan.Text(), "error") {
			t.Fatal(scan.Text())
		}
		lines = append(lines, scan.Text())
	}
	_ = cmd.Wait()
	if len(lines) == 0 {
		t.Fatal("the writer wrote nothing")
	}
	return lines
}

// checkFeed reads all changes: every revision must occur once.
func checkFeed(t *testing.T, inv *inventory.Inventory) {
	t.Helper()
	last := must[int64](t)(inv.Revision(t.Context()))
	next := int64(1)
	for c, err := range inv.Watch(t.Context(), 0) {
		if err != nil || c.Rev != next {
			t.Fatalf("revision %d, %v; want %d", c.Rev, err, next)
		}
		if next++; next > last {
			return
		}
	}
}

// Inventories of several processes share a database: here four of them.
func TestSeveralInventories(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
	first := openInventory(t, url)
	s := must[ipam.Subnet](t)(first.Subnets.Create(t.Context(), ipam.Subnet{Prefix: prefix("10.0.0.0/26")}))
	var mu sync.Mutex
	got := map[netip.Addr]bool{}
	var wg sync.WaitGroup
	for range 4 {
		inv := openInventory(t, url)
		wg.Go(func() {
			for {
				a, err := inv.ReserveAddress(t.Context(), inventory.Reservation{SubnetID: s.ID})
				var full *ipam.ExhaustedError
				if errors.As(err, &full) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if got[a.Addr] {
					t.Errorf("%s was given out twice", a.Addr)
				}
				got[a.Addr] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(got) != 62 {
		t.Errorf("%d given out, want 62", len(got))
	}
	// What one releases, another can give out.
	ok(t, first.ReleaseAddress(t.Context(), addr("10.0.0.33"), "", false))
	if a := must[ipam.Allocation](t)(openInventory(t, url).ReserveAddress(t.Context(), inventory.Reservation{SubnetID: s.ID})); a.Addr != addr("10.0.0.33") {
		t.Errorf("got %s", a.Addr)
	}
}

func background(url string) (context.Context, *store.DB, *inventory.Inventory) {
	ctx := context.Background()
	db, err := store.Open(ctx, url, schema.FS)
	if err == nil {
		var inv *inventory.Inventory
		if inv, err = inventory.Open(ctx, db, inventory.Config{}); err == nil {
			return ctx, db, inv
		}
	}
	fmt.Println("error", err)
	os.Exit(1)
	return nil, nil, nil
}
