package rpc_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gomaas/maas/rpc"
)

func values(pairs ...string) map[string][]byte {
	m := map[string][]byte{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = []byte(pairs[i+1])
	}
	return m
}

func next(t *testing.T, s *rpc.State, from rpc.Position) rpc.Update {
	t.Helper()
	u, err := s.Next(t.Context(), "dns", from)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestStateSendsOnlyWhatChanged(t *testing.T) {
	s := rpc.NewState()
	first := s.Set("dns", values("a", "1", "b", "2", "c", "3"))
	s.Set("dns", values("a", "1", "b", "20"))
	u := next(t, s, first)
	want := []rpc.Object{{Key: "b", Value: []byte("20")}, {Key: "c", Deleted: true}}
	if diff := cmp.Diff(want, u.Objects); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if u.Whole {
		t.Error("a small change was sent as the whole topic")
	}
}

func TestStateSendsEverythingAcrossEpochs(t *testing.T) {
	before := rpc.NewState().Set("dns", values("old", "1"))
	s := rpc.NewState()
	s.Set("dns", values("a", "1"))
	u := next(t, s, before)
	if !u.Whole || len(u.Objects) != 1 {
		t.Errorf("got %+v", u)
	}
}

func TestStateSetToNothingIsAnAnswer(t *testing.T) {
	s := rpc.NewState()
	s.Set("dns", nil)
	if u := next(t, s, rpc.Position{}); !u.Whole || len(u.Objects) != 0 {
		t.Errorf("got %+v", u)
	}
}

func TestStateUnchangedKeepsItsRevision(t *testing.T) {
	s := rpc.NewState()
	one := s.Set("dns", values("a", "1"))
	if two := s.Set("dns", values("a", "1")); one != two {
		t.Errorf("%v became %v", one, two)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx, "dns", one); err != context.Canceled {
		t.Errorf("got %v, want to wait", err)
	}
}

// A topic forgets old changes; a rack that missed some of them gets everything.
func TestStateForgets(t *testing.T) {
	s := rpc.NewState()
	first := s.Set("dns", values("a", "1", "b", "2"))
	var before rpc.Position
	for i := range 20_000 {
		before = s.Change("dns", values("a", fmt.Sprint(i)), nil)
	}
	last := s.Change("dns", values("a", "last"), []string{"b"})
	if u := next(t, s, first); !u.Whole || len(u.Objects) != 1 || u.Position != last {
		t.Errorf("far behind: %+v", u)
	}
	want := []rpc.Object{{Key: "a", Value: []byte("last")}, {Key: "b", Deleted: true}}
	if u := next(t, s, before); u.Whole || !cmp.Equal(want, u.Objects) {
		t.Errorf("one behind: %+v", u)
	}
}

// A replica that follows through any series of changes, with any gaps between its reads, ends with the same objects.
func TestFollowerConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rpc.NewState()
		model, follower := map[string][]byte{}, map[string][]byte{}
		var at rpc.Position
		s.Set("dns", nil)
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key"))
			if rapid.Bool().Draw(t, "delete") {
				delete(model, key)
				s.Change("dns", nil, []string{key})
			} else {
				model[key] = []byte(fmt.Sprint(step))
				s.Change("dns", map[string][]byte{key: model[key]}, nil)
			}
			if rapid.Bool().Draw(t, "read") {
				at = follow(s, at, follower)
			}
		}
		follow(s, at, follower)
		if diff := cmp.Diff(model, follower); diff != "" {
			t.Fatalf("(-model +follower):\n%s", diff)
		}
	})
}

func follow(s *rpc.State, at rpc.Position, objects map[string][]byte) rpc.Position {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // Next answers at once when there is something, and gives up otherwise
	u, err := s.Next(ctx, "dns", at)
	if err != nil {
		return at
	}
	if u.Whole {
		clear(objects)
	}
	for _, o := range u.Objects {
		if o.Deleted {
			delete(objects, o.Key)
		} else {
			objects[o.Key] = o.Value
		}
	}
	return u.Position
}

// BenchmarkStateChange is one change of a large topic, and what a rack is sent of it.
func BenchmarkStateChange(b *testing.B) {
	s := rpc.NewState()
	objects := map[string][]byte{}
	for i := range 100_000 {
		objects[fmt.Sprint(i)] = []byte("value")
	}
	at := s.Set("dns", objects)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Change("dns", map[string][]byte{"0": fmt.Append(nil, i)}, nil)
		u, err := s.Next(b.Context(), "dns", at)
		if err != nil || len(u.Objects) != 1 {
			b.Fatal(u, err)
		}
		at = u.Position
	}
}

// A reader of a topic that is made later gets it, whatever other names were asked for.
func TestNextOfATopicThatIsMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := rpc.NewState()
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 1000 {
			go s.Next(ctx, fmt.Sprint("no topic ", i), rpc.Position{})
		}
		got := make(chan rpc.Update, 1)
		go func() {
			u, err := s.Next(t.Context(), "dns", rpc.Position{})
			if err != nil {
				t.Error(err)
			}
			got <- u
		}()
		synctest.Wait()
		s.Set("dhcp", map[string][]byte{"a": nil})
		synctest.Wait()
		s.Set("dns", map[string][]byte{"b": []byte("1")})
		if u := <-got; len(u.Objects) != 1 || u.Objects[0].Key != "b" {
			t.Errorf("got %+v", u)
		}
		cancel()
	})
}
