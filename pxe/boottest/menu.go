package boottest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// chosen returns what the operator chooses in the next menu of the boot, a second after it is
// shown; false leaves it to the menu's timeout.
func (b *boot) chosen(ctx context.Context) (string, bool) {
	if b.menus >= len(b.cfg.Choose) || b.pause(ctx, time.Second) != nil {
		return "", false
	}
	b.menus++
	return b.cfg.Choose[b.menus-1], true
}

// menuItem is a line of iPXE's menu. One without a label, such as a heading, cannot be chosen.
type menuItem struct{ label, title string }

// item adds a line to the menu, of options, a label and a title.
func (s *ipxeScript) item(args []string) error {
	gap := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "--gap", "-g":
			gap = true
		case "--key", "-k", "--menu", "-m":
			args = args[min(1, len(args)-1):]
		}
		args = args[1:]
	}
	if gap || len(args) == 0 {
		return nil
	}
	s.menu = append(s.menu, menuItem{args[0], strings.Join(args[1:], " ")})
	return nil
}

// choose sets a setting, its last argument, to the label that is chosen.
func (s *ipxeScript) choose(ctx context.Context, args []string) error {
	def, timeout := "", 0
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "--default", "-d":
			def, args = args[1], args[1:]
		case "--timeout", "-t":
			timeout, _ = strconv.Atoi(args[1])
			args = args[1:]
		}
		args = args[1:]
	}
	if len(args) != 1 || len(s.menu) == 0 {
		return errors.New("choose: want a menu with items, and the name of a setting")
	}
	at := func(name string) int {
		return slices.IndexFunc(s.menu, func(m menuItem) bool { return m.label == name || m.title == name })
	}
	name, ok := s.chosen(ctx)
	n := at(name)
	if ok && n < 0 {
		return fmt.Errorf("choose: the menu has no item %q", name)
	}
	if !ok {
		// Without a timeout iPXE waits for ever; an operator would take the default.
		if err := s.pause(ctx, time.Duration(max(timeout, 0))*time.Millisecond); err != nil {
			return err
		}
		n = max(0, at(def))
	}
	s.settings[args[0]] = clip(s.menu[n].label)
	s.say("ipxe: menu item %q", s.menu[n].title)
	return nil
}
