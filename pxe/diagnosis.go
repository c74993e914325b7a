package pxe

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/bootlog"
	"github.com/gomaas/maas/pxe/firmware"
)

// slowStep is the longest time between two steps of a healthy machine: firmware tries its other
// protocols and unpacks the files that it loaded.
const slowStep = 30 * time.Second

// Diagnosis describes in words how the attempt stands at the time now and, when it stopped, the
// likely reason.
func (a Attempt) Diagnosis(now time.Time) string {
	_, text := a.diagnose(now)
	return text
}

// Cause names the kind of reason that Diagnosis gives for an attempt that stopped, such as
// "silent-grub"; see Causes. Empty means that the attempt proceeds or has succeeded.
func (a Attempt) Cause(now time.Time) string {
	cause, _ := a.diagnose(now)
	return cause
}

// Causes of attempts that stopped, beside "log-" with the name of a [bootlog.Fault] behind it.
const (
	causeStalled      = "stalled"       // a transfer by TFTP got no acknowledgments
	causeTransfer     = "transfer"      // a transfer ended with an error
	causeNotAsked     = "not-asked"     // the offered loader was never asked for
	causeAddressOnly  = "address-only"  // nothing was asked for behind the address
	causeNoProfile    = "no-profile"    // no name of a configuration led to a profile
	causeAbsent       = "absent"        // a file does not exist
	causeLoaderPart   = "loader-part"   // a loader was fetched in part
	causeShim         = "silent-shim"   // shim was fetched, and nothing after it
	causeGRUB         = "silent-grub"   // GRUB was
	causeIPXE         = "silent-ipxe"   // iPXE was
	causeLoader       = "silent-loader" // another loader was
	causeConfigOnly   = "config-only"   // nothing was fetched after the configuration
	causeMetadata     = "metadata"      // the system read its metadata and did not report
	causeInstaller    = "installer"     // ONIE's installer did not report
	causeKernelOnly   = "kernel-only"   // nothing was fetched after the kernel
	causeSilentSystem = "silent-system" // all was loaded, and the system did not report
)

// Causes returns all values of [Attempt.Cause] but the empty one.
func Causes() []string {
	list := []string{causeStalled, causeTransfer, causeNotAsked, causeAddressOnly, causeNoProfile, causeAbsent, causeLoaderPart, causeShim, causeGRUB,
		causeIPXE, causeLoader, causeConfigOnly, causeMetadata, causeInstaller, causeKernelOnly, causeSilentSystem}
	for _, name := range bootlog.Faults() {
		list = append(list, causeOfLog+name)
	}
	return list
}

// causeOfLog begins the causes that a machine logged.
const causeOfLog = "log-"

func (a Attempt) diagnose(now time.Time) (cause, text string) {
	if len(a.Steps) == 0 {
		return "", "nothing heard"
	}
	last := a.Steps[len(a.Steps)-1]
	switch {
	case a.Configured:
		return "", fmt.Sprintf("configured, %.1f s after power-on was noticed", a.endOf(StageConfigured).Sub(a.Start).Seconds())
	case a.Running:
		return "", fmt.Sprintf("running, %.1f s after power-on was noticed", a.endOf(StageRunning).Sub(a.Start).Seconds())
	case a.Fault != (bootlog.Fault{}):
		return causeOfLog + a.Fault.Name, a.Fault.String()
	case last.Err != "":
		return last.failure()
	case now.Sub(a.Logged) < slowStep:
		return "", fmt.Sprintf("booting: logs %q", a.Log[len(a.Log)-1])
	case now.Sub(a.Last) < slowStep:
		return "", "booting: " + last.doing()
	}
	return a.stopped(last)
}

// endOf returns when the first step of a stage ended.
func (a Attempt) endOf(stage Stage) time.Time {
	for _, s := range a.Steps {
		if s.Stage == stage {
			return s.End
		}
	}
	return a.Last
}

// doing describes a step that went well.
func (s Step) doing() string {
	switch {
	case s.Stage == StageOffer && s.Path == "":
		return "has an address and looks for its configuration"
	case s.Stage == StageOffer:
		return "was offered " + s.Path
	case s.Absent:
		return "asked for " + s.Path + ", which there is not"
	}
	return fmt.Sprintf("fetched %s, %d bytes in %.1f s", s.Path, s.Bytes, s.Duration.Seconds())
}

// failure explains a transfer that ended early.
func (s Step) failure() (cause, text string) {
	if s.Proto == string(firmware.TFTP) && s.BlockSize > 0 && s.Size > 0 && s.Bytes < s.Size && s.Retransmits > 0 {
		hint := "the machine is off or its link is down"
		if s.Bytes == 0 {
			hint = "packets of this size do not get through (MTU of a tunnel or relay), or the answers are filtered"
		}
		return causeStalled, fmt.Sprintf("stalled at block %d of %s (blocks of %d bytes) after %d retransmissions: %s; %s",
			s.Bytes/int64(s.BlockSize)+1, s.Path, s.BlockSize, s.Retransmits, hint, s.Err)
	}
	return causeTransfer, fmt.Sprintf("could not fetch %s: %s", s.Path, s.Err)
}

// stopped explains silence after a step that went well.
func (a Attempt) stopped(last Step) (cause, text string) {
	switch {
	case a.Silent(): // whatever firmware tried after it
		return a.silentLoader()
	case last.Stage == StageOffer && last.Path != "":
		return causeNotAsked, "was offered " + last.Path + " and never asked for it: another DHCP server won, a firewall or relay" +
			" drops the request, or the firmware waits for a proxyDHCP answer on port 4011"
	case last.Stage == StageOffer:
		return causeAddressOnly, "has an address and asked for no configuration: it does not boot from the network, or a firewall drops what it asks for"
	case last.Stage == StageConfig && last.Absent:
		return causeNoProfile, "found no configuration (last " + last.Path + "): it has no profile, and went on with its next boot device"
	case last.Absent:
		return causeAbsent, "asked for " + last.Path + ", which there is not, and gave up"
	case last.Stage == StageLoader:
		return causeLoaderPart, "fetched a part of " + last.Path + " and stopped: it ran out of memory, or was switched off"
	case last.Stage == StageConfig:
		return causeConfigOnly, "read its configuration and fetched nothing after it: the profile starts from the disk, shows a menu, waits or switches off," +
			" or the loader cannot reach the files"
	case last.Stage == StageMetadata:
		return causeMetadata, "read " + last.Path + " and has not reported since: its configuration takes long or failed; see its cloud-init.log"
	case last.Stage == StageKernel && a.Method == "onie":
		return causeInstaller, "fetched its installer and has not reported since: the installer does not report, or it failed; see the console"
	case last.Stage == StageKernel:
		return causeKernelOnly, "fetched the kernel and nothing after it: the profile has no initrd and the system does not report," +
			" or there is not enough memory"
	}
	if len(a.Log) > 0 {
		return causeSilentSystem, fmt.Sprintf("loaded everything and has not reported since: the system does not report, or it stopped; it logged last %q", a.Log[len(a.Log)-1])
	}
	return causeSilentSystem, "loaded everything and has not reported since: the system does not report, or it stopped; see its console"
}

// Silent reports whether the attempt ended with a loader that was fetched whole and after which
// nothing was asked for: the firmware, or shim, refused to start it, or it hangs. Optional parts
// that a loader looks for in vain count as nothing.
func (a Attempt) Silent() bool {
	return a.lastLoader() >= 0 && !a.Running
}

// lastLoader returns the index of the loader that the attempt ended with, -1 if it ended otherwise.
func (a Attempt) lastLoader() int {
	for i, s := range slices.Backward(a.Steps) {
		switch {
		case s.Stage == StageOffer && !ByLoader(s.Method) || s.Stage == StageLoader && s.Absent:
			continue
		case s.Stage == StageLoader && s.Err == "" && s.Bytes > 0 && s.Bytes >= s.Size:
			return i
		}
		return -1
	}
	return -1
}

// Loader returns the path of the loader that the firmware was offered last and fetched; empty if it
// fetched none.
func (a Attempt) Loader() string {
	for _, s := range slices.Backward(a.Steps) {
		if s.Stage != StageOffer || ByLoader(s.Method) {
			continue
		}
		name := s.Path
		if u, err := url.Parse(name); err == nil && u.Scheme != "" {
			name = u.Path
		}
		name = strings.TrimPrefix(name, "/")
		if slices.ContainsFunc(a.Steps, func(l Step) bool {
			return l.Stage == StageLoader && l.Err == "" && !l.Absent && strings.EqualFold(strings.TrimPrefix(l.Path, "/"), name)
		}) {
			return name
		}
	}
	return ""
}

// ByLoader reports whether a method is of a loader that runs, such as iPXE, rather than of
// firmware.
func ByLoader(method string) bool {
	m, _ := firmware.MethodNamed(method)
	return m.UserClass != ""
}

// silentLoader explains why nothing followed a loader.
func (a Attempt) silentLoader() (cause, text string) {
	s := a.Steps[a.lastLoader()]
	begun := "fetched " + s.Path + " and nothing after it: "
	if s.Signed != "" {
		begun = "fetched " + s.Path + " (" + s.Signed + ") and nothing after it: "
	}
	name := strings.ToLower(path.Base(s.Path))
	switch {
	case strings.Contains(name, "shim") || strings.HasPrefix(name, "boot"):
		return causeShim, begun + "Secure Boot of the firmware refuses its signature (see maas loader list for the CAs that signed it), or it is for another processor"
	case strings.HasPrefix(name, "grub"):
		return causeGRUB, begun + "GRUB was loaded and never asked again: it hangs, as GRUB 2.06 does beside another DHCP server (set loader: ipxe in the profile)," +
			" or shim refuses it (signed by another distribution, or revoked by its SBAT generation)"
	case strings.Contains(name, "ipxe") || strings.HasPrefix(name, "snponly") || strings.HasPrefix(name, "undionly"):
		return causeIPXE, begun + "iPXE was loaded and never asked again: Secure Boot refuses it (see maas loader list), it is for another processor," +
			" or it finds no network with its own drivers"
	}
	return causeLoader, begun + "the loader did not start (Secure Boot refuses it, or it is for another processor) or finds no network"
}
