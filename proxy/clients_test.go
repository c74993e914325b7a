package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// run runs a program with the proxy in its environment.
func run(t *testing.T, b *bench, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "http_proxy="+b.proxy.URL, "https_proxy="+b.proxy.URL, "no_proxy=", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func TestCurlAndWget(t *testing.T) {
	netlab.Require(t, netlab.Program("curl", "curl"), netlab.Program("wget", "wget"))
	image := bytes.Repeat([]byte("image "), 500_000)
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Now().Add(-240*time.Hour), bytes.NewReader(image))
	})
	dir := t.TempDir()
	u := b.origin.URL + "/image"
	same := func(name string) {
		t.Helper()
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	run(t, b, dir, "curl", "-sSf", "-o", "whole", u)
	same("whole")
	for _, name := range []string{"curl", "wget"} { // both go on with half of it
		if err := os.WriteFile(filepath.Join(dir, name), image[:len(image)/2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, b, dir, "curl", "-sSf", "-C", "-", "-o", "curl", u)
	same("curl")
	run(t, b, dir, "wget", "-q", "-c", "-O", "wget", u)
	same("wget")
	if out := run(t, b, dir, "curl", "-sSf", "-o", "none", "-w", "%{http_code}", "-z", "whole", u); out != "304" {
		t.Errorf("a conditional request gave %s", out)
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// Two machines update their package lists and fetch a package. The second one costs the origin two validations.
func TestApt(t *testing.T) {
	netlab.Require(t, netlab.Program("apt-get", "apt"))
	mirror := t.TempDir()
	deb := bytes.Repeat([]byte("not really a package "), 10_000) // apt-get download checks its sum, not its form
	publish(t, mirror, "pool/g/gomaas-probe_1_all.deb", deb)
	var mu sync.Mutex
	var paths []string
	files := http.FileServer(http.Dir(mirror))
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.Path)
		mu.Unlock()
		files.ServeHTTP(w, r)
	})
	for machine := range 2 {
		paths = nil
		apt(t, b, deb)
		again := strings.Join(paths, " ")
		if machine == 1 && (strings.Contains(again, "/by-hash/") || strings.Contains(again, "/pool/")) {
			t.Errorf("the second machine made the proxy fetch %v", paths)
		}
	}
	if s := b.cache.Stats(); s.Validated == 0 || s.Hits < 2 {
		t.Errorf("%+v", s)
	}
}

// publish makes a repository of one package, or publishes that again.
func publish(t *testing.T, mirror, file string, deb []byte) {
	t.Helper()
	packages := fmt.Sprintf("Package: gomaas-probe\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n"+
		"Description: probe\nFilename: %s\nSize: %d\nSHA256: %x\n", file, len(deb), sha256.Sum256(deb))
	release := fmt.Sprintf("Suite: stable\nCodename: stable\nComponents: main\nArchitectures: amd64 all\nDate: %s\nAcquire-By-Hash: yes\nSHA256:\n"+
		" %x %d main/binary-all/Packages\n %[2]x %[3]d main/binary-amd64/Packages\n",
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), sha256.Sum256([]byte(packages)), len(packages))
	byHash := fmt.Sprintf("/by-hash/SHA256/%x", sha256.Sum256([]byte(packages)))
	for path, text := range map[string]string{
		"dists/stable/Release": release, file: string(deb),
		"dists/stable/main/binary-all" + byHash: packages, "dists/stable/main/binary-amd64" + byHash: packages,
	} {
		path = filepath.Join(mirror, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A package is published again under its old name. Machines get the new one: by themselves where the
// name has no version, else when apt asks for what is current.
func TestAptAfterAPackageIsPublishedAgain(t *testing.T) {
	netlab.Require(t, netlab.Program("apt-get", "apt"))
	for file, options := range map[string][]string{
		"pool/g/gomaas-probe_all.deb":   nil,
		"pool/g/gomaas-probe_1_all.deb": {"-o", "Acquire::http::No-Cache=true"},
	} {
		mirror := t.TempDir()
		files := http.FileServer(http.Dir(mirror))
		b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
			if info, err := os.Stat(filepath.Join(mirror, filepath.FromSlash(r.URL.Path))); err == nil {
				w.Header().Set("ETag", fmt.Sprintf(`"%x"`, info.ModTime().UnixNano())) // Last-Modified has seconds only
			}
			files.ServeHTTP(w, r)
		})
		for release := range 3 {
			deb := bytes.Repeat([]byte{byte('a' + release)}, 50_000)
			publish(t, mirror, file, deb)
			apt(t, b, deb, options...)
		}
	}
}

// apt is a machine with nothing in it that updates its lists and downloads the package.
func apt(t *testing.T, b *bench, deb []byte, more ...string) {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"lists/partial", "archives/partial", "etc", "out"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	list := filepath.Join(root, "etc", "sources.list")
	if err := os.WriteFile(list, []byte("deb [trusted=yes] "+b.origin.URL+"/ stable main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	options := []string{
		"-o", "Dir::State::lists=" + root + "/lists", "-o", "Dir::Cache=" + root, "-o", "Dir::Etc::sourcelist=" + list,
		"-o", "Dir::Etc::sourceparts=-", "-o", "Dir::State::status=" + root + "/status", "-o", "APT::Sandbox::User=root",
		"-o", "APT::Architecture=amd64", "-o", "Acquire::Languages=none", "-o", "APT::Get::AllowUnauthenticated=true",
	}
	options = append(options, more...)
	run(t, b, root, "apt-get", append(options, "update")...)
	run(t, b, filepath.Join(root, "out"), "apt-get", append(options, "download", "gomaas-probe")...)
	if got, err := os.ReadFile(filepath.Join(root, "out", "gomaas-probe_1_all.deb")); err != nil || !bytes.Equal(got, deb) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// git speaks https, so its bytes only pass.
func TestGitThroughATunnel(t *testing.T) {
	netlab.Require(t, netlab.Program("git", "git"))
	source := t.TempDir()
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-C", source, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "one")
	git("update-server-info")
	web := httptest.NewTLSServer(http.FileServer(http.Dir(filepath.Join(source, ".git"))))
	defer web.Close()
	policy := open
	policy.TunnelPorts = portsOf(t, web.URL)
	_, address := serve(t, policy)
	clone := filepath.Join(t.TempDir(), "clone")
	cmd := exec.CommandContext(t.Context(), "git", "clone", "-q", web.URL, clone)
	cmd.Env = append(os.Environ(), "https_proxy="+address, "no_proxy=", "GIT_SSL_NO_VERIFY=1", "GIT_TERMINAL_PROMPT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
