package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// rates are requests and bytes per second.
type rates struct{ requests, bytes float64 }

// difference returns the rates between two readings, by rack. Without an earlier reading, rates are
// averages since the start of the proxies.
func difference(last, now []maasapi.RackProxy, every time.Duration) map[string]rates {
	out := make(map[string]rates)
	for _, r := range now {
		if r.Stats == nil {
			continue
		}
		from, took := proxy.Stats{}, time.Since(r.Stats.Since)
		i := slices.IndexFunc(last, func(l maasapi.RackProxy) bool { return l.Rack == r.Rack })
		if i >= 0 && last[i].Stats != nil && last[i].Stats.Since.Equal(r.Stats.Since) {
			from, took = *last[i].Stats, every
		}
		seconds := max(took, time.Second).Seconds()
		out[r.Rack] = rates{float64(r.Stats.Requests-from.Requests) / seconds, float64(r.Stats.Bytes-from.Bytes) / seconds}
	}
	return out
}

// writeTop writes the racks, their subnets, and the busiest objects and clients of all racks.
func writeTop(w io.Writer, rate map[string]rates, now []maasapi.RackProxy, lines int) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer tw.Flush()
	fmt.Fprintln(tw, "RACK\tREQ/S\tRATE\tREQUESTS\tHITS\tSAVED\tREFUSED\tFAILED\tOBJECTS\tDISK")
	var objects, clients []proxy.Busy
	for _, r := range now {
		s := r.Stats
		if s == nil {
			fmt.Fprintf(tw, "%s\t%s\n", r.Rack, strings.ReplaceAll(r.Error, "\n", "; "))
			continue
		}
		c := s.Cache
		if c == nil {
			c = &proxy.CacheStats{}
		}
		fmt.Fprintf(tw, "%s\t%.1f\t%s/s\t%d\t%s\t%s\t%d\t%d\t%d\t%s of %s\n", r.Rack, rate[r.Rack].requests, size(rate[r.Rack].bytes),
			s.Requests, percent(c.Hits+c.Collapsed+c.Validated+c.Stale, s.Requests), size(c.SavedBytes()), s.Refused, s.Failed,
			c.Objects, size(c.Bytes), size(c.Limit))
		objects, clients = append(objects, s.Objects...), append(clients, s.Clients...)
	}
	fmt.Fprintln(tw, "\nSUBNET\tREQUESTS\tHITS\tSENT\tSAVED")
	for _, r := range now {
		if r.Stats == nil {
			continue
		}
		for _, n := range r.Stats.Subnets {
			fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\n", n.Prefix, n.Requests, percent(n.Hits, n.Requests), size(n.Bytes), size(n.Saved))
		}
	}
	writeBusy(tw, "OBJECT", objects, lines)
	writeBusy(tw, "CLIENT", clients, lines)
}

// writeBusy writes the objects or clients with the most bytes.
func writeBusy(w io.Writer, what string, list []proxy.Busy, lines int) {
	slices.SortFunc(list, func(a, b proxy.Busy) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	fmt.Fprintf(w, "\nSENT\tREQUESTS\tHITS\t%s\n", what)
	for _, b := range list[:min(len(list), max(lines, 0))] {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", size(b.Bytes), b.Requests, percent(b.Hits, b.Requests), printable(b.Name))
	}
}

// printable replaces control characters: clients choose the text, and it must not move the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// percent returns a share as text, "-" of nothing.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(part)/float64(whole))
}

// size returns a number of bytes with its unit.
func size[N int64 | float64](n N) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for len(units) > 1 && v >= 1000 {
		v, units = v/1000, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}
