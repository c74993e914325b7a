package netconfig

import (
	"fmt"
	"strings"
)

// ini collects sections of name=value, as systemd and NetworkManager read them.
type ini struct{ strings.Builder }

func (t *ini) section(name string) {
	if t.Len() > 0 {
		t.WriteString("\n")
	}
	t.WriteString("[" + name + "]\n")
}

// set writes a value unless it is empty.
func (t *ini) set(key string, value any) {
	if value != "" && value != 0 {
		fmt.Fprintf(t, "%s=%v\n", key, value)
	}
}

// yes writes a switch.
func yes(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}
