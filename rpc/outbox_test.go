package rpc_test

import (
	"path/filepath"
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
