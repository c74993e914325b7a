package power_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/monitor"
)

// What is required and missing is an error of the constructor, never a panic of the first request.
func TestMissingFieldsAreErrors(t *testing.T) {
	opens := func(context.Context, power.Params) (power.Driver, error) { return nil, nil }
	for name, tt := range map[string]struct {
		make func() error
		want string
	}{
		"no kinds": {func() error { _, err := power.NewController(power.Config{}); return err }, "needs kinds"},
		"kind without Open": {func() error {
			_, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{Name: "plug"})})
			return err
		}, `kind "plug" has no Open`},
		"no monitor config": {func() error { _, err := monitor.New(monitor.Config{}); return err }, "monitor: Config needs"},
		"Open without a driver": {func() error {
			c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{Name: "plug", Open: opens})})
			if err != nil {
				return err
			}
			_, err = c.Query(t.Context(), power.Target{Kind: "plug"})
			return err
		}, "power type plug opened no driver"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.make(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
