package sitedoc

import (
	"fmt"
	"slices"
)

// warn adds a warning.
func (a *applier) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(a.warnings, text) {
		a.warnings = append(a.warnings, text)
	}
}
