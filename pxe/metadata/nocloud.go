package metadata

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// phoneHome is the file that reports are sent to.
const phoneHome = "phone-home"

const textPlain = "text/plain; charset=utf-8"

// noCloud answers for the files of cloud-init's datasource NoCloud.
func (h *Handler) noCloud(in Instance, r request) ([]byte, string, error) {
	switch r.file {
	case "meta-data":
		body, err := metaData(in)
		return body, "text/yaml", err
	case "user-data":
		return present(in.UserData), textPlain, nil
	case "vendor-data":
		body, err := h.vendorData(in, r)
		return body, textPlain, err
	case "network-config":
		if len(in.NetworkConfig) == 0 {
			return nil, "", errNoFile
		}
		return in.NetworkConfig, "text/yaml", nil
	}
	return nil, "", errNoFile
}

// present is never nil: cloud-init takes an absent user-data for a broken seed.
func present(data []byte) []byte { return append([]byte{}, data...) }

// metaData is JSON, which every reader of YAML reads, and in which no value can change the
// structure.
func metaData(in Instance) ([]byte, error) {
	meta := map[string]any{"instance-id": in.ID}
	put := func(key, value string) {
		if value != "" {
			meta[key] = value
		}
	}
	put("local-hostname", in.Hostname)
	if in.FQDN != "" {
		put("local-hostname", in.FQDN) // cloud-init takes both the name and the domain from it
	}
	put("availability-zone", in.Zone)
	if len(in.Keys) > 0 {
		meta["public-keys"] = in.Keys
	}
	return json.Marshal(meta)
}

// vendorData is the site's with the request to phone home.
func (h *Handler) vendorData(in Instance, r request) ([]byte, error) {
	if h.cfg.Events == nil {
		return present(in.VendorData), nil
	}
	// JSON is YAML: no URL can break out of its quotes.
	report, err := json.Marshal(map[string]any{"phone_home": map[string]any{
		"url": r.base() + phoneHome, "post": []string{"instance_id", "hostname", "fqdn"}, "tries": 5,
	}})
	if err != nil {
		return nil, err
	}
	type part struct {
		Type    string `json:"type"`
		Content string `json:"content"`
	}
	parts := []part{{"text/cloud-config", "#cloud-config\n" + string(report)}}
	if len(in.VendorData) > 0 {
		// The later part goes first where both say something, so the site's may replace the report.
		parts = append(parts, part{"text/cloud-config", string(in.VendorData)})
	}
	archive, err := json.Marshal(parts)
	return append([]byte("#cloud-config-archive\n"), archive...), err
}

// base returns the URL of the machine's files, as the client reached it.
func (r request) base() string {
	base := "http://" + r.Host + Prefix
	if r.mac != nil {
		base += firmware.FormatMAC(r.mac) + "/"
	}
	if r.nonce != "" {
		base += r.nonce + "/"
	}
	return base
}

// A report is refused from one size on, and its text is kept up to another, in bytes.
const (
	maxReport  = 64 << 10
	keptReport = 4 << 10
)

// report takes the report of a machine whose configuration is complete.
func (h *Handler) report(w http.ResponseWriter, r request) {
	began := time.Now()
	in, err := h.instance(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(began.Add(time.Minute)) // a body that does not come would keep its place
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		http.Error(w, fmt.Sprintf("the report is longer than %d KiB or was cut off", maxReport>>10), http.StatusRequestEntityTooLarge)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if h.cfg.Events != nil {
		now := time.Now()
		h.cfg.Events(pxe.Event{
			Time: now, Stage: pxe.StageConfigured, MAC: in.MAC, Addr: r.client, Arch: firmware.ArchUnknown, Path: "metadata/" + phoneHome,
			Proto: string(firmware.HTTP), Size: int64(len(body)), Bytes: int64(len(body)), Duration: now.Sub(began), Body: body[:min(len(body), keptReport)],
		})
	}
}
