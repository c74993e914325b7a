package rpc_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc"
)

func openOutbox(t *testing.T, cfg rpc.OutboxConfig) *rpc.Outbox {
	t.Helper()
	o, err := rpc.OpenOutbox(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func add(t *testing.T, o *rpc.Outbox, kind string, values ...any) {
	t.Helper()
	if err := o.Add(kind, values...); err != nil {
		t.Fatal(err)
	}
}

func pending(t *testing.T, o *rpc.Outbox) []string {
	t.Helper()
	var got []string
	if n, _ := o.Pending(); n == 0 {
		return nil
	}
	facts, err := o.Next(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		got = append(got, f.Kind+string(f.Data))
	}
	return got
}

func TestOutboxSurvivesReopen(t *testing.T) {
	cfg := rpc.OutboxConfig{Path: filepath.Join(t.TempDir(), "outbox")}
	o := openOutbox(t, cfg)
	add(t, o, "lease", 1, 2)
	add(t, o, "lease", 3)
	if err := o.Ack(1); err != nil {
		t.Fatal(err)
	}
	o.Close()

	o = openOutbox(t, cfg)
	if diff := cmp.Diff([]string{"lease2", "lease3"}, pending(t, o)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := o.Ack(3); err != nil {
		t.Fatal(err)
	}
	o.Close()

	o = openOutbox(t, cfg)
	add(t, o, "lease", 4)
	facts, err := o.Next(t.Context(), 1)
	if err != nil || facts[0].Seq != 4 {
		t.Errorf("numbers must go on after everything was taken: got %+v, %v", facts, err)
	}
}

func TestFullOutboxDropsObservationsNeverLeases(t *testing.T) {
	o := openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(t.TempDir(), "outbox"), Limit: 3, Droppable: []string{"seen"}})
	add(t, o, "seen", 1)
	add(t, o, "lease", 2)
	add(t, o, "seen", 3)
	add(t, o, "lease", 4)
	add(t, o, "lease", 5)
	add(t, o, "lease", 6)
	if diff := cmp.Diff([]string{"lease2", "lease4", "lease5", "lease6"}, pending(t, o)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, dropped := o.Pending(); dropped != 2 {
		t.Errorf("dropped %d", dropped)
	}
}

// The reports of strangers are bounded in bytes, in memory and in the file, and what takes most gives way first.
func TestOutboxIsBoundedInBytes(t *testing.T) {
	const limit = 1 << 20
	path := filepath.Join(t.TempDir(), "outbox")
	cfg := rpc.OutboxConfig{Path: path, LimitBytes: limit, Droppable: []string{"seen", "boot"}}
	o := openOutbox(t, cfg)
	add(t, o, "seen", "small")
	for i := range 2000 {
		add(t, o, "boot", strings.Repeat("x", 10_000))
		if i%20 == 0 {
			add(t, o, "lease", i)
		}
	}
	size := func() (n int) {
		for _, text := range pending(t, o) {
			n += len(text)
		}
		return n
	}
	if n := size(); n > limit || n < limit/2 {
		t.Errorf("%d bytes wait, the limit is %d", n, limit)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 5*limit {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	all := strings.Join(pending(t, o), " ")
	if !strings.Contains(all, `seen"small"`) || strings.Count(all, "lease") != 100 {
		t.Errorf("an observation or one of 100 leases was dropped for boots: %d leases", strings.Count(all, "lease"))
	}
	o.Close()
	o = openOutbox(t, cfg)
	if n := size(); n > limit || strings.Count(strings.Join(pending(t, o), " "), "lease") != 100 {
		t.Errorf("after a restart %d bytes wait", n)
	}
}

// What must not be dropped is refused when there is no room at all, and taken again later.
func TestOutboxRefusesWhatItMustNotDrop(t *testing.T) {
	o := openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(t.TempDir(), "outbox"), LimitBytes: 10_000, Droppable: []string{"boot"}})
	var err error
	for n := 0; err == nil && n < 1000; n++ {
		err = o.Add("lease", strings.Repeat("x", 1000))
	}
	if !errors.Is(err, rpc.ErrOutboxFull) {
		t.Fatalf("got %v", err)
	}
	if n, _ := o.Pending(); n < 17 || n > 20 {
		t.Errorf("%d leases wait", n)
	}
	add(t, o, "boot", 1) // which gives way at once
	facts, err := o.Next(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Ack(facts[len(facts)-1].Seq); err != nil {
		t.Fatal(err)
	}
	add(t, o, "lease", 1)
}

// Whichever octet of the file is damaged, the outbox opens, and no fact is taken for one that the region has.
func TestDamagedOutboxLosesLittle(t *testing.T) {
	cfg := rpc.OutboxConfig{Path: filepath.Join(t.TempDir(), "outbox")}
	o := openOutbox(t, cfg)
	for i := range 10 {
		add(t, o, "lease", i)
	}
	if err := o.Ack(3); err != nil {
		t.Fatal(err)
	}
	first, err := o.Next(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	whole, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(whole) - 1 {
		spoiled := bytes.Clone(whole)
		spoiled[at] ^= 1
		if err := os.WriteFile(cfg.Path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := rpc.OpenOutbox(cfg)
		if err != nil {
			t.Fatalf("octet %d: %v", at, err)
		}
		facts, err := o.Next(t.Context(), 100)
		if err != nil || len(facts) < 5 || facts[0].Outbox == first[0].Outbox || o.Damaged() == "" {
			t.Fatalf("octet %d: %d facts of outbox %q (was %q), damaged %q, %v", at, len(facts), facts[0].Outbox, first[0].Outbox, o.Damaged(), err)
		}
		o.Close()
		o, err = rpc.OpenOutbox(cfg)
		if err != nil {
			t.Fatal(err)
		}
		again, err := o.Next(t.Context(), 100)
		if err != nil || o.Damaged() != "" || len(again) != len(facts) || again[0].Outbox != facts[0].Outbox {
			t.Fatalf("octet %d: opened again %d facts of %q, %v", at, len(again), again[0].Outbox, err)
		}
		o.Close()
	}
}
