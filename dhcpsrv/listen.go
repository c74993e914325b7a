package dhcpsrv

// ListenConfig says where to listen.
type ListenConfig struct {
	Interfaces []string // names of the interfaces to serve; at least one
	Port       int      // 0 = 67. With another port clients are expected on the next higher one, for tests without root
}
