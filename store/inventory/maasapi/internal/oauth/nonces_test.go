package oauth

import (
	"fmt"
	"testing"
	"time"
)

func TestNoncesAreBounded(t *testing.T) {
	n := nonces{most: 100}
	now := time.Unix(1_800_000_000, 0)
	for i := range 1000 {
		at := now.Unix() + int64(i/50)
		if !n.fresh(now, at, fmt.Sprint(i)) {
			t.Fatalf("nonce %d is not fresh", i)
		}
		if n.fresh(now, at, fmt.Sprint(i)) {
			t.Fatalf("nonce %d was taken twice", i)
		}
	}
	if n.count > 100 {
		t.Errorf("%d are remembered", n.count)
	}
	if n.fresh(now, now.Unix(), "0") {
		t.Error("what was forgotten could be sent again")
	}
	later := now.Add(20 * time.Minute)
	if !n.fresh(later, later.Unix(), "x") || n.count != 1 {
		t.Errorf("after 20 minutes %d are remembered", n.count)
	}
}
