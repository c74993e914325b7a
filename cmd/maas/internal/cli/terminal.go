package cli

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// clearScreen clears a terminal and moves to its first line.
const clearScreen = "\x1b[H\x1b[2J"

// painted colors text if w is a terminal and NO_COLOR is not set; see no-color.org.
func painted(w io.Writer, color, text string) string {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// isTerminal reports whether a file is a terminal. Anything that is no file is none.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
