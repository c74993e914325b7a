package discoverytest_test

import (
	"errors"
	"net"
	"testing"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

func TestPortsHearOthersAndLoseWhatIsTooMuch(t *testing.T) {
	segment := discoverytest.NewSegment()
	one, two := segment.Port(discovery.Interface{}), segment.Port(discovery.Interface{})
	for n := range 2000 {
		if err := one.Send([]byte{byte(n)}); err != nil {
			t.Fatal(err)
		}
	}
	first := byte(255)
	if err := two.Receive(func(frame []byte, _ uint16) { first = frame[0] }); err != nil || first != 0 {
		t.Errorf("heard %d, %v", first, err)
	}
	if got := two.Drops(); got != 2000-1024 || two.Drops() != 0 || one.Drops() != 0 {
		t.Errorf("lost %d", got)
	}
	two.Close()
	if err := two.Receive(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
