package rack

import (
	"errors"
	"maps"
	"testing"
)

// Each kind of write has its own last error, which ends with the next write of that kind.
func TestWriteErrors(t *testing.T) {
	var d disk
	full := errors.New("no space left on device")
	for i, step := range []struct {
		what string
		err  error
		want map[string]string
	}{
		{writesLeases, nil, nil},
		{writesLeases, full, map[string]string{writesLeases: full.Error()}},
		{writesFacts, nil, map[string]string{writesLeases: full.Error()}},
		{writesFacts, full, map[string]string{writesLeases: full.Error(), writesFacts: full.Error()}},
		{writesLeases, errors.New("input/output error"), map[string]string{writesLeases: "input/output error", writesFacts: full.Error()}},
		{writesLeases, nil, map[string]string{writesFacts: full.Error()}},
		{writesFacts, nil, nil},
	} {
		if err := d.note(step.what, step.err); err != step.err {
			t.Errorf("step %d returned %v", i, err)
		}
		if got := d.errors(); !maps.Equal(got, step.want) {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}
