package rmcp

import (
	"bytes"
	"testing"
)

func testKeys(t testing.TB, id uint8) keys {
	t.Helper()
	k, err := newKeys(suites[id], []byte("session integrity key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedPacketsOpen(t *testing.T) {
	for id := range suites {
		k := testKeys(t, id)
		for n := range 60 {
			message := bytes.Repeat([]byte{byte(n)}, n)
			packet := k.appendSealed(nil, payloadIPMI, 7, 1, message)
			if len(packet)-4-k.suite.trailer < 0 || (len(packet)-4-k.suite.trailer)%4 != 0 {
				t.Errorf("suite %d, %d octets: the checked part is not a multiple of 4", id, n)
			}
			spoilt := append([]byte(nil), packet...)
			spoilt[len(spoilt)/2] ^= 1
			if _, err := k.open(spoilt, payloadIPMI, 7); err == nil {
				t.Errorf("suite %d, %d octets: a spoilt packet opens", id, n)
			}
			if got, err := k.open(packet, payloadIPMI, 7); err != nil || !bytes.Equal(got, message) {
				t.Errorf("suite %d, %d octets: % x, %v", id, n, got, err)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := testKeys(f, 17)
	f.Add(k.appendSealed(nil, payloadIPMI, 7, 1, appendRequest(nil, 0, 1, 1, nil)))
	f.Add(appendPlain(nil, payloadRAKP2, make([]byte, 40)))
	f.Add([]byte{6, 0, 0xff, 7, 6, 0xc0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		_, _, _, _ = split(packet)
		if m, err := k.open(packet, payloadIPMI, 7); err == nil {
			_, _, _, _, _ = response(m)
		}
		_, _, _, _, _ = response(packet)
	})
}

func FuzzResponse(f *testing.F) {
	f.Add(appendRequest(nil, 1, 1, 1, []byte{0, 1}))
	f.Fuzz(func(t *testing.T, m []byte) {
		if _, _, _, data, err := response(m); err == nil && len(data) == 0 {
			t.Fatal("an answer without completion code")
		}
	})
}
