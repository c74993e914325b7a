// Package metrics writes counters, gauges and histograms in the text format of Prometheus (version 0.0.4).
//
//	w := metrics.NewWriter(out)
//	w.Counter("maas_dhcp_panics_total", "Messages whose handling failed by a fault.").Add(float64(n))
//	w.Gauge("maas_dhcp_leases", "Leases in force.").Add(7, "subnet", "192.0.2.0/24")
//	err := w.Err()
//
// There is no registry: whoever is asked writes what it counts by itself. The samples of one name have to follow each other.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ContentType is that of the format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Writer writes families of samples. It is for one goroutine.
type Writer struct {
	out *bufio.Writer
	err error
}

// NewWriter returns a writer. What it writes is complete after Err.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriter(w)} }

// Err writes what is left, and returns the first error.
func (w *Writer) Err() error {
	if err := w.out.Flush(); w.err == nil {
		w.err = err
	}
	return w.err
}

// Family is the samples of one name.
type Family struct {
	w    *Writer
	name string
}

// Counter begins a family of numbers that only grow. The name ends with _total.
func (w *Writer) Counter(name, help string) Family { return w.family(name, help, "counter") }

// Gauge begins a family of numbers that go up and down.
func (w *Writer) Gauge(name, help string) Family { return w.family(name, help, "gauge") }

// HistogramFamily begins a family of histograms.
func (w *Writer) HistogramFamily(name, help string) Family { return w.family(name, help, "histogram") }

var helpText = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

func (w *Writer) family(name, help, kind string) Family {
	w.printf("# HELP %s %s\n# TYPE %s %s\n", name, helpText.Replace(help), name, kind)
	return Family{w, name}
}

func (w *Writer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(w.out, format, args...); err != nil && w.err == nil {
		w.err = err
	}
}

// Add writes one sample. Labels are names and values by turns.
func (f Family) Add(value float64, labels ...string) { f.sample("", value, labels) }

func (f Family) sample(suffix string, value float64, labels []string) {
	f.w.printf("%s%s%s %s\n", f.name, suffix, labelText(labels), strconv.FormatFloat(value, 'g', -1, 64))
}

var labelValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func labelText(labels []string) string {
	if len(labels) < 2 {
		return ""
	}
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(labels); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(labels[i] + `="` + labelValue.Replace(strings.ToValidUTF8(labels[i+1], "?")) + `"`)
	}
	b.WriteByte('}')
	return b.String()
}

// Handler answers with what write writes.
func Handler(write func(*Writer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ContentType)
		out := NewWriter(w)
		write(out)
		_ = out.Err() // the client is gone
	})
}
