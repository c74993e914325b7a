package tftp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe/tftp"
)

// ask is a request for a file.
func ask(name string, options ...string) []byte {
	return []byte("\x00\x01" + name + "\x00octet\x00" + strings.Join(append(options, ""), "\x00"))
}

func noneKnown(netip.Addr) bool { return false }

// drained keeps the events of a lab from holding up its server.
func (l *lab) drained() (errs func() map[error]int) {
	var mu sync.Mutex
	count := make(map[error]int)
	go func() {
		for x := range l.transfers {
			mu.Lock()
			count[x.Err]++
			mu.Unlock()
		}
	}()
	return func() map[error]int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

// Requests that no client follows up, from any number of addresses and as often as their sender likes, keep no machine from booting.
func TestForgedRequestsKeepNoneOut(t *testing.T) {
	for name, flood := range map[string]struct {
		hosts, each int
		options     []string
		known       bool // the forged addresses are those of clients
	}{
		"few addresses":         {33, 32, nil, false},
		"many addresses":        {4000, 1, nil, false},
		"one address":           {1, 2000, nil, false},
		"options":               {33, 32, []string{"tsize", "0", "blksize", "1468"}, false},
		"many with options":     {4000, 1, []string{"tsize", "0", "blksize", "1468"}, false},
		"addresses of clients":  {33, 64, []string{"tsize", "0"}, true},
		"plain, of clients":     {500, 4, nil, true},
		"a window, of one host": {1, 2000, []string{"blksize", "65464", "windowsize", "64"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				honest := netip.MustParseAddr("192.0.2.2")
				l := newLab(t, tftp.Config{Known: func(a netip.Addr) bool { return flood.known && a != honest }})
				l.net.delay = time.Millisecond
				events := l.drained()
				defer func() { l.close(); close(l.transfers) }()
				l.file("kernel", 3<<20)
				want := l.file("pxelinux.0", 42_000)
				forge := func() {
					for range 2 { // as firmware that hears nothing repeats
						for host := range flood.hosts {
							from := netip.AddrFrom4([4]byte{198, 18, byte(host >> 8), byte(host)})
							for port := range flood.each {
								l.net.send(netip.AddrPortFrom(from, uint16(1024+port)), l.server.addr, ask("kernel", flood.options...))
							}
							if host%64 == 0 {
								time.Sleep(time.Millisecond)
							}
						}
					}
				}
				forge()
				var going sync.WaitGroup
				defer going.Wait()
				going.Go(func() { // and goes on
					for range 50 {
						for host := range 40 {
							from := netip.AddrFrom4([4]byte{198, 18, 200, byte(host)})
							l.net.send(netip.AddrPortFrom(from, 1024), l.server.addr, ask("kernel", flood.options...))
						}
						time.Sleep(100 * time.Millisecond)
					}
				})
				began := time.Now()
				var got bytes.Buffer
				if _, err := (tftp.Client{}).GetFrom(t.Context(), l.client, l.server.LocalAddr(), "pxelinux.0", &got); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 4*time.Second || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("an honest client had its file after %v, %d bytes of it; %v", took, got.Len(), events())
				}
			})
		})
	}
}

// A transfer that makes progress outlives any number of requests that no client follows up.
func TestTransfersOutliveAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{MaxTransfers: 8})
		l.net.delay = time.Millisecond
		l.drained()
		defer func() { l.close(); close(l.transfers) }()
		l.file("kernel", 2<<20)
		want := l.file("f", 1<<20)
		var flood sync.WaitGroup
		defer flood.Wait()
		flood.Go(func() {
			for host := range 2000 {
				l.net.send(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(host >> 8), byte(host)}), 1024), l.server.addr, ask("kernel", "tsize", "0"))
				time.Sleep(time.Millisecond)
			}
		})
		var got bytes.Buffer
		if _, err := (tftp.Client{}).GetFrom(t.Context(), l.client, l.server.LocalAddr(), "f", &got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
	})
}

// Machines that are switched on together take no place from each other before they could acknowledge: those for which none is left
// ask again.
func TestMachinesOfOneInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{MaxTransfers: 4})
		l.net.delay = time.Millisecond
		l.drained()
		defer func() { l.close(); close(l.transfers) }()
		want := l.file("f", 1<<16)
		var all sync.WaitGroup
		for i := range 12 {
			conn := l.net.listen(fmt.Sprintf("192.0.2.%d:3000", 10+i))
			all.Go(func() {
				defer conn.Close()
				var got bytes.Buffer
				if _, err := (tftp.Client{BlockSize: 1468}).GetFrom(t.Context(), conn, l.server.LocalAddr(), "f", &got); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s: %d bytes, %v", conn.LocalAddr(), got.Len(), err)
				}
			})
		}
		all.Wait()
	})
}

// A silent address is sent at most three packets, and not much more than came in its name.
func TestSilentAddressesAreSentLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		request []byte
		times   int
	}{
		"plain":             {ask("k"), 1},
		"plain, long name":  {ask(strings.Repeat("k", 60)), 1},
		"plain, 51 bytes":   {ask(strings.Repeat("k", 42)), 1},
		"absent":            {ask("x"), 1},
		"tsize":             {ask("k", "tsize", "0"), 1},
		"blksize":           {ask("k", "blksize", "65464", "windowsize", "64"), 1},
		"timeout":           {ask("k", "timeout", "1"), 1},
		"long timeout":      {ask("k", "timeout", "255"), 1},
		"all options":       {ask("k", "tsize", "0", "blksize", "1468", "windowsize", "16", "timeout", "1"), 1},
		"no size to answer": {ask("unsized", "tsize", "0"), 1},
		"netascii":          {[]byte("\x00\x01k\x00netascii\x00tsize\x000\x00"), 1},
		"two options":       {ask("k", "tsize", "0"), 10},
		"write":             {[]byte("\x00\x02k\x00octet\x00"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, tftp.Config{Known: noneKnown})
				l.drained()
				defer func() { l.close(); close(l.transfers) }()
				l.file("k", 100_000)
				l.file(strings.Repeat("k", 60), 100_000)
				l.file(strings.Repeat("k", 42), 100_000)
				victim := netip.MustParseAddrPort("198.51.100.7:2000")
				packets, size := 0, 0
				l.net.drop = func(_, to netip.AddrPort, p []byte) bool {
					if to == victim {
						packets++
						size += len(p)
					}
					return false
				}
				for range tt.times {
					l.net.send(victim, l.server.addr, tt.request)
					time.Sleep(10 * time.Second)
				}
				time.Sleep(5 * time.Minute)
				l.net.mu.Lock()
				defer l.net.mu.Unlock()
				if packets > 3*tt.times || size > 10*len(tt.request)*tt.times {
					t.Errorf("%d bytes in %d requests were answered by %d packets with %d bytes", len(tt.request), tt.times, packets, size)
				}
			})
		})
	}
}

// However often a plain request is repeated under another host's address, the host is sent a block a second at most.
func TestRepeatedForgeryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{Known: noneKnown})
		l.drained()
		defer func() { l.close(); close(l.transfers) }()
		l.file("k", 100_000)
		victim := netip.MustParseAddr("198.51.100.7")
		packets := 0
		l.net.drop = func(_, to netip.AddrPort, _ []byte) bool {
			if to.Addr() == victim {
				packets++
			}
			return false
		}
		for i := range 6000 {
			l.net.send(netip.AddrPortFrom(victim, uint16(1024+i)), l.server.addr, ask("k"))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		if packets == 0 || packets > 70 {
			t.Errorf("%d packets in a minute", packets)
		}
	})
}

// A client without options is served at its second request, and at the first one once it has had a file.
func TestStrangersAskTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{Known: noneKnown})
		defer l.close()
		l.file("f", 3000)
		began := time.Now()
		l.get(tftp.Client{}, "f")
		if took := time.Since(began); took == 0 || took > 3*time.Second {
			t.Errorf("the first file took %v", took)
		}
		began = time.Now()
		for range 10 {
			l.get(tftp.Client{}, "f")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("ten more files took %v", took)
		}
	})
}

// A stranger gets a file at once whose first block is at most ten times as large as the request, such as a script.
func TestSmallFilesAreServedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{Known: noneKnown})
		defer l.close()
		name := "boot/grub/grub.cfg-01-52-54-00-00-00-71" // of 47 octets with its request
		began := time.Now()
		l.file(name, 450)
		l.get(tftp.Client{}, name)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Machines behind one address, more than may be served at a time, are served in turn.
func TestManyOfOneAddressWaitInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{MaxPerClient: 8})
		l.net.delay = time.Millisecond
		errs := l.drained()
		defer func() { l.close(); close(l.transfers) }()
		l.file("f", 20_000)
		var all sync.WaitGroup
		began := time.Now()
		var mu sync.Mutex
		failed := 0
		for i := range 64 {
			conn := l.net.listen(fmt.Sprintf("192.0.2.3:%d", 2000+i))
			defer conn.Close()
			all.Go(func() {
				if _, err := (tftp.Client{}).GetFrom(t.Context(), conn, l.server.LocalAddr(), "f", new(bytes.Buffer)); err != nil {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		// One file takes 40 round trips of 2 ms; eight at a time make eight times that.
		if took := time.Since(began); failed > 0 || took > 3*time.Second {
			t.Errorf("64 machines took %v, %d failed: %v", took, failed, errs())
		}
	})
}

// A server of some networks ignores the others.
func TestSourcesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{Accept: netip.MustParsePrefix("192.0.2.0/24").Contains})
		defer l.close()
		l.file("f", 1000)
		l.get(tftp.Client{}, "f")
		sent := 0
		l.net.drop = func(_, to netip.AddrPort, _ []byte) bool {
			if to.Addr() == netip.MustParseAddr("198.51.100.7") {
				sent++
			}
			return false
		}
		for _, p := range [][]byte{ask("f"), ask("f", "tsize", "0"), ask("x"), []byte("\x00\x02f\x00octet\x00"), {0, 1}, {0, 9, 9}} {
			l.net.send(netip.MustParseAddrPort("198.51.100.7:2000"), l.server.addr, p)
		}
		time.Sleep(time.Minute)
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		if sent > 0 {
			t.Errorf("another network was sent %d packets", sent)
		}
	})
}

// A stranger that asks with options holds no file before it answers, and gets what it was promised.
func TestStrangersHoldNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{Known: noneKnown})
		defer l.close()
		l.file("f", 1<<20)
		l.get(tftp.Client{BlockSize: 1468, WindowSize: 4, AskSize: true}, "f")
		// Between the answer and the acknowledgement the file changes: that is an error and not another file.
		stranger := l.net.listen("192.0.2.9:2000")
		defer stranger.Close()
		l.net.send(stranger.addr, l.server.addr, ask("f", "tsize", "0"))
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		l.file("f", 1000)
		l.net.send(stranger.addr, l.server.addr, []byte{0, 4, 0, 0})
		if x := <-l.transfers; x.Err == nil || errors.Is(x.Err, tftp.ErrTimeout) || x.Bytes != 0 {
			t.Errorf("the changed file: %+v", x)
		}
	})
}
