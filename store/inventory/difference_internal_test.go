package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Secrets are hidden at any depth of JSON, and what is not secret stays readable.
func TestSecretsInsideAreHidden(t *testing.T) {
	was := `{"script":"old","cloud":{"user":"ada","password":"s3cret","keys":[{"api_key":"k1","id":7}]}}`
	is := `{"script":"new","cloud":{"user":"ada","password":"","keys":[{"api_key":"k2","id":12345678901234567890}]},"token":"t"}`
	want := []FieldChange{
		{"spec.cloud", `{"keys":[{"api_key":"(hidden)","id":7}],"password":"(hidden)","user":"ada"}`, `{"keys":[{"api_key":"(hidden)","id":12345678901234567890}],"password":"","user":"ada"}`},
		{"spec.script", "old", "new"},
		{"spec.token", "", Hidden},
	}
	if diff := cmp.Diff(want, compare("spec", was, is)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
