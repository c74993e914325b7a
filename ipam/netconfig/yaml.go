package netconfig

import (
	"fmt"
	"strconv"
	"strings"
)

// pair is a key of a mapping with its value: string, bool, int, []string, mapping or []mapping. A
// zero value is left out, but for false.
type pair struct {
	key   string
	value any
}

// mapping is a mapping of YAML in its order.
type mapping []pair

// add appends a pair unless its value is empty.
func (m *mapping) add(key string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case int:
		if v == 0 {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case mapping:
		if len(v) == 0 {
			return
		}
	case []mapping:
		if len(v) == 0 {
			return
		}
	}
	*m = append(*m, pair{key, value})
}

// text writes block YAML; begun says that the first line has its indentation. All strings are
// quoted: a MAC such as 52:54:00:12:34:56 is a number of base 60 to readers of YAML 1.1.
func (m mapping) text(b *strings.Builder, indent int, begun bool) {
	for n, p := range m {
		if n > 0 || !begun {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(p.key + ":")
		switch v := p.value.(type) {
		case mapping:
			b.WriteString("\n")
			v.text(b, indent+2, false)
		case []mapping:
			b.WriteString("\n")
			for _, e := range v {
				b.WriteString(strings.Repeat(" ", indent+2) + "- ")
				e.text(b, indent+4, true)
			}
		case []string:
			quoted := make([]string, len(v))
			for n, s := range v {
				quoted[n] = strconv.Quote(s)
			}
			b.WriteString(" [" + strings.Join(quoted, ", ") + "]\n")
		case string:
			b.WriteString(" " + strconv.Quote(v) + "\n")
		default:
			fmt.Fprintf(b, " %v\n", v)
		}
	}
}

func (m mapping) String() string {
	var b strings.Builder
	m.text(&b, 0, false)
	return b.String()
}
