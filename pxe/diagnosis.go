package pxe

import (
	"fmt"
	"time"
)

// slowStep is the longest time between two steps of a healthy machine: firmware tries its other
// protocols and unpacks the files that it loaded.
const slowStep = 30 * time.Second

// Diagnosis describes in words how the attempt stands at the time now and, when it stopped, the
// likely reason.
func (a Attempt) Diagnosis(now time.Time) string {
	if len(a.Steps) == 0 {
		return "nothing heard"
	}
	last := a.Steps[len(a.Steps)-1]
	switch {
	case a.Running:
		return fmt.Sprintf("running, %.1f s after power-on was noticed", a.runningAt().Sub(a.Start).Seconds())
	case last.Err != "":
		return last.failure()
	case now.Sub(a.Last) < slowStep:
		return "booting: " + last.doing()
	}
	return a.stopped(last)
}

func (a Attempt) runningAt() time.Time {
	for _, s := range a.Steps {
		if s.Stage == StageRunning {
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
func (s Step) failure() string {
	if s.Proto == string(TFTP) && s.BlockSize > 0 && s.Size > 0 && s.Bytes < s.Size && s.Retransmits > 0 {
		hint := "the machine is off or its link is down"
		if s.Bytes == 0 {
			hint = "packets of this size do not get through (MTU of a tunnel or relay), or the answers are filtered"
		}
		return fmt.Sprintf("stalled at block %d of %s (blocks of %d bytes) after %d retransmissions: %s; %s",
			s.Bytes/int64(s.BlockSize)+1, s.Path, s.BlockSize, s.Retransmits, hint, s.Err)
	}
	return fmt.Sprintf("could not fetch %s: %s", s.Path, s.Err)
}

// stopped explains silence after a step that went well.
func (a Attempt) stopped(last Step) string {
	switch {
	case last.Stage == StageOffer && last.Path != "":
		return "was offered " + last.Path + " and never asked for it: another DHCP server won, a firewall or relay" +
			" drops the request, or the firmware waits for a proxyDHCP answer on port 4011"
	case last.Stage == StageOffer:
		return "has an address and asked for no configuration: it does not boot from the network, or a firewall drops what it asks for"
	case last.Stage == StageConfig && last.Absent:
		return "found no configuration (last " + last.Path + "): it has no profile, and went on with its next boot device"
	case last.Absent:
		return "asked for " + last.Path + ", which there is not, and gave up"
	case last.Stage == StageLoader:
		return "fetched " + last.Path + " and stopped: the loader did not start (Secure Boot refuses it, or it is for another" +
			" processor) or finds no network"
	case last.Stage == StageConfig:
		return "read its configuration and fetched nothing after it: the profile starts from the disk, waits or switches off," +
			" or the loader cannot reach the files"
	case last.Stage == StageKernel && a.Method == "onie":
		return "fetched its installer and has not reported since: the installer does not report, or it failed; see the console"
	case last.Stage == StageKernel:
		return "fetched the kernel and nothing after it: the profile has no initrd and the system does not report," +
			" or there is not enough memory"
	}
	return "loaded everything and has not reported since: the system does not report, or it stopped; see its console"
}
