package siteverify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What would make dhcpd run a program is found in whatever file, case and place.
func TestDhcpdIsNotRunWithPrograms(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inner := write("inner.conf", "on commit { EXECUTE\n  (\"/bin/true\"); }\n")
	for name, text := range map[string]string{
		"included": `option domain-name "a"; include "` + inner + `";`,
		"plain":    `on commit { execute("/bin/true"); }`,
		"string":   `option domain-name "#"; on commit { execute ("/bin/true"); }`,
		"comment":  "option # execute\n domain-name \"a\"; Execute(\"/bin/true\");",
		"failover": "failover # x\n peer \"a\" { }",
	} {
		var out strings.Builder
		if err := dhcpdText(&out, write(name+".conf", text), 0); err == nil || !strings.Contains(err.Error(), "outside") {
			t.Errorf("%s: %v", name, err)
		}
	}
	loop := filepath.Join(dir, "loop.conf")
	write("loop.conf", `include "`+loop+`";`)
	if err := dhcpdText(new(strings.Builder), loop, 0); err == nil {
		t.Error("a loop of includes has no error")
	}
	harmless := write("harmless.conf", `# execute("/bin/true")
option domain-name "execute(1) # failover peer"; include "`+write("other.conf", "option executed code 200 = text;")+`"; subnet 192.0.2.0 netmask 255.255.255.0 { }`)
	var out strings.Builder
	if err := dhcpdText(&out, harmless, 0); err != nil {
		t.Fatal(err)
	}
	want := "\n\noption domain-name \"execute(1) # failover peer\";  option executed code 200 = text; subnet 192.0.2.0 netmask 255.255.255.0 { }"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
