// Package otlp tries the messages of OpenTelemetry, as its own code reads them, on what the daemons send. It has tests only.
package otlp
