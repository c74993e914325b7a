package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// destructive holds the flag of commands that delete something.
type destructive struct {
	Yes bool `short:"y" help:"Do not ask for confirmation."`
}

// confirm asks on the terminal. Without a terminal, --yes is required, so that no script deletes by
// accident.
func (d destructive) confirm(io stdio, question string) error {
	if d.Yes {
		return nil
	}
	if !isTerminal(os.Stdin) {
		return fmt.Errorf("%s Say so with --yes", question)
	}
	fmt.Fprintf(io.err, "%s [y/N] ", question)
	answer, err := line(bufio.NewReader(os.Stdin))
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
