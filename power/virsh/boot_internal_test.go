package virsh

import "testing"

func TestReorder(t *testing.T) {
	const definition = `<domain xmlns:qemu='urn:q'>
  <os>
    <type>hvm</type>
    <boot dev="hd"/>
    <boot dev='cdrom'></boot>
    <bootmenu enable='yes'/>
  </os>
  <devices>
    <disk><boot order='2'/><target dev='vda'/></disk>
    <interface><boot order='1'/></interface>
  </devices>
  <qemu:commandline><qemu:arg value='-boot'/></qemu:commandline>
</domain>`
	const want = `<domain xmlns:qemu='urn:q'>
  <os>
    <type>hvm</type>
    <bootmenu enable='yes'/>
  <boot dev='network'/><boot dev='hd'/></os>
  <devices>
    <disk><target dev='vda'/></disk>
    <interface></interface>
  </devices>
  <qemu:commandline><qemu:arg value='-boot'/></qemu:commandline>
</domain>`
	if got, err := reorder(definition, []string{"network", "hd"}); err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	for _, text := range []string{"", "<domain>", "<domain><os><boot", "<domain type='xen'><bootloader/></domain>"} {
		if got, err := reorder(text, nil); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}
