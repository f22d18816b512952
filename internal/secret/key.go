package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"time"
)

// NewKeyID returns an id for an API key: 20 characters of URL-safe Base64 over
// 15 bytes that begin with the time, so that neighbours in time are neighbours
// in an index.
func NewKeyID(now time.Time) string {
	var b [15]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	rand.Read(b[6:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// An API key's secret is keyMark, 22 characters that carry 128 random bits, and
// 6 characters of checksum over the id and those 22 (spec/api-keys.md, top).
const (
	keyMark      = "lk_"
	keyRandom    = 22
	keyChecksum  = 6
	keySecretLen = len(keyMark) + keyRandom + keyChecksum
)

// NewKeySecret returns a secret for the API key with the given id.
func NewKeySecret(id string) string {
	var b [16]byte
	rand.Read(b[:])
	random := base64.RawURLEncoding.EncodeToString(b[:])
	return keyMark + random + keySum(id, random)
}

func keySum(id, random string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.Update(crc32.ChecksumIEEE([]byte(id)), crc32.IEEETable, []byte(random)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// DamagedKey reports whether secret has the form of an API key's secret made
// here, but not the checksum: it was invented or damaged, and needs no look-up.
func DamagedKey(id, secret string) bool {
	if len(secret) != keySecretLen || !strings.HasPrefix(secret, keyMark) {
		return false
	}
	random := secret[len(keyMark) : len(keyMark)+keyRandom]
	return secret[len(keyMark)+keyRandom:] != keySum(id, random)
}

// saltLen is the length in bytes of a salt of the {SSHA256} form, which is 12
// characters of Base64.
const saltLen = 8

// HashRandom returns the stored form {SSHA256} of a secret that is random by
// itself. A password needs a [Hasher] instead: one that is slow to guess.
func HashRandom(secret string) string {
	var salt [saltLen]byte
	rand.Read(salt[:])
	sum := saltedSum(salt, secret)
	return ssha256Prefix + base64.StdEncoding.EncodeToString(salt[:]) + base64.StdEncoding.EncodeToString(sum[:])
}

// Digest is a salted SHA-256 that can be compared at once.
type Digest struct {
	salt [saltLen]byte
	sum  [sha256.Size]byte
}

// NewDigest returns the digest of a secret under a salt of its own, to recognise the secret in memory.
func NewDigest(secret string) Digest {
	var d Digest
	rand.Read(d.salt[:])
	d.sum = saltedSum(d.salt, secret)
	return d
}

// ParseDigest reads a stored form {SSHA256}; ok is false if it is of another one.
func ParseDigest(stored string) (d Digest, ok bool) {
	text, ok := strings.CutPrefix(stored, ssha256Prefix)
	saltText := base64.StdEncoding.EncodedLen(saltLen)
	if !ok || len(text) <= saltText {
		return d, false
	}
	salt, err := base64.StdEncoding.DecodeString(text[:saltText])
	if err != nil || copy(d.salt[:], salt) != saltLen {
		return d, false
	}
	sum, err := base64.StdEncoding.DecodeString(text[saltText:])
	return d, err == nil && copy(d.sum[:], sum) == sha256.Size && len(sum) == sha256.Size
}

// Matches reports in constant time whether d is the digest of secret.
func (d Digest) Matches(secret string) bool {
	sum := saltedSum(d.salt, secret)
	return subtle.ConstantTimeCompare(sum[:], d.sum[:]) == 1
}

func saltedSum(salt [saltLen]byte, secret string) [sha256.Size]byte {
	b := make([]byte, 0, 192) // as long as headers with credentials of our own, and not on the heap
	b = append(b, secret...)
	return sha256.Sum256(append(b, salt[:]...))
}
