package rack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// A machine boots what a region fetched from a mirror, from its rack, which has no files of its
// own; also after the region has gone, and from a rack that was started again without it.
func TestMachinesBootImagesOfTheRegion(t *testing.T) {
	kernel, initrd := bytes.Repeat([]byte("kernel"), 200_000), bytes.Repeat([]byte("initrd"), 1_000_000)
	var requests atomic.Int64
	spoiled := new(atomic.Bool)
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		data := map[string][]byte{"/k": kernel, "/i": initrd}[r.URL.Path]
		if spoiled.Load() {
			data = append(bytes.Clone(data[1:]), 0)
		}
		w.Write(data)
	}))
	defer mirror.Close()
	dir := t.TempDir()
	reg := openRegionWith(t, region.Config{Dir: filepath.Join(dir, "region"), Kinds: power.NewRegistry(power.Manual())})
	ctx, stopRegion := context.WithCancel(t.Context())
	regionDone := make(chan error, 1)
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	source := images.Source{
		Name: "own", Base: mirror.URL, Files: map[string]string{"kernel": "k", "initrd": "i"},
		Sums: map[string]string{"k": fmt.Sprintf("%x", sha256.Sum256(kernel)), "i": fmt.Sprintf("%x", sha256.Sum256(initrd))},
	}
	info := putImage(t, reg, "own/1", inventory.ImageSpec{Source: &source})
	eventually(t, "image fetched", func() bool {
		info = image(t, reg, "own/1")
		return info.State == "ready"
	})
	if requests.Load() != 2 || info.Size != int64(len(kernel)+len(initrd)) {
		t.Errorf("%d requests at the mirror, image %+v", requests.Load(), info)
	}
	inv := reg.Inventory()
	if err := inv.Profiles.SetDefault(t.Context(), &pxe.Profile{Kernel: "own/1/kernel", Initrd: []string{"own/1/initrd"}}); err != nil {
		t.Fatal(err)
	}
	// A mirror that sends something else from now on changes nothing.
	spoiled.Store(true)
	source.Sums["k"] = strings.Repeat("0", 64)
	putImage(t, reg, "own/1", inventory.ImageSpec{Source: &source})
	eventually(t, "failure reported", func() bool {
		info = image(t, reg, "own/1")
		return info.State == "failed"
	})
	if !strings.Contains(info.Problem, mirror.URL+"/k") || len(info.Files) != 2 {
		t.Errorf("image %+v", info)
	}

	rackDir := filepath.Join(dir, "rack")
	cfg := rack.Config{Dir: rackDir, Dial: reg.Dial("rack")}
	segment, stop := serveWith(t, cfg)
	checkBoot(t, segment, kernel, initrd)
	stopRegion()
	if err := <-regionDone; err != nil {
		t.Error(err)
	}
	checkBoot(t, segment, kernel, initrd)
	stop()
	if err := reg.Close(); err != nil {
		t.Error(err)
	}
	cfg.Dial = func(context.Context) (rpc.Conn, error) { return nil, rpc.ErrUnavailable }
	segment, stop = serveWith(t, cfg)
	defer stop()
	checkBoot(t, segment, kernel, initrd)
}

// checkBoot boots a machine until it runs the kernel: a rack that has just started may not have its
// list of images yet.
func checkBoot(t *testing.T, segment *boottest.Segment, kernel, initrd []byte) {
	t.Helper()
	var running boottest.Running
	eventually(t, "machine booted", func() bool {
		firmware := boottest.UEFIShimGRUB
		firmware.OfferWait = 0 // takes the first offer at once
		m := segment.NewMachine(boottest.MachineConfig{Firmware: firmware})
		defer m.PowerOff()
		report, err := m.Boot(t.Context())
		if err != nil {
			return false
		}
		running = report.Running
		return running.Kernel.Size == int64(len(kernel))
	})
	for name, want := range map[string][]byte{running.Kernel.SHA256: kernel, running.Initrds[0].SHA256: initrd} {
		if name != fmt.Sprintf("%x", sha256.Sum256(want)) {
			t.Errorf("the machine runs something else: %+v", running)
		}
	}
}

// call calls the API of a region.
func call(t *testing.T, reg *region.Region, method, path string, body []byte, out any) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	req.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	reg.Local().ServeHTTP(w, req)
	data, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, w.Code, data, err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
}

func putImage(t *testing.T, reg *region.Region, name string, spec inventory.ImageSpec) (info region.ImageInfo) {
	t.Helper()
	body, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	call(t, reg, http.MethodPut, region.ImagesPath+"?name="+name, body, &info)
	return info
}

func image(t *testing.T, reg *region.Region, name string) (info region.ImageInfo) {
	t.Helper()
	call(t, reg, http.MethodGet, region.ImagesPath+"/show?name="+name, nil, &info)
	return info
}
