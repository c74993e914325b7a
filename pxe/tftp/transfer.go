package tftp

import (
	"net/netip"
	"time"
)

// Transfer describes an ended transfer.
type Transfer struct {
	Write   bool           // the client sent the file
	Name    string         // file name as requested
	Mode    Mode           // transfer mode
	Client  netip.AddrPort // the client's end
	Local   netip.Addr     // the server's address, when known
	Asked   Options        // options of the request
	Granted Options        // options in force, with the defaults filled in (block 512, window 1)

	Start       time.Time     // when the request was taken
	Duration    time.Duration // from Start to the last acknowledgement or the error
	Size        int64         // size of the file in bytes as sent; -1 when unknown
	Bytes       int64         // bytes the client acknowledged, or sent
	Packets     int64         // DATA packets, retransmissions included
	Retransmits int64         // DATA packets that were sent again
	Timeouts    int64         // times the retransmission timer ran out
	RTT         time.Duration // smoothed round trip at the end; 0 when never measured
	Err         error         // nil, ErrAborted, ErrTimeout, ErrBusy, *Error, the context's or a read error
}

// Rate returns the goodput in bytes per second.
func (t Transfer) Rate() float64 {
	if t.Duration <= 0 {
		return 0
	}
	return float64(t.Bytes) / t.Duration.Seconds()
}
