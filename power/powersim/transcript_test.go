package powersim_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/amt"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/openbmc"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/redfish"
)

// A transcript of a request to a BMC holds no secret, and makes the driver do the same again when the BMC is gone.
func TestTranscripts(t *testing.T) {
	const secret = `pa"ss/wörd+1`
	kinds := power.NewRegistry(ipmi.Kind(), redfish.Kind(), openbmc.Kind(), amt.Kind())
	for name, serve := range map[string]func(*powersim.Chassis, string, string) (*powersim.BMC, error){
		"ipmi": powersim.ServeIPMI, "redfish": powersim.ServeRedfish, "openbmc": powersim.ServeOpenBMC,
		"amt": func(c *powersim.Chassis, _, password string) (*powersim.BMC, error) {
			return powersim.ServeAMT(c, password)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bmc, err := serve(&powersim.Chassis{}, "admin", secret)
			if err != nil {
				t.Fatal(err)
			}
			c, err := power.NewController(power.Config{Registry: kinds, Poll: time.Millisecond, Timeout: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			var recorded power.Transcript
			first, err := c.Ensure(power.WithTranscript(t.Context(), &recorded), bmc.Target(), power.On, power.Options{Boot: power.Network})
			if err != nil {
				t.Fatal(err)
			}
			bmc.Close()
			var file bytes.Buffer
			if _, err := recorded.WriteTo(&file); err != nil {
				t.Fatal(err)
			}
			for _, form := range []string{secret, "ss/w", "w%C3%B6rd", "wörd"} {
				if strings.Contains(file.String(), form) {
					t.Errorf("the transcript holds %q:\n%s", form, file.String())
				}
			}
			played, err := power.ReadTranscript(&file)
			if err != nil {
				t.Fatal(err)
			}
			again, err := c.Ensure(power.WithTranscript(t.Context(), played), bmc.Target(), power.On, power.Options{Boot: power.Network})
			if err != nil || again.Before != power.Off || again.State != power.On || len(again.Steps) != len(first.Steps) {
				t.Errorf("played back: %+v, %v; recorded %+v", again, err, first)
			}
			if _, err := c.Cycle(power.WithTranscript(t.Context(), played), bmc.Target(), power.Options{Boot: power.Disk}); err == nil {
				t.Error("a request that was never recorded was answered")
			}
		})
	}
}

func TestBadTranscripts(t *testing.T) {
	for _, text := range []string{"{", "[]", `{"layer":1}`, `{"request":"x"}`} {
		if _, err := power.ReadTranscript(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "exchange 1") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
