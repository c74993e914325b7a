//go:build linux

package qemutest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Firmware names the firmware of a virtual machine.
type Firmware string

// The firmware that QEMU brings along.
const (
	BIOS       Firmware = "bios"        // SeaBIOS with the network card's iPXE ROM
	UEFI       Firmware = "uefi"        // OVMF's own PXE and HTTP boot
	SecureBoot Firmware = "secure-boot" // OVMF that only starts signed loaders
	UEFIARM64  Firmware = "uefi-arm64"  // AAVMF: the same for 64-bit ARM
	UBootARM64 Firmware = "uboot-arm64" // U-Boot for QEMU's board of 64-bit ARM
	UBootRV64  Firmware = "uboot-rv64"  // U-Boot, above OpenSBI, for QEMU's board of 64-bit RISC-V
)

// VM describes a machine.
type VM struct {
	Firmware Firmware         // empty means BIOS
	MAC      net.HardwareAddr // of the network card that it boots from
	Tap      string           // tap interface the card is plugged into
	Extra    []Card           // further network cards, which the firmware does not boot from
	MemoryMB int              // 0 means 512, which a UEFI HTTP boot of a large image exceeds
	UUID     string           // SMBIOS UUID; empty leaves QEMU's
	IPv6     bool             // UEFI boots over IPv6 instead of IPv4
	HTTPBoot bool             // UEFI boots by HTTP instead of PXE
	CD       string           // file of the ISO image in its CD drive, which it boots first; empty means no drive
	Keyboard bool             // Machine.Press works, and the console shows the screen of a BIOS, too
	Terminal bool             // Machine.Type works: the serial console takes input
	Vars     string           // file with the firmware's variables; empty means those it comes with
	// Dir holds the serial log and the firmware's variables; needed by CommandLine, made by Start
	// when empty.
	Dir string
}

// Card is a network card of a machine.
type Card struct {
	MAC net.HardwareAddr
	Tap string // tap interface that the card is plugged into
}

// SerialLog is the path of the machine's console output.
func (vm VM) SerialLog() string { return filepath.Join(vm.Dir, "serial.log") }

// monitor is the socket of QEMU's monitor.
func (vm VM) monitor() string { return filepath.Join(vm.Dir, "monitor") }

// terminal is the socket of the serial console's input.
func (vm VM) terminal() string { return filepath.Join(vm.Dir, "terminal") }

// qemu returns the program and its Debian package.
func (vm VM) qemu() (program, debianPackage string) {
	switch vm.Firmware {
	case UEFIARM64, UBootARM64:
		return "qemu-system-aarch64", "qemu-system-arm"
	case UBootRV64:
		return "qemu-system-riscv64", "qemu-system-misc"
	}
	return "qemu-system-x86_64", "qemu-system-x86"
}

// Needs lists what the machine needs, for netlab.Require.
func (vm VM) Needs() []netlab.Need {
	needs := []netlab.Need{netlab.Root, netlab.Program(vm.qemu()), netlab.Program("busybox", "busybox-static")}
	code, vars := vm.pflash()
	firmware := "ovmf"
	switch vm.Firmware {
	case UEFIARM64:
		firmware = "qemu-efi-aarch64"
	case BIOS, "":
		return append(needs, netlab.File("/usr/lib/ipxe/qemu/pxe-virtio.rom", "ipxe-qemu"))
	case UBootARM64:
		return append(needs, netlab.File(vm.uboot(), "u-boot-qemu"))
	case UBootRV64:
		return append(needs, netlab.File(vm.uboot(), "u-boot-qemu"), netlab.File(opensbi, "opensbi"))
	}
	return append(needs, netlab.File(code, firmware), netlab.File(vars, firmware))
}

// opensbi is the firmware of a RISC-V board below U-Boot.
const opensbi = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf"

// uboot returns the file of U-Boot, "" for other firmware.
func (vm VM) uboot() string {
	switch vm.Firmware {
	case UBootARM64:
		return "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
	case UBootRV64:
		return "/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf"
	}
	return ""
}

// pflash returns the firmware image and its variable store, "" for BIOS.
func (vm VM) pflash() (code, vars string) {
	const dir = "/usr/share/OVMF/"
	switch vm.Firmware {
	case UEFI:
		return dir + "OVMF_CODE_4M.fd", dir + "OVMF_VARS_4M.fd"
	case SecureBoot:
		return dir + "OVMF_CODE_4M.ms.fd", dir + "OVMF_VARS_4M.ms.fd"
	case UEFIARM64:
		return "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"
	}
	return "", ""
}

// CommandLine returns the arguments that run the machine in the foreground, program first, and
// prepares vm.Dir. KVM is not used, so that it runs inside other virtual machines.
func (vm VM) CommandLine() ([]string, error) {
	if vm.Dir == "" || vm.Tap == "" || len(vm.MAC) != 6 {
		return nil, errors.New("qemutest: VM needs Dir, Tap and a 6-byte MAC")
	}
	memory := vm.MemoryMB
	if memory == 0 {
		memory = 512
	}
	program, _ := vm.qemu()
	args := []string{program, "-accel", "tcg,tb-size=128", "-m", strconv.Itoa(memory), "-smp", "1",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-netdev", "tap,id=n0,script=no,downscript=no,ifname=" + vm.Tap}
	if vm.Terminal {
		args = append(args, "-chardev", "socket,id=s0,server=on,wait=off,path="+vm.terminal()+",logfile="+vm.SerialLog(), "-serial", "chardev:s0")
	} else {
		args = append(args, "-serial", "file:"+vm.SerialLog())
	}
	card := "virtio-net-pci,netdev=n0,bootindex=1,mac=" + vm.MAC.String()
	for n, c := range vm.Extra {
		args = append(args, "-netdev", fmt.Sprintf("tap,id=x%d,script=no,downscript=no,ifname=%s", n, c.Tap),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=x%d,romfile=,mac=%s", n, c.MAC))
	}
	if vm.UUID != "" {
		args = append(args, "-uuid", vm.UUID)
	}
	if vm.Keyboard {
		args = append(args, "-monitor", "unix:"+vm.monitor()+",server=on,wait=off")
	}
	if vm.CD != "" {
		args = append(args, "-drive", "if=none,id=cd0,media=cdrom,readonly=on,format=raw,file="+vm.CD, "-device", "ide-cd,drive=cd0,bootindex=0")
	}
	switch vm.Firmware {
	case UBootARM64:
		return append(args, "-machine", "virt", "-cpu", "cortex-a57", "-bios", vm.uboot(), "-device", card+",romfile="), nil
	case UBootRV64:
		return append(args, "-machine", "virt", "-bios", opensbi, "-kernel", vm.uboot(), "-device", card+",romfile="), nil
	}
	code, vars := vm.pflash()
	if code == "" {
		machine := "pc"
		if vm.Keyboard { // SeaBIOS shows its screen on the console, so that a test sees when to press
			machine += ",graphics=off"
		}
		return append(args, "-machine", machine, "-device", card), nil
	}
	if vm.Vars != "" {
		vars = vm.Vars
	}
	own := filepath.Join(vm.Dir, "vars.fd")
	if err := copyFile(own, vars); err != nil {
		return nil, fmt.Errorf("qemutest: variables of the firmware: %w", err)
	}
	return append(args, vm.uefiArgs(code, own, card)...), nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// uefiArgs are the arguments for UEFI firmware with its code and its own variables.
func (vm VM) uefiArgs(code, vars, card string) (args []string) {
	machine := "q35"
	switch vm.Firmware {
	case SecureBoot:
		machine += ",smm=on"
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	case UEFIARM64:
		machine = "virt"
		args = append(args, "-cpu", "cortex-a57")
	}
	v4, v6 := "y", "n"
	switch {
	case vm.HTTPBoot: // is what OVMF tries when PXE is off
		v4 = "n"
	case vm.IPv6:
		v4, v6 = v6, v4
	}
	return append(args, "-machine", machine,
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+code,
		"-drive", "if=pflash,format=raw,unit=1,file="+vars,
		"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string="+v4,
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string="+v6,
		// Without the card's ROM the firmware's own network stack runs.
		"-device", card+",romfile=")
}
