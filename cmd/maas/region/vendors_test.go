package region

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestVendorsFollowTheRegisterOfTheHost(t *testing.T) {
	dir := t.TempDir()
	mac := []byte{0xb8, 0x27, 0xeb, 0, 0, 1}
	v := newVendors(dir, slog.New(slog.DiscardHandler))
	if got := v.lookup(mac); got != "Raspberry Pi Foundation" {
		t.Errorf("built in: %q", got)
	}
	for i, c := range []struct{ text, want string }{
		{"Registry,Assignment,Organization Name\nMA-L,B827EB,Newer Name\n", "Newer Name"},
		{"damaged", "Newer Name"},
		{"Registry,Assignment,Organization Name\nMA-L,B827EB,Newest Name\n", "Newest Name"},
	} {
		file := filepath.Join(dir, "oui.csv")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, time.Unix(int64(i+1), 0)); err != nil {
			t.Fatal(err)
		}
		v.refresh()
		if got := v.lookup(mac); got != c.want {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
	}
}
