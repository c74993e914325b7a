// Package secret seals what a site must not show, and hashes what it need only recognize: secrets
// of power drivers and TSIG keys, passwords, secrets of API keys.
//
//	seal, err := secret.NewSeal(key) // 32 bytes, kept outside the database
//	row := seal.Close(text, "node 7")
//	text, err := seal.Open(row, "node 7")
//
// Errors begin with "inventory: ", since their readers know no package secret.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// Seal seals with one key. A nil Seal stores text in the open, and opens only such text.
type Seal struct{ aead cipher.AEAD }

// NewSeal returns the seal of a key of 32 bytes.
func NewSeal(key []byte) (*Seal, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("the key for secrets has %d bytes, not 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &Seal{aead}, err
}

// The first byte of a sealed value names the method.
const (
	inTheOpen = 'o'
	byGCM     = 'g' // AES-256-GCM: the nonce, then the ciphertext bound to its owner
)

// Close returns text sealed for an owner, such as the ID of a machine. The owner is authenticated:
// a row that is copied to another owner does not open there.
func (s *Seal) Close(text []byte, owner string) []byte {
	if s == nil {
		return append([]byte{inTheOpen}, text...)
	}
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return s.aead.Seal(append([]byte{byGCM}, nonce...), nonce, text, []byte(owner))
}

// Open returns the text that was sealed for an owner.
func (s *Seal) Open(sealed []byte, owner string) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, errors.New("inventory: the stored secrets are empty")
	}
	how, rest := sealed[0], sealed[1:]
	switch {
	case how == inTheOpen && s == nil:
		return rest, nil
	case how == inTheOpen:
		// A writer of the database could plant an authority for racks, or the address of a BMC's
		// password: with a key, only what is sealed with it counts.
		return nil, errors.New("inventory: the stored secrets are in the open, and the site has a key; set them again, or give them up with maas rekey --lost")
	case how != byGCM:
		return nil, fmt.Errorf("inventory: the stored secrets are sealed in a way (%q) that this version does not know", how)
	case s == nil:
		return nil, errors.New("inventory: the stored secrets are sealed, and there is no key; start with the key file they were sealed with")
	}
	n := s.aead.NonceSize()
	if len(rest) < n {
		return nil, errors.New("inventory: the stored secrets are cut short")
	}
	text, err := s.aead.Open(nil, rest[:n], rest[n:], []byte(owner))
	if err != nil {
		return nil, errors.New("inventory: the stored secrets do not open with this key; start with the key file they were sealed with")
	}
	return text, nil
}
