package metadata_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/metadata"
)

// readers is run by Debian's Python with cloud-init's own readers of the three families.
const readers = `
import json, logging, sys, types
from unittest import mock
url, tmp = sys.argv[1], sys.argv[2]
from cloudinit import helpers, user_data, util
from cloudinit.sources import DataSourceNoCloud
from cloudinit.sources.helpers import ec2, openstack
from cloudinit.config import cc_phone_home
out = {}
paths = helpers.Paths({"cloud_dir": tmp, "run_dir": tmp, "templates_dir": tmp})
with mock.patch.object(util, "find_devs_with", return_value=[]):
    ds = DataSourceNoCloud.DataSourceNoCloudNet({"datasource": {"NoCloud": {"seedfrom": url + "/metadata/02-00-00-00-00-01/right/"}}}, mock.MagicMock(), paths)
    assert ds._get_data()
out["nocloud"] = [ds.get_instance_id(), ds.get_hostname(fqdn=True).hostname, ds.get_public_ssh_keys(), ds.availability_zone, str(ds.userdata_raw, "utf-8")]
class Cloud:
    paths = paths
    get_instance_id = lambda self: ds.get_instance_id()
    get_hostname = lambda self, fqdn=False: ds.get_hostname(fqdn=fqdn)
cfg = None
for part in user_data.UserDataProcessor(paths).process(ds.get_vendordata_raw()).walk():
    if part.get_content_type() == "text/cloud-config":
        cfg = util.load_yaml(part.get_payload(decode=True))
cc_phone_home.handle("phone_home", cfg, Cloud(), logging.getLogger(), [])
meta = ec2.get_instance_metadata("2009-04-04", url)
out["ec2"] = [meta["instance-id"], meta["local-hostname"], meta["public-keys"], meta["placement"], meta["local-ipv4"], str(ec2.get_instance_userdata("2009-04-04", url), "utf-8")]
os = openstack.MetadataReader(url).read_v2()
out["openstack"] = [os["metadata"]["instance-id"], os["metadata"]["local-hostname"], os["metadata"]["public_keys"], os["metadata"]["availability_zone"], str(os["userdata"], "utf-8"), os["networkdata"]]
from cloudinit.net import cmdline
out["argument"] = str(cmdline._b64dgz(sys.argv[3]), "utf-8")
print(json.dumps(out))
`

// The readers of Debian's cloud-init for NoCloud, EC2 and OpenStack read an instance whole, and its module phone_home follows the
// vendor data.
func TestCloudInitReadsIt(t *testing.T) {
	const python = "/usr/bin/python3"
	netlab.Require(t, netlab.Program(python, "python3"), netlab.File("/usr/lib/python3/dist-packages/cloudinit/__init__.py", "cloud-init"))
	const loopback = "127.0.0.1"
	in := newSite()[mac1.String()]
	in.Addrs = []netip.Addr{netip.MustParseAddr(loopback)}
	configured := make(chan pxe.Event, 4)
	h, err := metadata.New(metadata.Config{
		Source: site{mac1.String(): in}, Events: func(e pxe.Event) {
			if e.Stage == pxe.StageConfigured {
				configured <- e
			}
		},
		Vouch: func(_ netip.Addr, _ net.HardwareAddr, nonce string) bool { return nonce == "right" },
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	defer srv.Close()
	go srv.Serve(ln)
	cmd := exec.CommandContext(t.Context(), python, "-c", readers, "http://"+ln.Addr().String(), t.TempDir(), metadata.Argument(in.NetworkConfig))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	const user = `"#cloud-config\nruncmd: [date]\n"`
	for name, want := range map[string]string{
		"nocloud":   `["abc123","node1.lab.example",["` + key + `"],"north",` + user + `]`,
		"ec2":       `["abc123","node1.lab.example",{"key-0":"` + key + `"},{"availability-zone":"north"},"127.0.0.1",` + user + `]`,
		"openstack": `["abc123","node1.lab.example",{"key-0":"` + key + `"},"north",` + user + `,{"links":[]}]`,
		"argument":  `"version: 2\n"`,
	} {
		if !sameJSON(t, string(got[name]), want) {
			t.Errorf("%s reads %s, want %s", name, got[name], want)
		}
	}
	if e := <-configured; e.MAC.String() != mac1.String() || !strings.Contains(string(e.Body), "instance_id=abc123") {
		t.Errorf("phone_home reported %+v %s", e, e.Body)
	}
}

// sameJSON compares values, whatever their spelling is.
func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}
