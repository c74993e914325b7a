package ipam_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/ipamtest"
)

func openJournal(t testing.TB, path string) *ipam.Journal {
	t.Helper()
	j, err := ipam.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestLedgersConform(t *testing.T) {
	t.Run("MemLedger", func(t *testing.T) {
		ipamtest.Run(t, func(*testing.T) ipamtest.Harness { return ipamtest.Harness{Ledger: new(ipam.MemLedger)} })
	})
	t.Run("Journal", func(t *testing.T) {
		ipamtest.Run(t, func(t *testing.T) ipamtest.Harness {
			path := filepath.Join(t.TempDir(), "addresses")
			j := openJournal(t, path)
			return ipamtest.Harness{Ledger: j, Reopen: func(t *testing.T) ipam.Ledger {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				return openJournal(t, path)
			}}
		})
	})
}

func BenchmarkLedger(b *testing.B) {
	b.Run("MemLedger", func(b *testing.B) {
		ipamtest.RunBenchmarks(b, func(*testing.B) ipam.Ledger { return new(ipam.MemLedger) })
	})
	b.Run("Journal", func(b *testing.B) {
		ipamtest.RunBenchmarks(b, func(b *testing.B) ipam.Ledger { return openJournal(b, filepath.Join(b.TempDir(), "addresses")) })
	})
}

func contents(t testing.TB, j *ipam.Journal) map[netip.Addr]string {
	t.Helper()
	out := map[netip.Addr]string{}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		for a, err := range j.Addrs(context.Background(), netip.MustParsePrefix(all)) {
			if err != nil {
				t.Fatal(err)
			}
			if out[a], err = j.Holder(context.Background(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// history fills a journal and returns its file, and after each change its length and what was held.
func history(t *testing.T) (text []byte, ends []int, states []map[netip.Addr]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "addresses")
	j := openJournal(t, path)
	note := func(err error) {
		t.Helper()
		info, serr := os.Stat(path)
		if err = errors.Join(err, serr); err != nil {
			t.Fatal(err)
		}
		ends, states = append(ends, int(info.Size())), append(states, contents(t, j))
	}
	note(nil)
	for i, text := range []string{"10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3"} {
		note(j.Insert(t.Context(), netip.MustParseAddr(text), fmt.Sprint("key ", i)))
	}
	note(j.Delete(t.Context(), netip.MustParseAddr("10.0.0.2")))
	note(j.Insert(t.Context(), netip.MustParseAddr("10.0.0.2"), ""))
	note(j.Delete(t.Context(), netip.MustParseAddr("fd00::1")))
	j.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text, ends, states
}

// A file that ends anywhere has what was answered before that, and goes on to be written.
func TestJournalsWithATornTail(t *testing.T) {
	text, ends, states := history(t)
	path := filepath.Join(t.TempDir(), "addresses")
	for n := range len(text) + 1 {
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", strings.Repeat("\xff", 40)} {
			if err := os.WriteFile(path, append(text[:n:n], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			if n < ends[0] && tail != "" {
				continue // another file altogether
			}
			want := map[netip.Addr]string{}
			for i, end := range ends {
				if end <= n {
					want = states[i]
				}
			}
			j := openJournal(t, path)
			if got := contents(t, j); !maps.Equal(got, want) {
				t.Fatalf("cut to %d bytes, with %q: %v, want %v", n, tail, got, want)
			}
			if err := j.Insert(t.Context(), netip.MustParseAddr("10.9.9.9"), "after"); err != nil {
				t.Fatal(err)
			}
			j.Close()
			j = openJournal(t, path)
			if got := contents(t, j); got[netip.MustParseAddr("10.9.9.9")] != "after" || len(got) != len(want)+1 || j.Recovered() != (ipam.Recovery{}) {
				t.Fatalf("cut to %d bytes: %v, %+v", n, got, j.Recovered())
			}
			j.Close()
		}
	}
}

// A flipped bit costs the record that it is in and no other, and the damaged file is kept.
func TestJournalsWithFlippedBits(t *testing.T) {
	text, ends, _ := history(t)
	for at := ends[0]; at < len(text); at++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "addresses")
		damaged := append([]byte(nil), text...)
		damaged[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		j := openJournal(t, path)
		got, r := contents(t, j), j.Recovered()
		last := at >= ends[len(ends)-2]
		if (r.Torn > 0) != last || (r.Skipped > 0) == last {
			t.Errorf("byte %d: %+v", at, r)
		}
		if r.Skipped > 0 {
			if kept, err := os.ReadFile(r.Kept); err != nil || string(kept) != string(damaged) {
				t.Errorf("byte %d: the damaged file was not kept: %v", at, err)
			}
		}
		if (at < ends[2] || at >= ends[3]) && (at < ends[5] || at >= ends[6]) && got[netip.MustParseAddr("10.0.0.3")] == "" && (at < ends[3] || at >= ends[4]) {
			t.Errorf("byte %d: 10.0.0.3 is lost: %v", at, got)
		}
		j.Close()
		if j = openJournal(t, path); j.Recovered() != (ipam.Recovery{}) || !maps.Equal(contents(t, j), got) {
			t.Errorf("byte %d: opened again: %+v, %v", at, j.Recovered(), contents(t, j))
		}
		j.Close()
	}
}

// A key that looks like a record of its own is not taken for one when the record around it is damaged.
func TestKeysThatLookLikeRecords(t *testing.T) {
	text, ends, _ := history(t)
	path := filepath.Join(t.TempDir(), "addresses")
	j := openJournal(t, path)
	if err := j.Insert(t.Context(), netip.MustParseAddr("10.1.1.1"), string(text[ends[0]:ends[1]])); err != nil {
		t.Fatal(err)
	}
	if err := j.Insert(t.Context(), netip.MustParseAddr("10.1.1.2"), "good"); err != nil {
		t.Fatal(err)
	}
	j.Close()
	damaged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged[ends[0]]++
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, path)
	if got := contents(t, j); len(got) != 1 || got[netip.MustParseAddr("10.1.1.2")] != "good" {
		t.Errorf("%v", got)
	}
}

func TestJournalsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "addresses")
	if err := os.WriteFile(path, []byte("gomaas leases 1\nsomething"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ipam.OpenJournal(path); err == nil || !strings.Contains(err.Error(), "not a journal of addresses") {
		t.Errorf("another file: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "gomaas leases 1\nsomething" {
		t.Errorf("another file was changed to %q", text)
	}
	if _, err := ipam.OpenJournal(filepath.Join(dir, "absent", "addresses")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	j := openJournal(t, filepath.Join(dir, "good"))
	if _, err := ipam.OpenJournal(filepath.Join(dir, "good")); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("twice: %v", err)
	}
	for name, err := range map[string]error{
		"zero address": j.Insert(t.Context(), netip.Addr{}, "k"),
		"zone":         j.Insert(t.Context(), netip.MustParseAddr("fe80::1%eth0"), "k"),
		"long key":     j.Insert(t.Context(), netip.MustParseAddr("10.0.0.1"), strings.Repeat("k", 1<<16)),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := j.Insert(t.Context(), netip.MustParseAddr("10.0.0.1"), "k"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A journal that is out of date for the most part is written anew, while many callers change it.
func TestJournalsStaySmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses")
	j := openJournal(t, path)
	key := strings.Repeat("k", 1000)
	var running sync.WaitGroup
	for c := range 8 {
		running.Go(func() {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(c)})
			for range 200 {
				if err := errors.Join(j.Insert(t.Context(), a, key), j.Delete(t.Context(), a)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := j.Insert(t.Context(), a, fmt.Sprint(c)); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	want := contents(t, j)
	j.Close()
	info, err := os.Stat(path)
	if err != nil || info.Size() > 512<<10 {
		t.Errorf("%d bytes of 1.6 MB that were written, %v", info.Size(), err)
	}
	if got := contents(t, openJournal(t, path)); len(want) != 8 || !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A process that is killed has lost nothing that it was answered for.
func TestJournalsSurviveKills(t *testing.T) {
	if path := os.Getenv("IPAM_JOURNAL_TO_FILL"); path != "" {
		fillUntilKilled(path)
		return
	}
	path := filepath.Join(t.TempDir(), "addresses")
	held := map[netip.Addr]bool{}
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestJournalsSurviveKills$")
		cmd.Env = append(os.Environ(), "IPAM_JOURNAL_TO_FILL="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if a, err := netip.ParseAddr(lines.Text()); err == nil {
				held[a] = true
			}
			if n == 100+37*round {
				cmd.Process.Kill() // what it wrote into the pipe by then is still read
			}
		}
		_ = cmd.Wait() // it was killed
		j := openJournal(t, path)
		for a := range held {
			if _, err := j.Holder(t.Context(), a); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if n := j.Len(); n > len(held)+8*(round+1) { // eight callers may not have been answered
			t.Errorf("round %d: %d addresses are held, %d were given out", round, n, len(held))
		}
		j.Close()
	}
	if len(held) < 500 {
		t.Errorf("only %d addresses were given out", len(held))
	}
}

func fillUntilKilled(path string) {
	j, err := ipam.OpenJournal(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	pool, err := ipam.NewPool(context.Background(), ipam.PoolConfig{Usage: usage("10.0.0.0/8"), Ledger: j})
	if err != nil {
		fmt.Println(err)
		return
	}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for {
				a, err := pool.Next(context.Background(), "k")
				if err != nil {
					fmt.Println(err)
					return
				}
				fmt.Println(a)
			}
		})
	}
	running.Wait()
}

func FuzzOpenJournal(f *testing.F) {
	f.Add([]byte("gomaas addresses 1\n12345678"))
	f.Add([]byte("gomaas"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "addresses")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := ipam.OpenJournal(path)
		if err != nil {
			return
		}
		want := contents(t, j)
		j.Close()
		if got := contents(t, openJournal(t, path)); !maps.Equal(got, want) {
			t.Errorf("%v became %v", want, got)
		}
	})
}

// Addresses that were given out are still held when the program starts again.
func ExampleOpenJournal() {
	dir, err := os.MkdirTemp("", "ipam")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	for _, name := range []string{"node1", "node2"} { // two runs of a program
		journal, err := ipam.OpenJournal(filepath.Join(dir, "addresses"))
		if err != nil {
			fmt.Println(err)
			return
		}
		pool, err := ipam.NewPool(ctx, ipam.PoolConfig{
			Usage:  ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("192.0.2.0/29")}},
			Ledger: journal,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		addr, err := pool.Next(ctx, name)
		fmt.Println(name, addr, err)
		fmt.Println(pool.Statistics())
		journal.Close()
	}
	// Output:
	// node1 192.0.2.1 <nil>
	// 1 of 6 addresses used (16.7 %)
	// node2 192.0.2.2 <nil>
	// 2 of 6 addresses used (33.3 %)
}
