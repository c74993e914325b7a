package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// A machine on the site's network uses the proxy with curl, and an operator changes, watches and purges it, while it runs.
func TestProxyOfARealSite(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("curl", "curl"))
	lab := netlab.New(t)
	site, machine := lab.NS("site"), lab.NS("machine")
	lab.Veth(site, "eth0", machine, "eth0")
	site.Addr("eth0", "192.0.2.1/24")
	machine.Addr("eth0", "192.0.2.9/24")
	machine.Addr("eth0", "203.0.113.9/32")                // outside of the site
	site.IP("route", "add", "203.0.113.9", "dev", "eth0") // the origin is asked there
	var asked atomic.Int64
	image := bytes.Repeat([]byte("image"), 1<<20)
	var ln net.Listener
	if err := machine.Do(func() (err error) { ln, err = net.Listen("tcp", ":80"); return err }); err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=600")
		http.ServeContent(w, r, "", time.Now().Add(-time.Hour), bytes.NewReader(image))
	})}
	defer origin.Close()
	go origin.Serve(ln)

	s := &realSite{t: t, ns: site, binary: build(t), data: filepath.Join(t.TempDir(), "data")}
	access := filepath.Join(t.TempDir(), "access.log")
	s.args = []string{"all", "--data", s.data, "--no-dhcp", "--proxy-log", access}
	s.start()
	defer s.stop()
	maas := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(s.binary, append(args, "--data", s.data)...).CombinedOutput()
		if err != nil {
			t.Fatalf("maas %v: %v %s", args, err, out)
		}
		return string(out)
	}
	curl := func(port, url string) string {
		t.Helper()
		cmd := machine.Command(t.Context(), "curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-x", "http://192.0.2.1:"+port, url)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	whole := fmt.Sprint("200 ", len(image))
	for range 3 {
		if got := curl("8000", "http://203.0.113.9/images/a"); got != whole {
			t.Fatalf("curl: %s", got)
		}
	}
	for _, own := range []string{"192.0.2.1:5240/MAAS/", "192.0.2.1:5248/", "127.0.0.1:5240/", "localhost:5240/", "192.0.2.9/"} {
		if got := curl("8000", "http://"+own); !strings.HasPrefix(got, "403 ") {
			t.Errorf("%s is reached through the proxy: %s", own, got)
		}
	}
	var racks []maasapi.RackProxy
	if err := json.Unmarshal([]byte(maas("proxy", "top", "--once", "-o", "json")), &racks); err != nil {
		t.Fatal(err)
	}
	if st := racks[0].Stats; st == nil || st.Cache.Hits != 2 || st.Cache.Misses != 1 || st.Refused != 5 || st.Clients[0].Name != "192.0.2.9" {
		t.Errorf("%+v", st)
	}
	if top := maas("proxy", "top", "--once"); !strings.Contains(top, "http://203.0.113.9/images/a") || !strings.Contains(top, "192.0.2.0/24") {
		t.Error(top)
	}
	if got := maas("proxy", "purge", "--prefix", "http://203.0.113.9/images/"); !strings.Contains(got, "rack  1") {
		t.Error(got)
	}
	if curl("8000", "http://203.0.113.9/images/a"); asked.Load() != 2 {
		t.Errorf("the origin was asked %d times", asked.Load())
	}
	maas("proxy", "set", "allow_proxy_to", "192.0.2.9")
	for deadline := time.Now().Add(5 * time.Second); curl("8000", "http://192.0.2.9/images/a") != whole; {
		if time.Now().After(deadline) {
			t.Fatal("a host of the site is refused although a setting allows it")
		}
	}
	maas("proxy", "set", "maas_proxy_port", "3128")
	for deadline := time.Now().Add(5 * time.Second); curl("3128", "http://203.0.113.9/images/a") != whole; {
		if time.Now().After(deadline) {
			t.Fatal("the proxy did not move")
		}
	}
	if got := curl("8000", "http://203.0.113.9/images/a"); !strings.HasPrefix(got, "curl: ") {
		t.Errorf("the old port is still served: %s", got)
	}
	if got := maas("proxy", "show"); !strings.Contains(strings.Join(strings.Fields(got), " "), "maas_proxy_port 3128") {
		t.Error(got)
	}
	if out, err := exec.Command(s.binary, "proxy", "set", "maas_proxy_port", "5240", "--data", s.data).CombinedOutput(); err == nil || !strings.Contains(string(out), "take another") {
		t.Errorf("%v %s", err, out)
	}
	log, err := os.ReadFile(access)
	if err != nil || !strings.Contains(string(log), `"GET http://203.0.113.9/images/a HTTP/1.1" 200 5242880 "hit"`) {
		t.Errorf("%v\n%s", err, log)
	}
}
