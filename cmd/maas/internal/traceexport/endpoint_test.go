package traceexport

import (
	"strings"
	"testing"
)

func TestEndpoint(t *testing.T) {
	const base = "http://c.example:4318"
	for _, c := range []struct {
		name, endpoint string
		env            map[string]string
		url            string
		wrong          string // in the error
	}{
		{name: "nothing"},
		{name: "configured", endpoint: base + "/", url: base + "/v1/traces"},
		{name: "with path", endpoint: base + "/v1/traces", url: base + "/v1/traces"},
		{name: "standard", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base}, url: base + "/v1/traces"},
		{name: "for traces", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": base + "/x"}, url: base + "/x"},
		{name: "configured wins", endpoint: base, env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://other"}, url: base + "/v1/traces"},
		{name: "disabled", endpoint: base, env: map[string]string{"OTEL_SDK_DISABLED": "true"}},
		{name: "no exporter", endpoint: base, env: map[string]string{"OTEL_TRACES_EXPORTER": "none"}},
		{name: "grpc", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, wrong: `"grpc"`},
		{name: "no URL", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "c.example:4318"}, wrong: "is not a URL like"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := endpointOf(c.endpoint, func(name string) string { return c.env[name] })
			switch {
			case c.wrong == "" && (err != nil || got != c.url):
				t.Errorf("%q, %v; want %q", got, err, c.url)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || got != ""):
				t.Errorf("%q, %v; want an error with %q", got, err, c.wrong)
			}
		})
	}
}
