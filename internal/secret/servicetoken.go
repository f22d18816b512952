package secret

import (
	"crypto/rand"
	"encoding/base64"
)

// NewServiceSecret returns the secret of a service account token: 22 characters
// of URL-safe Base64 that carry 128 random bits (spec/identity.md 7.3).
func NewServiceSecret() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// NewServiceTokenName returns a name for a token that was given none. It cannot be guessed.
func NewServiceTokenName() string { return "token_" + NewServiceSecret() }
