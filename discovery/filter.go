package discovery

import "golang.org/x/net/bpf"

// Filter is the program with which the kernel drops, before they are copied, all frames but those
// that the sources are about. It finds them behind up to two VLAN tags too. Zero means [Passive].
func Filter(sources Source) []bpf.Instruction {
	if sources == 0 {
		sources = Passive
	}
	var a assembler
	a.tags()
	if sources&(ARP|Scan) != 0 {
		a.acceptType(etherARP, 64)
	}
	if sources.Has(LLDP) {
		a.acceptType(etherLLDP, whole)
	}
	if sources.Has(Beacons) {
		a.acceptType(etherBeacon, whole)
	}
	if sources&(DHCPv4|MDNS|Scan) != 0 {
		a.ipv4(ports4(sources))
	}
	if sources&(NDP|DHCPv6|MDNS|Scan) != 0 {
		a.ipv6(types6(sources), ports6(sources))
	}
	return a.finish()
}

// whole is more than any frame has.
const whole = 1 << 16

func ports4(s Source) (ports []uint32) {
	if s.Has(DHCPv4) {
		ports = append(ports, portDHCPServer, portDHCPClient)
	}
	if s&(MDNS|Scan) != 0 {
		ports = append(ports, portMDNS)
	}
	return ports
}

func ports6(s Source) (ports []uint32) {
	if s.Has(DHCPv6) {
		ports = append(ports, portDHCP6Server, portDHCP6Client)
	}
	if s&(MDNS|Scan) != 0 {
		ports = append(ports, portMDNS)
	}
	return ports
}

func types6(s Source) (types []uint32) {
	if s&(NDP|Scan) != 0 {
		types = append(types, icmpRouterSolicit, icmpRouterAdvert, icmpNeighborSolicit, icmpNeighborAdvert)
	}
	if s.Has(Scan) {
		types = append(types, icmpEchoReply, icmpParameterProblem)
	}
	return types
}

// An assembler writes a program in which every jump goes forward to a label. X holds the length of
// the tags.
type assembler struct {
	code  []bpf.Instruction
	jumps []jump
	at    map[string]int
}

// jump goes to a label when the condition of its instruction holds.
type jump struct {
	from  int
	label string
}

func (a *assembler) emit(i ...bpf.Instruction) { a.code = append(a.code, i...) }

func (a *assembler) label(name string) {
	if a.at == nil {
		a.at = map[string]int{}
	}
	a.at[name] = len(a.code)
}

func (a *assembler) jumpIf(cond bpf.JumpTest, val uint32, label string) {
	a.jumps = append(a.jumps, jump{len(a.code), label})
	a.emit(bpf.JumpIf{Cond: cond, Val: val})
}

// tags puts the length of the tags into X.
func (a *assembler) tags() {
	a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 0})
	for n := range uint32(maxTags) {
		a.emit(bpf.LoadAbsolute{Off: 12 + 4*n, Size: 2})
		tagged := []string{"tagged1", "tagged2"}[n]
		a.jumpIf(bpf.JumpEqual, etherVLAN, tagged)
		a.jumpIf(bpf.JumpNotEqual, etherQinQ, "untagged")
		a.label(tagged)
		a.emit(bpf.LoadConstant{Dst: bpf.RegX, Val: 4 * (n + 1)})
	}
	a.label("untagged")
}

// acceptType accepts the first octets of frames of an EtherType.
func (a *assembler) acceptType(kind, octets uint32) {
	a.emit(bpf.LoadIndirect{Off: 12, Size: 2}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: kind, SkipTrue: 1}, bpf.RetConstant{Val: octets})
}

func (a *assembler) ipv4(ports []uint32) {
	a.emit(bpf.LoadIndirect{Off: 12, Size: 2})
	a.jumpIf(bpf.JumpNotEqual, etherIPv4, "not4")
	a.emit(bpf.LoadIndirect{Off: 14 + 9, Size: 1})
	a.jumpIf(bpf.JumpNotEqual, protoUDP, "drop4")
	a.emit(bpf.LoadIndirect{Off: 14 + 6, Size: 2})
	a.jumpIf(bpf.JumpBitsSet, 0x1fff, "drop4") // a later fragment has no ports
	// The header's length, with the tags', to X: this is the last use of the tags' own.
	a.emit(bpf.LoadIndirect{Off: 14, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
		bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{})
	a.ports(14, ports, "accept4")
	a.label("drop4")
	a.emit(bpf.RetConstant{Val: 0})
	a.label("accept4")
	a.emit(bpf.RetConstant{Val: whole})
	a.label("not4")
}

func (a *assembler) ipv6(types, ports []uint32) {
	a.emit(bpf.LoadIndirect{Off: 12, Size: 2})
	a.jumpIf(bpf.JumpNotEqual, etherIPv6, "drop6")
	a.emit(bpf.LoadIndirect{Off: 14 + 6, Size: 1})
	a.jumpIf(bpf.JumpEqual, protoUDP, "udp6")
	a.jumpIf(bpf.JumpNotEqual, protoICMPv6, "drop6")
	a.emit(bpf.LoadIndirect{Off: 14 + ipv6Header, Size: 1})
	for _, kind := range types {
		a.jumpIf(bpf.JumpEqual, kind, "accept6")
	}
	a.label("drop6")
	a.emit(bpf.RetConstant{Val: 0})
	a.label("udp6")
	a.ports(14+ipv6Header, ports, "accept6")
	a.emit(bpf.RetConstant{Val: 0})
	a.label("accept6")
	a.emit(bpf.RetConstant{Val: whole})
}

// ports jumps when the source or the destination port of the UDP header at an offset from X is one
// of them.
func (a *assembler) ports(off uint32, ports []uint32, label string) {
	for side := range uint32(2) {
		a.emit(bpf.LoadIndirect{Off: off + 2*side, Size: 2})
		for _, port := range ports {
			a.jumpIf(bpf.JumpEqual, port, label)
		}
	}
}

// finish ends with a refusal and sets how far the jumps go.
func (a *assembler) finish() []bpf.Instruction {
	a.emit(bpf.RetConstant{Val: 0})
	for _, j := range a.jumps {
		i := a.code[j.from].(bpf.JumpIf)
		i.SkipTrue = uint8(a.at[j.label] - j.from - 1)
		a.code[j.from] = i
	}
	return a.code
}
