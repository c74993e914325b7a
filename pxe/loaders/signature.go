package loaders

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// CA names a certificate authority: one of the constants, or the common name of another.
type CA string

// The authorities by which Microsoft signs the programs of others. Firmware trusts one of them, or
// both; the certificate of the older one ended in June 2026, which firmware does not look at.
const (
	Microsoft2011 CA = "microsoft-2011"
	Microsoft2023 CA = "microsoft-2023"
)

var known = map[string]CA{
	"Microsoft Corporation UEFI CA 2011": Microsoft2011,
	"Microsoft UEFI CA 2023":             Microsoft2023,
}

// Signature describes a signature of a program.
type Signature struct {
	Issuer  string    // common name of the authority that certified the signer
	Signer  string    // common name
	Expires time.Time // of the signer's certificate; firmware ignores it
}

// CA returns the authority of the signature.
func (s Signature) CA() CA { return cmp.Or(known[s.Issuer], CA(s.Issuer)) }

// certificates returns the signatures in the certificate table: PKCS #7, each behind a header of 8
// bytes and padded to 8.
func (h *header) certificates() (all [][]byte) {
	le := binary.LittleEndian
	const (
		head       = 8
		signedData = 2 // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	)
	table := h.data[h.certFirst : h.certFirst+h.certBytes]
	for len(table) >= head {
		size := num(table)
		if size < head || size > len(table) {
			return append(all, nil) // which is no signature
		}
		if le.Uint16(table[6:]) == signedData {
			all = append(all, table[head:size])
		}
		table = table[min(len(table), (size+7)&^7):]
	}
	return all
}

// hash returns the hash that a signature is made over: all but the checksum, the entry of the
// certificate table, and the table (Authenticode, "Calculating the PE Image Hash").
func (h *header) hash() (sum [sha256.Size]byte) {
	w := sha256.New()
	directoryEnd := h.directory + 8
	w.Write(h.data[:h.checksum])
	w.Write(h.data[h.checksum+4 : h.directory])
	w.Write(h.data[directoryEnd:max(directoryEnd, h.headers)])
	sections := slices.Clone(h.sections)
	slices.SortFunc(sections, func(a, b section) int { return cmp.Compare(a.first, b.first) })
	done := h.headers
	for _, s := range sections {
		w.Write(h.data[s.first : s.first+s.size])
		done += s.size
	}
	if end := len(h.data) - h.certBytes; end > done {
		w.Write(h.data[done:end])
	}
	return [sha256.Size]byte(w.Sum(nil))
}

// The parts of PKCS #7 (RFC 2315) and of Authenticode that are read. Further elements at the end of
// a sequence are passed over.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	signerInfo struct {
		Version int
		Issuer  struct {
			Name   asn1.RawValue
			Serial *big.Int
		}
	}
	indirectData struct {
		Data   asn1.RawValue
		Digest struct {
			Algorithm asn1.RawValue
			Digest    []byte
		}
	}
)

var errSignature = errors.New("it cannot be read; the file is damaged, or signed in a way that firmware does not know")

// parseSignature reads the first signer of a signature, and the hash that was signed.
func parseSignature(raw []byte) (s Signature, digest []byte, err error) {
	var outer, inner contentInfo
	if _, err := asn1.Unmarshal(raw, &outer); err != nil {
		return s, nil, errSignature
	}
	content, certificates, signers, err := splitSigned(outer.Content.Bytes)
	if err != nil {
		return s, nil, err
	}
	var signer signerInfo
	var indirect indirectData
	_, err1 := asn1.Unmarshal(content, &inner)
	_, err2 := asn1.Unmarshal(signers, &signer)
	_, err3 := asn1.Unmarshal(inner.Content.Bytes, &indirect)
	certs, err4 := x509.ParseCertificates(certificates)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return s, nil, errSignature
	}
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return c.SerialNumber.Cmp(signer.Issuer.Serial) == 0 })
	if i < 0 {
		return s, nil, fmt.Errorf("%w: the signer's certificate is missing", errSignature)
	}
	return Signature{Issuer: nameOf(certs[i].Issuer), Signer: nameOf(certs[i].Subject), Expires: certs[i].NotAfter}, indirect.Digest.Digest, nil
}

// splitSigned takes SignedData apart: version, digest algorithms, content, certificates [0], lists
// of revoked ones [1], and signers.
func splitSigned(raw []byte) (content, certificates, signers []byte, err error) {
	var whole asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &whole); err != nil {
		return nil, nil, nil, errSignature
	}
	rest := whole.Bytes
	for i := 0; len(rest) > 0; i++ {
		var e asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &e); err != nil {
			return nil, nil, nil, errSignature
		}
		switch {
		case i == 2:
			content = e.FullBytes
		case i > 2 && e.Class == asn1.ClassContextSpecific && e.Tag == 0:
			certificates = e.Bytes
		case i > 2 && e.Class == asn1.ClassUniversal && e.Tag == asn1.TagSet:
			signers = e.Bytes
		}
	}
	return content, certificates, signers, nil
}

// nameOf returns the common name, or the whole name of an authority that has none.
func nameOf(n pkix.Name) string { return cmp.Or(n.CommonName, n.String()) }

// vendorNames reads shim's table of certificates: the sizes and offsets of what the vendor trusts
// and what it refuses. The former is one certificate, or a list of them in the form of UEFI's db.
func vendorNames(table []byte) (names []string) {
	const head = 16
	if len(table) < head {
		return nil
	}
	size, first := num(table), num(table[8:])
	if size == 0 || first < head || first+size > len(table) {
		return nil
	}
	der := table[first : first+size]
	if c, err := x509.ParseCertificate(der); err == nil {
		return []string{nameOf(c.Subject)}
	}
	// An EFI_SIGNATURE_LIST: type (16), sizes of the list, of a further header and of an entry,
	// then entries with the owner's GUID (16) before each certificate.
	for len(der) >= 28 {
		list, extra, entry := num(der[16:]), num(der[20:]), num(der[24:])
		if list < 28 || list > len(der) || extra < 0 || entry <= 16 || 28+extra > list {
			return names
		}
		for e := der[28+extra : list]; len(e) >= entry; e = e[entry:] {
			if c, err := x509.ParseCertificate(e[16:entry]); err == nil {
				names = append(names, nameOf(c.Subject))
			}
		}
		der = der[list:]
	}
	return names
}
