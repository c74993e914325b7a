package images

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// keyring holds the OpenPGP keys that may sign what a source sends.
type keyring struct{ keys openpgp.EntityList }

// add takes keys in, armored or binary.
func (k *keyring) add(data []byte) error {
	read := openpgp.ReadKeyRing
	if bytes.Contains(data, []byte("-----BEGIN PGP")) {
		read = openpgp.ReadArmoredKeyRing
	}
	keys, err := read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	k.keys = append(k.keys, keys...)
	return nil
}

// clearsigned returns the text that a clear-signed document signs, and the key. Nothing outside the
// signed part is returned.
func (k *keyring) clearsigned(data []byte) (text []byte, signer string, err error) {
	block, _ := clearsign.Decode(data)
	if block == nil {
		return nil, "", errors.New("is not a clear-signed document")
	}
	signature, err := io.ReadAll(block.ArmoredSignature.Body)
	if err != nil {
		return nil, "", fmt.Errorf("signature is damaged: %v", err)
	}
	signer, err = k.check(func() io.Reader { return bytes.NewReader(block.Bytes) }, signature)
	// Bytes have the line ends that were signed; the hash and the signature are over them.
	return block.Bytes, signer, err
}

// detached checks a signature of its own file, armored or binary. open is called for each signature
// in it.
func (k *keyring) detached(open func() io.Reader, signature []byte) (signer string, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(signature), []byte("-----BEGIN PGP")) {
		block, err := armor.Decode(bytes.NewReader(signature))
		if err != nil {
			return "", fmt.Errorf("signature is damaged: %v", err)
		}
		if signature, err = io.ReadAll(block.Body); err != nil {
			return "", fmt.Errorf("signature is damaged: %v", err)
		}
	}
	return k.check(open, signature)
}

// maxSignatures bounds the signatures of one document; Debian has three.
const maxSignatures = 16

// check accepts the first signature that is good. Documents carry several, by old and new keys, of
// which a keyring may have one only, and one that expired does not make the others worse.
func (k *keyring) check(open func() io.Reader, signature []byte) (signer string, err error) {
	err = errors.New("has no signature")
	packets := packet.NewReader(bytes.NewReader(signature))
	for range maxSignatures {
		p, next := packets.Next()
		if next != nil {
			break
		}
		s, ok := p.(*packet.Signature)
		if !ok {
			continue
		}
		var one bytes.Buffer
		if s.Serialize(&one) != nil {
			continue
		}
		entity, cause := openpgp.CheckDetachedSignature(k.keys, open(), &one, nil)
		if cause == nil {
			return keyName(entity), nil
		}
		err = fmt.Errorf("has no good signature by a key of its source: %v", cause)
	}
	return "", err
}

// keyName returns the fingerprint of a key and the name it has.
func keyName(e *openpgp.Entity) string {
	name := ""
	if id := e.PrimaryIdentity(); id != nil {
		name = " " + strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, id.Name)
	}
	return fmt.Sprintf("%X%s", e.PrimaryKey.Fingerprint, name)
}
