package pxe

import (
	"net"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
)

// Request says who asks for a boot profile, as far as it is known.
type Request struct {
	MAC    net.HardwareAddr  // of the boot interface; nil when the client could not be identified
	UUID   string            // SMBIOS UUID in lower case with dashes, or empty
	Addr   netip.Addr        // the client's address
	Server netip.Addr        // this server's address as the client used it; invalid when unknown
	Arch   firmware.Arch     // of the firmware; firmware.ArchUnknown when not known
	Method string            // name of the boot Method, empty when not known
	Config firmware.Language // configuration language the client understands
}

// parseUUID returns s in canonical form, or "" when it is not a UUID or one of the all-equal
// fillers that boards without a serial number report.
func parseUUID(s string) string {
	s = strings.ToLower(s)
	if len(s) != 36 || strings.Count(s, s[:1]) >= 32 {
		return ""
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
		if dash != (s[i] == '-') || !dash && !hex {
			return ""
		}
	}
	return s
}
