package metadata

import (
	"encoding/json"
	"strconv"
	"strings"
)

// openStackVersions are the versions of OpenStack's paths that are answered, all with the same.
var openStackVersions = []string{"2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27", "latest"}

// openStack answers for OpenStack's paths below /openstack: VERSION/meta_data.json, user_data,
// vendor_data.json and network_data.json.
func openStack(in Instance, r request) ([]byte, string, error) {
	version, file, _ := strings.Cut(r.file, "/")
	if version == "" {
		return []byte(strings.Join(openStackVersions, "\n")), textPlain, nil
	}
	known := false
	for _, v := range openStackVersions {
		known = known || v == version
	}
	if !known {
		return nil, "", errNoFile
	}
	const typeJSON = "application/json"
	switch file {
	case "":
		return []byte("meta_data.json\nuser_data\nvendor_data.json\nnetwork_data.json"), textPlain, nil
	case "meta_data.json":
		body, err := openStackMetaData(in)
		return body, typeJSON, err
	case "user_data":
		if len(in.UserData) > 0 {
			return in.UserData, "application/octet-stream", nil
		}
	case "vendor_data.json":
		if len(in.VendorData) == 0 {
			return []byte("{}"), typeJSON, nil
		}
		body, err := json.Marshal(map[string]string{"cloud-init": string(in.VendorData)})
		return body, typeJSON, err
	case "network_data.json":
		if len(in.NetworkData) > 0 {
			return in.NetworkData, typeJSON, nil
		}
	}
	return nil, "", errNoFile
}

func openStackMetaData(in Instance) ([]byte, error) {
	type key struct {
		Name string `json:"name"`
		Type string `json:"type"`
		Data string `json:"data"`
	}
	meta := struct {
		UUID       string            `json:"uuid"`
		Name       string            `json:"name"`
		Hostname   string            `json:"hostname"`
		Zone       string            `json:"availability_zone,omitempty"`
		Launch     int               `json:"launch_index"`
		PublicKeys map[string]string `json:"public_keys,omitempty"`
		Keys       []key             `json:"keys,omitempty"`
	}{UUID: in.ID, Name: in.Hostname, Hostname: in.FQDN, Zone: in.Zone}
	if meta.Hostname == "" {
		meta.Hostname = in.Hostname
	}
	for i, text := range in.Keys {
		if meta.PublicKeys == nil {
			meta.PublicKeys = make(map[string]string)
		}
		name := "key-" + strconv.Itoa(i)
		meta.PublicKeys[name] = text
		meta.Keys = append(meta.Keys, key{name, "ssh", text})
	}
	return json.Marshal(meta)
}
