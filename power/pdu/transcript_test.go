package pdu_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/pdu"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

// transcribe switches a machine off and on under a transcript, which holds no secret, and makes the
// driver do the same again without the PDU.
func transcribe(t *testing.T, c *power.Controller, target power.Target, secrets ...string) {
	t.Helper()
	if _, err := c.Ensure(t.Context(), target, power.Off, power.Options{}); err != nil {
		t.Fatal(err)
	}
	var recorded power.Transcript
	first, err := c.Ensure(power.WithTranscript(t.Context(), &recorded), target, power.On, power.Options{})
	if err != nil || recorded.Len() < 3 { // the state, the change, and the state again
		t.Fatalf("%+v, %d exchanges, %v", first, recorded.Len(), err)
	}
	var file bytes.Buffer
	if _, err := recorded.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), fmt.Sprintf("% x", secret)} {
			if strings.Contains(file.String(), form) {
				t.Errorf("the transcript holds %q:\n%s", form, file.String())
			}
		}
	}
	played, err := power.ReadTranscript(&file)
	if err != nil {
		t.Fatal(err)
	}
	target.Params["power_address"] = "127.0.0.1:1" // where no PDU is
	ctx := power.WithTranscript(t.Context(), played)
	again, err := c.Ensure(ctx, target, power.On, power.Options{})
	if err != nil || again.Before != power.Off || again.State != power.On || len(again.Steps) != len(first.Steps) {
		t.Errorf("played back: %+v, %v; recorded %+v", again, err, first)
	}
	target.Params["node_outlet"] = "5"
	if _, err := c.Query(ctx, target); err == nil || !strings.Contains(err.Error(), "the transcript has no answer") {
		t.Errorf("a request that was never recorded: %v", err)
	}
}

func TestTranscripts(t *testing.T) {
	for _, maker := range powersim.PDUMakes() {
		t.Run(maker, func(t *testing.T) {
			bmc, err := powersim.ServePDU(&powersim.Chassis{}, maker, "community-1")
			if err != nil {
				t.Fatal(err)
			}
			defer bmc.Close()
			transcribe(t, powertest.Controller(t, pdu.Kinds()...), bmc.Target(), "community-1")
		})
	}
}

// A refusal is played back as it was answered, and a line that is none is named.
func TestAnswersOfTranscripts(t *testing.T) {
	const oid = ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7"
	for answer, want := range map[string]power.Class{
		"error 0 at 0\n" + oid + " 2 1":     "",
		"error 0 at 0\n" + oid + " 129":     power.Settings, // no such instance
		"error 2 at 1\n" + oid + " 5":       power.Settings, // no such name
		"error 16 at 1":                     power.Auth,
		"error 5 at 1":                      power.ActionFailed,
		"":                                  power.ActionFailed,
		"error x":                           power.ActionFailed,
		"error 0 at 0\nx":                   power.ActionFailed,
		"error 0 at 0\n" + oid + " 2 many":  power.ActionFailed,
		"error 0 at 0\n" + oid + " 999 1":   power.ActionFailed,
		"error 0 at 0\n" + oid + ` 4 "open`: power.ActionFailed,
		"error 0 at 0\n" + oid + " 2 99999999999999999999999": power.ActionFailed,
	} {
		played, err := power.ReadTranscript(strings.NewReader(fmt.Sprintf(`{"layer":"snmp","request":"get %s","answer":%q}`, oid, answer)))
		if err != nil {
			t.Fatal(err)
		}
		c := powertest.Controller(t, pdu.Kinds()...)
		state, err := c.Query(power.WithTranscript(t.Context(), played), power.Target{Kind: "pdu", Params: power.Params{
			"pdu_type": "apc", "power_address": "pdu.example", "node_outlet": "7",
		}})
		if power.ClassOf(err) != want || want == "" && state != power.On {
			t.Errorf("%q: %s, %v of class %q, want %q", answer, state, err, power.ClassOf(err), want)
		}
	}
}
