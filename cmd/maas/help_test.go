package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The examples of the commands' help run one after the other against a region of their own.
func TestExamplesOfHelp(t *testing.T) {
	binary := build(t)
	lines, err := os.ReadFile("internal/cli/examples.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"password":     "long and secret\n",
		"maas.yaml":    "interface: eth0\n",
		"profile.json": `{"kind": "local"}`,
		"user-data":    "#cloud-config\n{}\n",
		"key.pub":      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ/TQQBxRaQgRlyPzU8ypm/Ft3DSEWd4pO7clw0KX8mr ada\n",
		"dhcpd.conf":   "subnet 203.0.113.0 netmask 255.255.255.0 { range 203.0.113.100 203.0.113.200; }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var listen []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listen = append(listen, ln.Addr().String())
		ln.Close()
	}
	run := func(ctx context.Context, line string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(filepath.ListSeparator)+os.Getenv("PATH"), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "MAAS_DATA="+filepath.Join(dir, "data"))
		return cmd
	}
	var log strings.Builder
	region := run(t.Context(), "exec maas region run --listen "+listen[0]+" --racks "+listen[1]+" --address "+listen[1])
	region.Stderr = &log
	if err := region.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = region.Process.Signal(os.Interrupt)
		_ = region.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); run(t.Context(), "maas fabric list").Run() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the region does not answer")
		}
	}
	for line := range strings.Lines(string(lines)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "maas ") {
			continue
		}
		if out, err := run(t.Context(), line).CombinedOutput(); err != nil {
			t.Errorf("$ %s\n%v\n%s", line, err, out)
		}
	}
}
