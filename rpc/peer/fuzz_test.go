package peer

import (
	"bufio"
	"bytes"
	"testing"
)

func FuzzReadMessage(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		var buf []byte
		for total := 0; ; {
			var err error
			if buf, err = readMessage(r, buf); err != nil {
				return
			}
			if total += len(buf) + 4; total > len(b) || cap(buf) > 2*maxMessage {
				t.Fatalf("%d bytes of %d, in memory of %d", total, len(b), cap(buf))
			}
		}
	})
}
