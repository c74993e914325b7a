//go:build linux

package qemutest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// initScript is the whole user space of the guest.
const initScript = `#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
for m in %s; do insmod /lib/$m.ko; done
n=0
while [ ! -e /sys/class/net/eth0 ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
ip link set lo up
ip link set eth0 up
static=
for word in $(cat /proc/cmdline); do case $word in ip=*:none*) static=${word#ip=};; esac; done
if [ -n "$static" ]; then # as initramfs-tools does: ADDRESS::GATEWAY:MASK:HOST:DEVICE:none
  ifconfig eth0 $(echo "$static" | cut -d: -f1) netmask $(echo "$static" | cut -d: -f4)
  gateway=$(echo "$static" | cut -d: -f3)
  [ -n "$gateway" ] && ip route add default via $gateway
  hostname "$(echo "$static" | cut -d: -f5)"
fi
[ -n "$static" ] || udhcpc -i eth0 -s /bin/lease -n -q -t 10 -T 1 >/dev/null 2>&1
addr=$(ip -4 -o addr show dev eth0 | awk '{print $4}')
mac=$(cat /sys/class/net/eth0/address)
echo "%s host=$(hostname) addr=$addr mac=$mac"
for word in $(cat /proc/cmdline); do
  case $word in maas.done=*)
    case $word in *//\[*) # over IPv6, which needs an address of its own: a connection begun without one hangs
      n=0
      until ip -6 addr show dev eth0 scope global | grep -v tentative | grep -q inet6 || [ $n -ge 50 ]; do sleep 0.1; n=$((n+1)); done;;
    esac
    wget -q -O - --post-data "host=$(hostname) addr=$addr mac=$mac" "${word#maas.done=}" && echo "guest reported" || echo "guest failed to report";;
  esac
done
case " $(cat /proc/cmdline) " in *" maas.stay "*) exec sh -c 'while :; do sleep 60; done';; esac
poweroff -f
`

// leaseScript is called by udhcpc.
const leaseScript = `#!/bin/sh
case $1 in bound|renew)
  ip addr flush dev $interface
  ip addr add $ip/$mask dev $interface
  [ -n "$router" ] && ip route add default via ${router%% *}
  [ -n "$hostname" ] && hostname "$hostname"
  for s in $dns; do echo "nameserver $s" >> /etc/resolv.conf; done;;
esac
`

// writeInitrd packs busybox, the modules in store and the scripts.
func writeInitrd(name string, busybox []byte, store string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	c := cpioWriter{w: z}
	for _, d := range []string{"bin", "dev", "etc", "lib", "proc", "sys", "tmp"} {
		c.add(d, 0o040755, nil)
	}
	c.add("bin/busybox", 0o100755, busybox)
	c.add("bin/sh", 0o120777, []byte("busybox"))
	list := ""
	for _, m := range modules {
		data, err := os.ReadFile(filepath.Join(store, m+".ko"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is in the kernel
		}
		if err != nil {
			return err
		}
		c.add("lib/"+m+".ko", 0o100644, data)
		list += m + " "
	}
	c.add("bin/lease", 0o100755, []byte(leaseScript))
	c.add("init", 0o100755, fmt.Appendf(nil, initScript, list, Marker))
	c.add("TRAILER!!!", 0, nil)
	if c.err != nil {
		return c.err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

// cpioWriter writes the "newc" format that the kernel unpacks.
type cpioWriter struct {
	w   io.Writer
	ino int
	err error
}

func (c *cpioWriter) add(name string, mode int, data []byte) {
	if c.err != nil {
		return
	}
	c.ino++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	for _, part := range [][]byte{[]byte(head), data} {
		pad := (4 - len(part)%4) % 4
		if _, c.err = c.w.Write(append(part[:len(part):len(part)], make([]byte, pad)...)); c.err != nil {
			return
		}
	}
}
