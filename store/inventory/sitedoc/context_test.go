package sitedoc_test

import (
	"cmp"
	"context"
	"flag"
	"os"
	"testing"
)

// testingContext is for what runs without a *testing.T.
var testingContext = context.Background()

// TestMain bounds the property tests; MAAS_TEST_CHECKS runs more.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.checks", cmp.Or(os.Getenv("MAAS_TEST_CHECKS"), "15")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
