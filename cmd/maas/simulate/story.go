package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Step is one event of a story: what happens After the step before it has happened. A and B
// choose the objects it happens to, modulo their number, so a step makes sense in any story.
type Step struct {
	After time.Duration
	What  string
	A, B  int
}

// String returns the step on one line, which [ParseStep] reads.
func (s Step) String() string { return fmt.Sprintf("+%v %s %d %d", s.After, s.What, s.A, s.B) }

// ParseStep reads a step as String writes it, so that a story can be kept in a file.
func ParseStep(text string) (s Step, err error) {
	fields := strings.Fields(text)
	if len(fields) != 4 || !strings.HasPrefix(fields[0], "+") {
		return s, fmt.Errorf("simulate: %q is no step; a step is +DURATION NAME A B", text)
	}
	after, err1 := time.ParseDuration(fields[0][1:])
	a, err2 := strconv.Atoi(fields[2])
	b, err3 := strconv.Atoi(fields[3])
	if err := cmp.Or(err1, err2, err3); err != nil || after < 0 || a < 0 || b < 0 {
		return s, fmt.Errorf("simulate: step %q: DURATION, A and B are not negative: %w", text, err)
	}
	if _, known := deeds[fields[1]]; !known {
		return s, fmt.Errorf("simulate: step %q: there is no event %q", text, fields[1])
	}
	return Step{after, fields[1], a, b}, nil
}

// Story returns the events of a seed, which take about as long as given.
func Story(seed uint64, length time.Duration) (steps []Step) {
	rng := rand.New(rand.NewPCG(seed, 1))
	names, total := weights()
	for at := time.Duration(0); ; {
		step := Step{After: gap(rng), A: rng.IntN(1 << 16), B: rng.IntN(1 << 16)}
		pick := rng.IntN(total)
		for _, name := range names {
			if pick -= deeds[name].weight; pick < 0 {
				step.What = name
				break
			}
		}
		if at += step.After; at > length {
			return steps
		}
		steps = append(steps, step)
	}
}

// gap returns the time between two events: mostly a minute or two, at times nothing, at times long
// enough for leases to end.
func gap(rng *rand.Rand) time.Duration {
	switch rng.IntN(8) {
	case 0:
		return 0
	case 1:
		return time.Duration(rng.IntN(900)) * time.Second
	default:
		return time.Duration(rng.IntN(180_000)) * time.Millisecond
	}
}

func weights() (names []string, total int) {
	for name, d := range deeds {
		names = append(names, name)
		total += d.weight
	}
	slices.Sort(names)
	return names, total
}

// deed is a kind of event.
type deed struct {
	weight int // how often it is chosen
	do     func(s *site, a, b int)
}

// deeds are the kinds of events, by name. It is filled in by init, since deeds need the table of
// the story that runs.
var deeds map[string]deed

func init() {
	deeds = map[string]deed{
		// Machines and people.
		"press-on":    {8, func(s *site, a, _ int) { s.host(a).press(true) }},
		"press-off":   {4, func(s *site, a, _ int) { s.host(a).press(false) }},
		"plug-in":     {3, (*site).plugIn},
		"pull-bmc":    {1, func(s *site, a, _ int) { s.host(a).pull(true) }},
		"push-bmc":    {1, func(s *site, a, _ int) { s.host(a).pull(false) }},
		"switch-on":   {5, func(s *site, a, _ int) { s.powerBy(a, "power_on") }},
		"switch-off":  {3, func(s *site, a, _ int) { s.powerBy(a, "power_off") }},
		"add-machine": {5, (*site).addMachine}, "delete-machine": {1, (*site).deleteMachine}, "give-static": {3, (*site).giveStatic},
		"add-record": {3, (*site).addRecord}, "delete-record": {1, (*site).deleteRecord},
		"reserve": {3, (*site).reserve}, "unreserve": {1, (*site).unreserve},
		// Networks.
		"cut-region":   {2, func(s *site, a, b int) { s.cables.part(s.rackAt(a).name, s.regionAt(b).name, true) }},
		"join-region":  {3, func(s *site, a, b int) { s.cables.part(s.rackAt(a).name, s.regionAt(b).name, false) }},
		"part-racks":   {2, func(s *site, _, _ int) { s.partRacks(true) }},
		"join-racks":   {3, func(s *site, _, _ int) { s.partRacks(false) }},
		"deafen":       {2, func(s *site, a, _ int) { s.cables.deafen(s.rackAt(a).name, true) }},
		"undeafen":     {3, func(s *site, a, _ int) { s.cables.deafen(s.rackAt(a).name, false) }},
		"slow-network": {1, func(s *site, _, _ int) { s.cables.trouble(2*time.Second, 0) }},
		"lose-answers": {1, func(s *site, _, _ int) { s.cables.trouble(100*time.Millisecond, 20) }},
		"calm-network": {2, func(s *site, _, _ int) { s.cables.trouble(0, 0) }},
		// Hosts of the site.
		"crash-rack":   {3, func(s *site, a, _ int) { s.rackAt(a).crash() }},
		"start-rack":   {5, func(s *site, a, _ int) { s.started(s.rackAt(a).start()) }},
		"crash-region": {3, func(s *site, a, _ int) { s.regionAt(a).crash() }},
		"start-region": {5, func(s *site, a, _ int) { s.started(s.regionAt(a).start()) }},
		"fill-disk":    {1, func(s *site, a, _ int) { s.rackAt(a).disk.fill(true) }},
		"clear-disk":   {3, func(s *site, a, _ int) { s.rackAt(a).disk.fill(false) }},
		"step-clock":   {1, (*site).stepClock},
	}
}

func (s *site) host(a int) *host           { return s.hosts[a%len(s.hosts)] }
func (s *site) rackAt(a int) *rackNode     { return s.racks[a%len(s.racks)] }
func (s *site) regionAt(a int) *regionNode { return s.regions[a%len(s.regions)] }

// maxHosts bounds the machines of a story.
const maxHosts = 14

func (s *site) plugIn(_, _ int) {
	if len(s.hosts) < maxHosts {
		s.addHost().press(true)
	}
}

func (s *site) partRacks(cut bool) { s.cables.part(s.racks[0].name, s.racks[1].name, cut) }

// stepClock sets the clock of a rack by up to two hours, in either direction.
func (s *site) stepClock(a, b int) {
	s.rackAt(a).ahead.Add(int64(time.Duration(b%240-120) * time.Minute))
}

// started records a start that failed.
func (s *site) started(err error) {
	if err != nil {
		s.broken(invariantServe, "start: %v", err)
	}
}
