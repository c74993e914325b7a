package bootlog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxLine bounds a line, in bytes: those of kernels have less than 1,000.
	maxLine = 512
	// maxTail bounds the lines that are kept of a boot, in bytes with a line break for each.
	maxTail = 4 << 10
	// maxLines bounds the lines of one packet.
	maxLines = 64
)

// Lines returns the lines of a packet of syslog or netconsole as people read them: without
// priority, time and host name, which the record of a boot has already, and without control
// characters. A packet of neither kind is plain text.
func Lines(packet []byte) []string { return split(body(packet)) }

// body returns the text of a packet without its header.
func body(packet []byte) string {
	text := string(packet)
	rest, ok := cutPriority(text)
	if !ok {
		return extended(text)
	}
	if v, after, ok := strings.Cut(rest, " "); ok && v == "1" {
		if msg, ok := structured(after); ok {
			return msg
		}
	}
	return traditional(rest)
}

// cutPriority removes <PRI> of syslog: one to three digits.
func cutPriority(s string) (rest string, ok bool) {
	end := strings.IndexByte(s[:min(len(s), 5)], '>')
	if end < 2 || s[0] != '<' || !digits(s[1:end]) {
		return s, false
	}
	return s[end+1:], true
}

func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// structured reads a message of RFC 5424 behind its version. The program goes before the text, as
// in RFC 3164.
func structured(s string) (string, bool) {
	fields := strings.SplitN(s, " ", 6) // time, host, program, process, kind, rest
	if len(fields) < 6 {
		return "", false
	}
	program, process := fields[2], fields[3]
	msg, ok := cutData(fields[5])
	if !ok {
		return "", false
	}
	msg = strings.TrimPrefix(strings.TrimPrefix(msg, " "), "\ufeff")
	switch {
	case program == "-":
		return msg, true
	case process == "-":
		return program + ": " + msg, true
	}
	return program + "[" + process + "]: " + msg, true
}

// cutData removes the structured data of RFC 5424 section 6.3: "-", or elements in brackets whose
// values are quoted and may hold brackets.
func cutData(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest, true
	}
	if !strings.HasPrefix(s, "[") {
		return "", false
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted && (i+1 == len(s) || s[i+1] != '['):
			return s[i+1:], true
		}
	}
	return "", false
}

// traditional reads a message of RFC 3164. Senders leave out the time, the host or both; a host has
// no colon and no bracket, which a program ends with. The BSD form of the time has 15 bytes.
func traditional(s string) string {
	const stamp = len("Jan  2 15:04:05")
	timed := false
	if len(s) > stamp && s[3] == ' ' && s[6] == ' ' && s[9] == ':' && s[12] == ':' && s[stamp] == ' ' {
		s, timed = s[stamp+1:], true
	} else if first, after, ok := strings.Cut(s, " "); ok && len(first) >= 19 && first[4] == '-' && first[10] == 'T' {
		s, timed = after, true // as rsyslog writes it
	}
	if host, after, ok := strings.Cut(s, " "); timed && ok && host != "" && !strings.ContainsAny(host, ":[") || timed && ok && strings.Count(host, ":") > 1 {
		return after // the second is an IPv6 address
	}
	return s
}

// extended removes the header of netconsole's extended format, "level,sequence,time,flags;", which
// the kernel's version may precede. The lines behind the first one, with a space before them, are
// the kernel's description of a device, and are left out.
func extended(s string) string {
	head, text, ok := strings.Cut(s, ";")
	if !ok || len(head) > 128 {
		return s
	}
	fields := strings.Split(head, ",")
	if len(fields) > 4 && strings.Contains(fields[0], ".") {
		fields = fields[1:]
	}
	if len(fields) < 4 || !digits(fields[0]) || !digits(fields[1]) || !digits(fields[2]) {
		return s
	}
	text, _, _ = strings.Cut(text, "\n ")
	return strings.TrimSuffix(text, "\n") + "\n"
}

// split returns the lines of a text without the empty ones.
func split(text string) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = clean(line); line == "" {
			continue
		}
		if lines = append(lines, line); len(lines) == maxLines {
			break
		}
	}
	return lines
}

// clean removes what a terminal would take for commands, and bounds a line.
func clean(s string) string {
	s = strings.TrimRight(s, " \t\r\x00")
	if plain(s) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s) && out.Len() < maxLine; {
		if n := escape(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\t':
			out.WriteByte(' ')
		case unicode.IsPrint(r):
			if out.Len()+utf8.RuneLen(r) > maxLine {
				return out.String()
			}
			out.WriteRune(r)
		}
		i += n
	}
	return strings.TrimRight(out.String(), " ")
}

// plain reports whether a line needs no change, as most do.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxLine
}

// escape returns the length of the control sequence that s begins with; 0 = it begins with none.
func escape(s string) int {
	if len(s) < 2 || s[0] != 0x1b || s[1] != '[' {
		return 0
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}
	}
	return len(s)
}

// Tail returns the last lines, at most 4 KiB of them, each at most 512 bytes long. The line of the
// most telling fault stays before them if it is older. lines is not changed.
func Tail(lines []string) []string {
	size, first := 0, len(lines)
	for first > 0 {
		n := min(len(lines[first-1]), maxLine) + 1
		if size+n > maxTail {
			break
		}
		size, first = size+n, first-1
	}
	var out []string
	if f := worst(lines[:first]); f != (Fault{}) && f.Outranks(worst(lines[first:])) {
		for first < len(lines) && size+len(f.Line)+1 > maxTail {
			size, first = size-min(len(lines[first]), maxLine)-1, first+1
		}
		out = append(out, f.Line)
	}
	for _, line := range lines[first:] {
		out = append(out, clean(line))
	}
	return out
}

// worst returns the most telling fault of lines, the first of its kind.
func worst(lines []string) (out Fault) {
	for _, line := range lines {
		if f, ok := FaultOf(line); ok && f.Outranks(out) {
			out = f
		}
	}
	return out
}
