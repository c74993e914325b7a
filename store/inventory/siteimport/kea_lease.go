package siteimport

import (
	"encoding/hex"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keaLeases matches the header of a lease file of Kea's memfile backend.
var keaLeases = regexp.MustCompile(`\Aaddress,(hwaddr|duid),`)

// readKeaLeases reads kea-leases4.csv or kea-leases6.csv. The columns are found by the header:
// later versions append some. A comma within a field is written &#x2c, so that lines are cut at
// commas.
func readKeaLeases(b *builder, src *source, name string) error {
	text, err := src.text(name)
	if err != nil {
		return err
	}
	var header []string
	line := 0
	for row := range strings.Lines(text) {
		line++
		row = strings.TrimRight(row, "\r\n")
		if row == "" {
			continue
		}
		cells := strings.Split(row, ",")
		p := place{file: name, line: line, text: clip(cells[0]), tokens: len(cells)}
		if err := src.count(p); err != nil {
			return err
		}
		switch {
		case header == nil:
			header = cells
			b.put(p, Taken, "names of the columns")
		case slices.Equal(cells, header):
			b.put(p, Taken, "names of the columns")
		case len(cells) != len(header):
			// The last line of a file that is being written is often not whole.
			b.put(p, LeftOut, "the line has %d columns instead of %d; is the file truncated?", len(cells), len(header))
		default:
			b.keaLease(p, header, cells)
		}
	}
	return nil
}

func (b *builder) keaLease(p place, header, cells []string) {
	cell := func(name string) string {
		if at := slices.Index(header, name); at >= 0 {
			return strings.ReplaceAll(cells[at], "&#x2c", ",")
		}
		return ""
	}
	raw := func(name string) []byte {
		data, _ := hex.DecodeString(strings.ReplaceAll(cell(name), ":", ""))
		return data
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(cell(name), 10, 64)
		return n
	}
	var l Lease
	l.Addr, _ = netip.ParseAddr(cell("address"))
	if mac := raw("hwaddr"); len(mac) == 6 {
		l.MAC = net.HardwareAddr(mac)
	}
	l.ClientID, l.DUID, l.IAID, l.Hostname = raw("client_id"), raw("duid"), uint32(number("iaid")), strings.TrimSuffix(cell("hostname"), ".")
	if len(l.ClientID) == 0 {
		l.ClientID = nil
	}
	if cell("lease_type") == "2" { // IA_PD; 0 is IA_NA and 1 IA_TA
		l.Bits = int(number("prefix_len"))
	}
	lifetime, end := number("valid_lifetime"), number("expire")
	l.Start, l.End = time.Unix(end-lifetime, 0).UTC(), time.Unix(end, 0).UTC()
	if lifetime == 1<<32-1 { // without end: the column has the time of the renewal
		if l.Start.Year() < 1970 {
			l.Start = l.End
		}
		l.End = forever
	}
	switch state := cell("state"); {
	// A released lease is written with a lifetime of 0, which deletes the rows before it.
	case lifetime == 0:
		b.endLease(p, l.Addr, l.Bits, "the lease was deleted")
	case state == "1":
		l.Declined, l.MAC, l.ClientID, l.DUID = true, nil, nil, nil
		b.addLease(p, l)
	case state != "" && state != "0":
		b.endLease(p, l.Addr, l.Bits, "the lease has ended")
	default:
		b.addLease(p, l)
	}
}
