package console

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

const (
	// blockCells is the number of addresses of a block of the heat map.
	blockCells = 256
	// pageBlocks is the number of blocks on a page.
	pageBlocks = 4
	// maxSpans bounds the runs of addresses that a page lists.
	maxSpans = 120
)

// subnetView is the data of the page of a subnet.
type subnetView struct {
	subnetRow
	Version       int64
	Description   string
	Gateway       string
	DNS           string
	Unmanaged     bool
	Total, InUse  string
	Ranges        []rangeRow
	Reserved      []reservedRow
	Blocks        []heatBlock
	Pages         pager
	Spans         []spanRow
	MoreSpans     bool
	Preview       *rangePreview
	SuggestedFrom string
	SuggestedTo   string
}

type rangeRow struct {
	ID, Version            int64
	Type, From, To, Remark string
}

type reservedRow struct {
	ID                int64
	IP, MAC, Comments string
}

// heatBlock is a block of 256 addresses.
type heatBlock struct {
	First string
	Cells []heatCell
}

// heatCell is one address.
type heatCell struct {
	IP, Short, Class, Title string
}

// spanRow is a run of addresses of one purpose.
type spanRow struct{ From, To, Purpose string }

// rangePreview says what would become of a range.
type rangePreview struct {
	ID, Version            int64
	Type, From, To, Remark string
	Refused                string // "" = it would be made
}

// subnetPage shows a subnet with its addresses.
func (c *Console) subnetPage(w http.ResponseWriter, r *http.Request) error {
	seen, err := c.cfg.Devices.List(r.Context(), inventory.AllDiscoveries)
	if err != nil {
		return err
	}
	declined, err := c.declined(r.Context())
	if err != nil {
		return err
	}
	var out subnetView
	err = c.site.look(r.Context(), func(v view) error {
		s := v.subnet(int64(number(r.PathValue("id"))))
		if s == nil {
			return &refusal{Status: http.StatusNotFound, Text: "There is no subnet with this number, or no longer."}
		}
		use := v.usage()[s.ID]
		out = v.subnetView(*s, use)
		if s.Prefix.Addr().Is4() {
			out.Pages, out.Blocks = heatMap(r, use, seen, declined)
		}
		out.Spans, out.MoreSpans = spansOf(use)
		out.Preview = previewOf(r, use)
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(w, r, "subnet", frame{
		Title: out.CIDR, Here: "Networks", Command: "maas subnet show " + out.CIDR, Call: "subnets/" + itoa(int(out.ID)) + "/?op=ip_addresses", Data: out,
	})
}

func (v view) subnetView(s ipam.Subnet, use *subnetUse) subnetView {
	out := subnetView{
		subnetRow: subnetRowOf(v, s, use.Stats, v.exhaustion()), Version: s.Version, Description: s.Description, Unmanaged: s.Unmanaged,
		Total: bigCount(use.Stats.Total), InUse: bigCount(use.Stats.Used),
	}
	if s.Gateway.IsValid() {
		out.Gateway = s.Gateway.String()
	}
	var dns []string
	for _, a := range s.DNSServers {
		dns = append(dns, a.String())
	}
	out.DNS = strings.Join(dns, " ")
	for _, x := range use.Ranges {
		out.Ranges = append(out.Ranges, rangeRow{x.ID, x.Version, x.Type.String(), x.Start.String(), x.End.String(), x.Comment})
	}
	for _, x := range use.Reserved {
		out.Reserved = append(out.Reserved, reservedRow{x.ID, x.Addr.String(), x.MAC.String(), x.Comment})
	}
	if free := use.SuggestedDynamicRange(); free.IsValid() {
		out.SuggestedFrom, out.SuggestedTo = free.From().String(), free.To().String()
	}
	return out
}

// heatMap returns the blocks of a page of an IPv4 subnet.
func heatMap(r *http.Request, use *subnetUse, seen []inventory.Discovery, declined map[netip.Addr]inventory.LeasePeriod) (pager, []heatBlock) {
	prefix := use.Subnet.Prefix
	count := max(1, 1<<max(0, 24-prefix.Bits()))
	pages := pagerOf(r, count*pageRows/pageBlocks) // pagerOf counts rows, of which pageBlocks fill a page
	h := newHeat(use, seen)
	h.declined = declined
	at := prefix.Addr()
	skip := (pages.Page - 1) * pageBlocks * blockCells
	at = addTo(at, skip)
	var blocks []heatBlock
	for range pageBlocks {
		if !prefix.Contains(at) {
			break
		}
		b := heatBlock{First: at.String()}
		for range blockCells {
			if !prefix.Contains(at) {
				break
			}
			b.Cells = append(b.Cells, h.cell(at))
			at = at.Next()
		}
		blocks = append(blocks, b)
	}
	return pages, blocks
}

// addTo adds a number to an IPv4 address.
func addTo(a netip.Addr, n int) netip.Addr {
	b := a.As4()
	sum := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	sum += uint32(n)
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

const (
	// declineTime is the time for which racks withhold an address that was found in use, unless
	// their subnet says otherwise.
	declineTime = time.Hour
	// maxDeclined bounds the leases that are looked through for declined ones.
	maxDeclined = 500
)

// declined returns the addresses that clients, or probes, found in use within the time for which
// racks withhold them. Racks report how a lease ended, not the address' own state: an address that
// was leased since counts as free of the conflict.
func (c *Console) declined(ctx context.Context) (map[netip.Addr]inventory.LeasePeriod, error) {
	last, err := c.cfg.Leases.History(ctx, inventory.PeriodFilter{Limit: maxDeclined})
	out, seen := map[netip.Addr]inventory.LeasePeriod{}, map[netip.Addr]bool{}
	for _, p := range last { // the latest of each address decides
		if !seen[p.Addr] && (p.How == "declined" || p.How == "conflict") && time.Since(p.Ended) < declineTime {
			out[p.Addr] = p
		}
		seen[p.Addr] = true
	}
	return out, err
}

// heat finds the color of addresses.
type heat struct {
	use      *subnetUse
	held     map[netip.Addr]ipam.Allocation
	kept     map[netip.Addr]ipam.ReservedIP
	observed map[netip.Addr]inventory.Discovery
	declined map[netip.Addr]inventory.LeasePeriod
}

func newHeat(use *subnetUse, seen []inventory.Discovery) heat {
	h := heat{use: use, held: map[netip.Addr]ipam.Allocation{}, kept: map[netip.Addr]ipam.ReservedIP{}, observed: map[netip.Addr]inventory.Discovery{}}
	for _, a := range use.Allocations {
		if old, twice := h.held[a.Addr]; !twice || old.Type == ipam.AllocDiscovered {
			h.held[a.Addr] = a // what was given counts before what was seen
		}
	}
	for _, x := range use.Reserved {
		h.kept[x.Addr] = x
	}
	for _, d := range seen {
		if use.Subnet.Prefix.Contains(d.Addr) {
			h.observed[d.Addr] = d
		}
	}
	return h
}

// cell returns the color and the text of an address.
func (h heat) cell(a netip.Addr) heatCell {
	text := a.String()
	cell := heatCell{IP: text, Short: text[strings.LastIndexByte(text, '.')+1:]}
	set := func(class, title string) heatCell {
		cell.Class, cell.Title = class, title
		return cell
	}
	held, isHeld := h.held[a]
	kept, isKept := h.kept[a]
	seen, isSeen := h.observed[a]
	switch {
	case isSeen && seen.Rival != nil:
		return set("x", "conflict: "+seen.MAC.String()+" and "+seen.Rival.String())
	case !h.declined[a].Ended.IsZero() && !isHeld:
		return set("n", "declined "+ago(h.declined[a].Ended)+": another host uses it")
	case a == h.use.Subnet.Gateway:
		return set("g", "gateway")
	case isHeld && held.Type != ipam.AllocDiscovered:
		return set("s", strings.TrimSpace(held.Type.String()+" "+held.Holder+held.Owner))
	case isHeld:
		return set("l", strings.TrimSpace("leased "+held.Holder+held.Name))
	case isKept:
		return set("k", "kept for "+kept.MAC.String())
	case isSeen:
		return set("o", "observed only: "+seen.MAC.String())
	}
	for _, x := range h.use.Ranges {
		if x.Contains(a) && x.Type == ipam.RangeDynamic {
			return set("d", "")
		} else if x.Contains(a) {
			return set("r", "")
		}
	}
	return set("f", "")
}

// spansOf lists the runs of addresses that are used, in order.
func spansOf(use *subnetUse) (out []spanRow, more bool) {
	for _, s := range use.Usage.Spans() {
		if s.Purpose == 0 {
			continue
		}
		if len(out) == maxSpans {
			return out, true
		}
		out = append(out, spanRow{s.Range.From().String(), s.Range.To().String(), s.Purpose.String()})
	}
	return out, false
}

// previewOf says what would become of the range in a request; nil = it names none.
func previewOf(r *http.Request, use *subnetUse) *rangePreview {
	from, to := strings.TrimSpace(r.FormValue("from")), strings.TrimSpace(r.FormValue("to"))
	if from == "" && to == "" {
		return nil
	}
	p := &rangePreview{From: from, To: to, Type: r.FormValue("type"), Remark: r.FormValue("remark")}
	p.ID, _ = strconv.ParseInt(r.FormValue("range"), 10, 64) // 0 = a new one
	x := ipam.Range{ID: p.ID, SubnetID: use.Subnet.ID, Comment: p.Remark}
	var err error
	if x.Type, err = ipam.ParseRangeType(p.Type); err == nil {
		if x.Start, err = netip.ParseAddr(from); err == nil {
			x.End, err = netip.ParseAddr(to)
		}
	}
	if err == nil {
		err = x.Validate()
	}
	if err == nil {
		err = use.CheckRange(x)
	}
	for _, old := range use.Ranges {
		if old.ID == p.ID {
			p.Version = old.Version
		}
	}
	if err != nil {
		p.Refused = strings.TrimPrefix(err.Error(), "ipam: ")
	}
	return p
}
