package powersim

// A Shape describes how a make of BMC lays out its Redfish service: the differences that clients
// trip over. The zero Shape is a plain one after the standard.
type Shape struct {
	Name string // for tests
	// System is the ID of the one system. Empty means "1".
	System string
	// Slash has all URIs that the service gives out end with a slash; both forms are answered.
	Slash bool
	// ResetTypes are the reset types that the system lists. Nil means On, ForceOff,
	// GracefulShutdown, ForceRestart and PowerCycle.
	ResetTypes []string
	// ActionInfo puts the reset types into a resource of their own, not beside the action (DSP0266
	// section 9.6.13).
	ActionInfo bool
	// ETag selects where the system's version is found.
	ETag ETag
	// NeedsMatch refuses a PATCH without If-Match with 428 (RFC 6585).
	NeedsMatch bool
	// Settings takes the boot override only at the settings resource (DSP0266 section 9.10).
	Settings bool
	// NeedsMode refuses a boot override that does not name the boot mode.
	NeedsMode bool
	// AbsoluteLocation returns a new session's whole URL, not its path alone.
	AbsoluteLocation bool
	// NoSessions has no session service: requests are authorized by HTTP Basic alone, as with
	// emulators and storage controllers.
	NoSessions bool
	// SensorCollection lists the sensors in the collection that came with the release of 2020.4,
	// not as Thermal and Power, and has LocationIndicatorActive in the place of IndicatorLED.
	SensorCollection bool
	// Media describes the virtual media.
	Media Media
	// NoBootURL has no Boot.HttpBootUri, as services before ComputerSystem 1.9.
	NoBootURL bool
	// Powering reports PoweringOn and PoweringOff during a change.
	Powering bool
}

// ETag is a way to tell a version.
type ETag uint8

// The ways.
const (
	StrongETag ETag = iota // "1", as a header and in the body
	WeakETag               // W/"1", as a header and in the body
	HeaderETag             // "1", as a header only
	MovingETag             // another one with each GET
	NoETag
)

// Shapes returns layouts like those of well-known makes, put together from their public
// documentation.
func Shapes() []Shape {
	return []Shape{
		{Name: "standard"},
		{
			Name: "like Dell iDRAC9", System: "System.Embedded.1", Powering: true, ETag: WeakETag, Media: Media{Manager: true},
			ResetTypes: []string{"On", "ForceOff", "ForceRestart", "GracefulRestart", "GracefulShutdown", "PushPowerButton", "Nmi", "PowerCycle"},
		},
		{
			Name: "like HPE iLO 5", Slash: true, ETag: WeakETag, AbsoluteLocation: true, Media: Media{Manager: true, Body: true},
			ResetTypes: []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi", "PushPowerButton", "GracefulRestart"},
		},
		{
			Name: "like Supermicro X12", NeedsMatch: true, NeedsMode: true, ETag: MovingETag, Media: Media{Manager: true, Protocol: true},
			ResetTypes: []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn"},
		},
		{
			Name: "like Lenovo XCC", ETag: HeaderETag, NeedsMatch: true, Media: Media{Manager: true, Patch: true},
			ResetTypes: []string{"On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOn", "ForceOff", "ForceRestart"},
		},
		{
			Name: "like OpenBMC", System: "system", ActionInfo: true, ETag: HeaderETag, Powering: true, SensorCollection: true, Media: Media{Manager: true},
			ResetTypes: []string{"On", "ForceOff", "ForceOn", "ForceRestart", "GracefulRestart", "GracefulShutdown", "PowerCycle", "Nmi"},
		},
		{
			Name: "like an emulator", System: "6c8f1a4e-0000-4000-8000-000000000001", NoSessions: true, ETag: NoETag,
			ResetTypes: []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn"},
		},
		{Name: "like Ampere", System: "Self", Settings: true, ETag: StrongETag, NeedsMatch: true, Media: Media{None: true}},
		{Name: "without ETags, and old", ETag: NoETag, NoBootURL: true},
	}
}
