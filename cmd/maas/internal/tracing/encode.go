package tracing

import (
	"encoding/binary"
	"math"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// message is a protobuf message in the making.
type message []byte

// Types of fields on the wire.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func (m *message) tag(field, wire int) { *m = binary.AppendUvarint(*m, uint64(field<<3|wire)) }

// uint leaves zero out, as proto3 does.
func (m *message) uint(field int, v uint64) {
	if v != 0 {
		m.tag(field, wireVarint)
		*m = binary.AppendUvarint(*m, v)
	}
}

func (m *message) fixed64(field int, v uint64) {
	m.tag(field, wireFixed64)
	*m = binary.LittleEndian.AppendUint64(*m, v)
}

func (m *message) fixed32(field int, v uint32) {
	m.tag(field, wireFixed32)
	*m = binary.LittleEndian.AppendUint32(*m, v)
}

func (m *message) bytes(field int, v []byte) {
	m.tag(field, wireBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(v))), v...)
}

// text must be UTF-8: a collector refuses the whole batch otherwise.
func (m *message) text(field int, v string) {
	if v != "" {
		m.bytes(field, []byte(strings.ToValidUTF8(v, "?")))
	}
}

// encode makes an ExportTraceServiceRequest of spans of one provider and one tracer.
func encode(spans []sdktrace.ReadOnlySpan) []byte {
	var scope, scoped, resource, all, request message
	scope.text(1, scopeName)
	scoped.bytes(1, scope)
	for _, s := range spans {
		scoped.bytes(2, encodeSpan(s))
	}
	if len(spans) > 0 {
		resource.attributes(1, spans[0].Resource().Attributes())
	}
	all.bytes(1, resource)
	all.bytes(2, scoped)
	request.bytes(1, all)
	return request
}

func encodeSpan(s sdktrace.ReadOnlySpan) (m message) {
	ctx := s.SpanContext()
	m.context(ctx)
	if p := s.Parent(); p.HasSpanID() {
		id := p.SpanID()
		m.bytes(4, id[:])
	}
	m.text(5, s.Name())
	m.uint(6, uint64(s.SpanKind())) // the numbers are the same
	m.fixed64(7, uint64(s.StartTime().UnixNano()))
	m.fixed64(8, uint64(s.EndTime().UnixNano()))
	m.attributes(9, s.Attributes())
	m.uint(10, uint64(s.DroppedAttributes()))
	for _, e := range s.Events() {
		var event message
		event.fixed64(1, uint64(e.Time.UnixNano()))
		event.text(2, e.Name)
		event.attributes(3, e.Attributes)
		m.bytes(11, event)
	}
	m.uint(12, uint64(s.DroppedEvents()))
	for _, l := range s.Links() {
		var link message
		link.context(l.SpanContext)
		link.attributes(4, l.Attributes)
		link.fixed32(6, flagsOf(l.SpanContext))
		m.bytes(13, link)
	}
	m.uint(14, uint64(s.DroppedLinks()))
	if st := s.Status(); st.Code != codes.Unset {
		var status message
		status.text(2, st.Description)
		status.uint(3, map[codes.Code]uint64{codes.Ok: 1, codes.Error: 2}[st.Code])
		m.bytes(15, status)
	}
	m.fixed32(16, flagsOf(ctx)|remoteParent(s.Parent()))
	return m
}

// context writes the fields that spans and links begin with.
func (m *message) context(c oteltrace.SpanContext) {
	trace, span := c.TraceID(), c.SpanID()
	m.bytes(1, trace[:])
	m.bytes(2, span[:])
	m.text(3, c.TraceState().String())
}

// Bits of flags besides those of W3C: whether it is known that a context is remote, and whether it is.
const (
	flagKnown  = 0x100
	flagRemote = 0x200
)

func flagsOf(c oteltrace.SpanContext) uint32 { return uint32(c.TraceFlags()) }

func remoteParent(p oteltrace.SpanContext) uint32 {
	if p.IsRemote() {
		return flagKnown | flagRemote
	}
	return flagKnown
}

func (m *message) attributes(field int, all []attribute.KeyValue) {
	for _, kv := range all {
		var pair message
		pair.text(1, string(kv.Key))
		pair.bytes(2, encodeValue(kv.Value))
		m.bytes(field, pair)
	}
}

// encodeValue writes an AnyValue, in which zero is written, too: it says which type the value has.
func encodeValue(v attribute.Value) (m message) {
	switch v.Type() {
	case attribute.BOOL:
		m.tag(2, wireVarint)
		n := byte(0)
		if v.AsBool() {
			n = 1
		}
		return append(m, n)
	case attribute.INT64:
		m.tag(3, wireVarint)
		return binary.AppendUvarint(m, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		m.fixed64(4, math.Float64bits(v.AsFloat64()))
		return m
	}
	m.bytes(1, []byte(strings.ToValidUTF8(v.String(), "?")))
	return m
}
