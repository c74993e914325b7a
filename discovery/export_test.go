package discovery

// The decoders of the protocols, for tests and fuzzing one by one.
var (
	DecodeARP    = decodeARP
	DecodeNDP    = decodeNDP
	DecodeDHCPv4 = decodeDHCPv4
	DecodeDHCPv6 = decodeDHCPv6
	DecodeMDNS   = decodeMDNS
	DecodeLLDP   = decodeLLDP
)
