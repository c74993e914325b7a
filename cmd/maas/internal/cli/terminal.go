package cli

import (
	"io"
	"os"
)

// clearScreen empties a terminal, and goes to its first line.
const clearScreen = "\x1b[H\x1b[2J"

// painted is text in a color of the terminal, if colors are wanted; see no-color.org.
func painted(w io.Writer, color, text string) string {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}
