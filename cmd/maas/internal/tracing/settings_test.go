package tracing

import (
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
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
		{name: "headers", endpoint: base, env: map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "secret"}, wrong: "is not a list"},
		{name: "timeout", endpoint: base, env: map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, wrong: "milliseconds"},
		{name: "compression", endpoint: base, env: map[string]string{"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, wrong: `"zstd"`},
		{name: "no compression", endpoint: base, env: map[string]string{"OTEL_EXPORTER_OTLP_COMPRESSION": "none"}, url: base + "/v1/traces"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := settingsOf(c.endpoint, func(name string) string { return c.env[name] })
			switch {
			case c.wrong == "" && (err != nil || got.url != c.url):
				t.Errorf("%q, %v; want %q", got.url, err, c.url)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "secret") || got.url != ""):
				t.Errorf("%q, %v; want an error with %q", got.url, err, c.wrong)
			}
		})
	}
	env := map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, Authorization=Basic%20eA==", "OTEL_EXPORTER_OTLP_TIMEOUT": "500", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip"}
	got, err := settingsOf(base, func(name string) string { return env[name] })
	if err != nil || got.headers.Get("X-Key") != "a b" || got.headers.Get("Authorization") != "Basic eA==" || got.timeout != 500*time.Millisecond || !got.gzip {
		t.Errorf("%+v, %v", got, err)
	}
}
