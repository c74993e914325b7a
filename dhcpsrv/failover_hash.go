package dhcpsrv

import "time"

// patience is the time for which a client must have asked in vain before the server of the other
// buckets answers it.
const (
	patience  = 3 * time.Second
	forgetful = time.Minute // silence after which a client counts as new
	maxHeard  = 8192        // clients whose waiting is recorded; of further ones only their own secs field counts
)

// mixing is the table of RFC 3074 section 6.
var mixing = [256]byte{
	251, 175, 119, 215, 81, 14, 79, 191, 103, 49, 181, 143, 186, 157, 0, 232,
	31, 32, 55, 60, 152, 58, 17, 237, 174, 70, 160, 144, 220, 90, 57, 223,
	59, 3, 18, 140, 111, 166, 203, 196, 134, 243, 124, 95, 222, 179, 197, 65,
	180, 48, 36, 15, 107, 46, 233, 130, 165, 30, 123, 161, 209, 23, 97, 16,
	40, 91, 219, 61, 100, 10, 210, 109, 250, 127, 22, 138, 29, 108, 244, 67,
	207, 9, 178, 204, 74, 98, 126, 249, 167, 116, 34, 77, 193, 200, 121, 5,
	20, 113, 71, 35, 128, 13, 182, 94, 25, 226, 227, 199, 75, 27, 41, 245,
	230, 224, 43, 225, 177, 26, 155, 150, 212, 142, 218, 115, 241, 73, 88, 105,
	39, 114, 62, 255, 192, 201, 145, 214, 168, 158, 221, 148, 154, 122, 12, 84,
	82, 163, 44, 139, 228, 236, 205, 242, 217, 11, 187, 146, 159, 64, 86, 239,
	195, 42, 106, 198, 118, 112, 184, 172, 87, 2, 173, 117, 176, 229, 247, 253,
	137, 185, 99, 164, 102, 147, 45, 66, 231, 52, 141, 211, 194, 206, 246, 238,
	56, 110, 78, 248, 63, 240, 189, 93, 92, 51, 53, 183, 19, 171, 72, 50,
	33, 104, 101, 69, 8, 252, 83, 120, 76, 135, 85, 54, 202, 125, 188, 213,
	96, 235, 136, 208, 162, 129, 190, 132, 156, 38, 47, 1, 7, 254, 24, 4,
	216, 131, 89, 21, 28, 133, 37, 153, 149, 80, 170, 68, 6, 169, 234, 151,
}

// bucketOf returns the hash bucket of a client (RFC 3074 section 6) by its client identifier, else
// its link address, or its DUID.
func bucketOf(id []byte) byte {
	h := byte(len(id))
	for i := len(id) - 1; i >= 0; i-- {
		h = mixing[h^id[i]]
	}
	return h
}

// ownBucket reports whether this server answers the clients of a bucket. The primary has the lower
// half.
func (s *Subnet) ownBucket(bucket byte) bool { return (bucket >= 128) == s.Secondary }

// heard records since when clients of the partner's buckets have asked. Some firmware does not
// count the seconds it has waited, and a healthy partner may still not receive a client's packets.
type heard map[uint64]int64

// inVain reports whether a client has asked for long enough, by its own word or by the record. With
// note it is recorded.
func (h heard) inVain(client []byte, says time.Duration, now int64, note bool) bool {
	if says >= patience {
		return true
	}
	k := hashKey(client)
	first, known := h[k]
	if waited := now - first; known && waited < int64(forgetful) {
		return waited >= int64(patience)
	}
	if note {
		if len(h) >= maxHeard {
			clear(h)
		}
		h[k] = now
	}
	return false
}

// served records that a client got its answer.
func (h heard) served(client []byte) {
	if len(h) > 0 {
		delete(h, hashKey(client))
	}
}
