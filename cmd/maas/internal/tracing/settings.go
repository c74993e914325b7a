package tracing

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// settings are where spans go and how.
type settings struct {
	url     string // empty: nowhere
	headers http.Header
	timeout time.Duration // for one batch with all attempts
	gzip    bool          // compress batches
}

// tracesPath is what OTLP adds to a collector's URL.
const tracesPath = "/v1/traces"

// sendTime is how long a collector has to take one batch unless the environment says otherwise.
const sendTime = 10 * time.Second

// settingsOf joins the configured endpoint with the variables of OpenTelemetry. What they say that this package cannot do is an
// error.
func settingsOf(endpoint string, env func(string) string) (s settings, err error) {
	of := func(name string) string { // the variable for traces wins over that for all signals
		return cmp.Or(env("OTEL_EXPORTER_OTLP_TRACES_"+name), env("OTEL_EXPORTER_OTLP_"+name))
	}
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || env("OTEL_TRACES_EXPORTER") == "none" {
		return settings{}, nil
	}
	switch {
	case endpoint != "":
		s.url = withPath(endpoint)
	case env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "":
		s.url = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	case env("OTEL_EXPORTER_OTLP_ENDPOINT") != "":
		s.url = withPath(env("OTEL_EXPORTER_OTLP_ENDPOINT"))
	default:
		return settings{}, nil
	}
	if err := checkEndpoint(s.url); err != nil {
		return settings{}, err
	}
	if protocol := of("PROTOCOL"); endpoint == "" && protocol != "" && protocol != "http/protobuf" {
		return settings{}, fmt.Errorf("the protocol %q of OTEL_EXPORTER_OTLP_PROTOCOL is not spoken, only http/protobuf", protocol)
	}
	if s.headers, err = headersOf(of("HEADERS")); err != nil {
		return settings{}, err
	}
	s.timeout = sendTime
	if text := of("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return settings{}, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT is %q, not a number of milliseconds", text)
		}
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	switch how := of("COMPRESSION"); how {
	case "", "none":
	case "gzip":
		s.gzip = true
	default:
		return settings{}, fmt.Errorf("OTEL_EXPORTER_OTLP_COMPRESSION is %q, neither gzip nor none", how)
	}
	return s, nil
}

// withPath adds what is missing.
func withPath(base string) string {
	return strings.TrimSuffix(strings.TrimSuffix(base, "/"), tracesPath) + tracesPath
}

// checkEndpoint tells what is wrong with the URL of a collector.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not a URL like http://collector.example:4318", endpoint)
	}
	return nil
}

// headersOf reads "name=value,name=value", with values as in URLs. They hold keys, so the error does not repeat them.
func headersOf(text string) (http.Header, error) {
	headers := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS is not a list like name=value,name=value")
		}
		headers.Set(name, value)
	}
	return headers, nil
}
