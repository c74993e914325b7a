package uptime

import (
	"testing"
	"time"
)

// A machine's uptime grows under one name; another time namespace of it, with another uptime, has another name.
func TestMachineUptime(t *testing.T) {
	boot, up := Of(time.Now().UnixNano(), time.Second)
	again, later := Of(time.Now().UnixNano(), time.Second)
	if boot == "" || again != boot || up <= 0 || later < up {
		t.Errorf("%q for %v, then %q for %v", boot, up, again, later)
	}
	if boot, _ := Of(time.Now().Add(time.Hour).UnixNano(), time.Second); boot != "" {
		t.Errorf("in another time: %q", boot)
	}
	id := []byte("0c9d\n")
	first, other := bootName(id, []byte("monotonic  0  0\nboottime  0  0\n")), bootName(id, []byte("monotonic  0  0\nboottime  864000  0\n"))
	if none := bootName(id, nil); first == other || first != "0c9d monotonic 0 0 boottime 0 0" || none != "0c9d" {
		t.Errorf("%q, %q, %q", first, other, none)
	}
}
