package rmcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// Payload types (IPMI 2.0 table 13-16).
const (
	payloadIPMI         = 0x00
	payloadSOL          = 0x01
	payloadOpenRequest  = 0x10
	payloadOpenResponse = 0x11
	payloadRAKP1        = 0x12
	payloadRAKP2        = 0x13
	payloadRAKP3        = 0x14
	payloadRAKP4        = 0x15

	flagEncrypted     = 0x80
	flagAuthenticated = 0x40
)

// rmcpHeader is version 6, no acknowledgement, class IPMI (section 13.1.3).
var rmcpHeader = []byte{0x06, 0x00, 0xff, 0x07}

const (
	authRMCPPlus = 0x06
	headerLen    = 4 + 12 // RMCP and session headers
	nextHeader   = 0x07
)

// appendPlain appends a packet outside a session.
func appendPlain(b []byte, payloadType byte, payload []byte) []byte {
	b = append(b, rmcpHeader...)
	b = append(b, authRMCPPlus, payloadType, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

// keys authenticate and encrypt the packets of a session.
type keys struct {
	suite suite
	k1    []byte       // integrity
	aes   cipher.Block // confidentiality
}

func newKeys(s suite, sik []byte) (keys, error) {
	constant := func(c byte) []byte {
		b := make([]byte, 20) // section 13.32, for every hash
		for i := range b {
			b[i] = c
		}
		return b
	}
	block, err := aes.NewCipher(s.mac(sik, constant(2))[:16])
	return keys{s, s.mac(sik, constant(1)), block}, err
}

// appendSealed appends a packet of a session (section 13.6, tables 13-8 and 13-20).
func (k keys) appendSealed(b []byte, payloadType byte, session, seq uint32, message []byte) []byte {
	start := len(b) + 4
	b = append(b, rmcpHeader...)
	b = append(b, authRMCPPlus, payloadType|flagEncrypted|flagAuthenticated)
	b = binary.LittleEndian.AppendUint32(b, session)
	b = binary.LittleEndian.AppendUint32(b, seq)
	pad := (aes.BlockSize - (len(message)+1)%aes.BlockSize) % aes.BlockSize
	b = binary.LittleEndian.AppendUint16(b, uint16(aes.BlockSize+len(message)+pad+1))
	iv := len(b)
	b = append(b, make([]byte, aes.BlockSize)...)
	_, _ = rand.Read(b[iv:]) // never fails
	b = append(b, message...)
	for i := range pad {
		b = append(b, byte(i+1))
	}
	b = append(b, byte(pad))
	cipher.NewCBCEncrypter(k.aes, b[iv:iv+aes.BlockSize]).CryptBlocks(b[iv+aes.BlockSize:], b[iv+aes.BlockSize:])
	pad = (4 - (len(b)-start+2)%4) % 4
	for range pad {
		b = append(b, 0xff)
	}
	b = append(b, byte(pad), nextHeader)
	return append(b, k.suite.mac(k.k1, b[start:])[:k.suite.trailer]...)
}

// open checks a packet of a session with a type of payload and returns the message in it. It
// changes packet.
func (k keys) open(packet []byte, want byte, session uint32) ([]byte, error) {
	payloadType, id, payload, err := split(packet)
	if err != nil || payloadType != want|flagEncrypted|flagAuthenticated || id != session {
		return nil, errForeign
	}
	end := len(packet) - k.suite.trailer
	if end < headerLen+len(payload)+2 {
		return nil, errForeign
	}
	if !hmac.Equal(k.suite.mac(k.k1, packet[4:end])[:k.suite.trailer], packet[end:]) {
		return nil, errForeign
	}
	if len(payload) < 2*aes.BlockSize || len(payload)%aes.BlockSize != 0 {
		return nil, errForeign
	}
	iv, text := payload[:aes.BlockSize], payload[aes.BlockSize:]
	cipher.NewCBCDecrypter(k.aes, iv).CryptBlocks(text, text)
	pad := int(text[len(text)-1]) + 1
	if pad > len(text) {
		return nil, errForeign
	}
	return text[:len(text)-pad], nil
}

// split takes the headers off.
func split(packet []byte) (payloadType byte, session uint32, payload []byte, err error) {
	if len(packet) < headerLen || packet[0] != rmcpHeader[0] || packet[3] != rmcpHeader[3] || packet[4] != authRMCPPlus {
		return 0, 0, nil, errors.New("not RMCP+")
	}
	n := int(binary.LittleEndian.Uint16(packet[14:]))
	if len(packet) < headerLen+n {
		return 0, 0, nil, errors.New("cut short")
	}
	return packet[5], binary.LittleEndian.Uint32(packet[6:]), packet[headerLen : headerLen+n], nil
}

// Addresses of the two ends (section 5.5).
const (
	bmcAddress     = 0x20
	consoleAddress = 0x81
)

// appendRequest appends an IPMI message (section 13.8).
func appendRequest(b []byte, netFn, seq, command byte, data []byte) []byte {
	start := len(b)
	b = append(b, bmcAddress, netFn<<2)
	b = append(b, checksum(b[start:]))
	second := len(b)
	b = append(b, consoleAddress, seq<<2, command)
	b = append(b, data...)
	return append(b, checksum(b[second:]))
}

// response takes an IPMI message apart; its data begins with the completion code.
func response(m []byte) (netFn, seq, command byte, data []byte, err error) {
	if len(m) < 8 || m[2] != checksum(m[:2]) || m[len(m)-1] != checksum(m[3:len(m)-1]) {
		return 0, 0, 0, nil, errForeign
	}
	return m[1] >> 2, m[4] >> 2, m[5], m[6 : len(m)-1], nil
}

// checksum makes the octets add up to zero.
func checksum(b []byte) byte {
	var sum byte
	for _, x := range b {
		sum += x
	}
	return -sum
}
