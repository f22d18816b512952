package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
)

// An access or refresh token is 40 characters of standard Base64, so that they
// need no padding: a mark that reads as 4 of them, 192 random bits, and a checksum
// over both (spec/tokens.md 7).
const (
	accessMark  = "lkat"
	refreshMark = "lkrt"
	markBytes   = 3
	tokenRandom = 24
	tokenBytes  = markBytes + tokenRandom + 3
	tokenLen    = tokenBytes / 3 * 4
)

// TokenHash is the SHA-256 of a token, which is all that is kept of it: what is
// random by itself needs no salt.
type TokenHash [sha256.Size]byte

// HashToken returns the hash by which a token is found.
func HashToken(token string) TokenHash { return sha256.Sum256([]byte(token)) }

// NewAccessToken returns an access token.
func NewAccessToken() string { return newToken(accessMark) }

// NewRefreshToken returns a refresh token.
func NewRefreshToken() string { return newToken(refreshMark) }

func newToken(mark string) string {
	var b [tokenBytes]byte
	_, _ = base64.StdEncoding.Decode(b[:], []byte(mark)) // a constant
	rand.Read(b[markBytes : markBytes+tokenRandom])      // never fails: it ends the program instead
	sum := tokenSum(b)
	copy(b[markBytes+tokenRandom:], sum[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

func tokenSum(b [tokenBytes]byte) [3]byte {
	sum := crc32.ChecksumIEEE(b[:markBytes+tokenRandom])
	return [3]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

// IsAccessToken reports whether text has the form of an access token made here,
// checksum included. What has not was invented or damaged, and needs no look-up.
func IsAccessToken(text string) bool { return isToken(text, accessMark) }

// IsRefreshToken is [IsAccessToken] for refresh tokens.
func IsRefreshToken(text string) bool { return isToken(text, refreshMark) }

func isToken(text, mark string) bool {
	if len(text) != tokenLen || text[:len(mark)] != mark {
		return false
	}
	var b [tokenBytes]byte
	n, err := base64.StdEncoding.Decode(b[:], []byte(text))
	return err == nil && n == tokenBytes && [3]byte(b[markBytes+tokenRandom:]) == tokenSum(b)
}

const (
	sealSalt = 32
	sealInfo = "latchkey: what follows a refresh token"
)

// Seal encrypts text for whoever holds token, a token made here: under AES-256-GCM
// with a key that HKDF-SHA256 derives from the token and a salt of its own.
// Nobody else can open it, not even with the token's hash.
func Seal(token, text string) ([]byte, error) {
	salt := make([]byte, sealSalt)
	rand.Read(salt)
	aead, err := sealer(token, salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(salt, nil, []byte(text), nil), nil
}

// Open returns what [Seal] encrypted for the holder of token.
func Open(token string, sealed []byte) (string, error) {
	if len(sealed) < sealSalt {
		return "", fmt.Errorf("a sealed text of %d bytes is too short", len(sealed))
	}
	aead, err := sealer(token, sealed[:sealSalt])
	if err != nil {
		return "", err
	}
	text, err := aead.Open(nil, nil, sealed[sealSalt:], nil)
	return string(text), err
}

func sealer(token string, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), salt, sealInfo, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
