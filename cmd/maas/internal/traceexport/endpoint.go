package traceexport

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
)

// tracesPath is the path that OTLP adds to the URL of a collector.
const tracesPath = "/v1/traces"

// endpointOf joins the configured endpoint with the variables of OpenTelemetry. An empty answer
// means that no traces are made. A protocol other than the one spoken here is an error: the
// exporter would send to a port that does not understand it.
func endpointOf(endpoint string, env func(string) string) (string, error) {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || env("OTEL_TRACES_EXPORTER") == "none" {
		return "", nil
	}
	switch {
	case endpoint != "":
		endpoint = withPath(endpoint)
	case env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "":
		endpoint = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	case env("OTEL_EXPORTER_OTLP_ENDPOINT") != "":
		endpoint = withPath(env("OTEL_EXPORTER_OTLP_ENDPOINT"))
	default:
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is not a URL like http://collector.example:4318", endpoint)
	}
	protocol := cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), env("OTEL_EXPORTER_OTLP_PROTOCOL"))
	if protocol != "" && protocol != "http/protobuf" {
		return "", fmt.Errorf("the protocol %q of OTEL_EXPORTER_OTLP_PROTOCOL is not spoken, only http/protobuf", protocol)
	}
	return endpoint, nil
}

// withPath adds the path of traces where it is missing.
func withPath(base string) string {
	return strings.TrimSuffix(strings.TrimSuffix(base, "/"), tracesPath) + tracesPath
}
