package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// destructive is the flag of commands that take something away.
type destructive struct {
	Yes bool `short:"y" help:"Do not ask for confirmation."`
}

// confirm asks on the terminal. Where nobody can be asked, nothing is done without --yes.
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
