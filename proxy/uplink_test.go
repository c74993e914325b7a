package proxy

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Clients that want more than there is get the same, whatever each of them asks at once; one that leaves is not in the way.
func TestUplinkIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink
		u.setRate(1 << 20)
		got := make([]int64, 3)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		var readers sync.WaitGroup
		for who, connections := range []int{1, 4, 1} {
			client := netip.AddrFrom4([4]byte{192, 0, 2, byte(who)})
			mine, leave := context.WithCancel(ctx)
			if who == 2 {
				time.AfterFunc(time.Second, leave)
			}
			defer leave()
			var mu sync.Mutex
			for range connections {
				readers.Go(func() {
					r := u.meter(mine, client, forever{})
					buf := make([]byte, 256<<10)
					for mine.Err() == nil {
						n, err := r.Read(buf)
						if err == nil {
							mu.Lock()
							got[who] += int64(n)
							mu.Unlock()
						}
					}
				})
			}
		}
		readers.Wait()
		if sum := got[0] + got[1] + got[2]; sum < 9<<20 || sum > 11<<20 {
			t.Errorf("%d bytes in 10 s of 1 MB/s", sum)
		}
		if d := got[0] - got[1]; d < -1<<20 || d > 1<<20 || got[2] > 1<<20 {
			t.Errorf("shares: %v", got)
		}
	})
}

type forever struct{}

func (forever) Read(b []byte) (int, error) { return len(b), nil }

func TestUplinkWithoutLimitDoesNotTouch(t *testing.T) {
	var u uplink
	r := bytes.NewReader(nil)
	if u.meter(t.Context(), netip.Addr{}, r) != io.Reader(r) {
		t.Error("reads are slowed for nothing")
	}
	synctest.Test(t, func(t *testing.T) {
		u.setRate(1)
		waiting := u.meter(t.Context(), netip.Addr{}, forever{})
		done := make(chan struct{})
		go func() {
			for range 3 {
				waiting.Read(make([]byte, quantum))
			}
			close(done)
		}()
		synctest.Wait()
		u.setRate(0)
		<-done
	})
}
