package latchkey

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

// Credential is who makes a call. The zero value is nobody. It does not print
// what it holds.
type Credential struct {
	// header is the Authorization header. It is behind a pointer since fmt does
	// not ask the fields of other structs how they want to be printed.
	header  *string
	client  *string // the header by which a client proves itself beside a token, if any
	kind    string
	problem string
}

// Basic is a user with a password.
func Basic(username, password string) Credential {
	if strings.Contains(username, ":") {
		return Credential{problem: "a username with a colon cannot be sent as a credential"}
	}
	return newCredential("Basic", base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
}

// EncodedKey is an API key in its encoded form, the Base64 of id:api_key.
func EncodedKey(encoded string) Credential { return newCredential("ApiKey", encoded) }

// KeyPair is an API key by its id and its secret.
func KeyPair(id, secret string) Credential {
	return EncodedKey(encodeKey(id, secret))
}

// Bearer is an access token.
func Bearer(token string) Credential { return newCredential("Bearer", token) }

// SignedToken is a token of a realm of JSON Web Tokens, with what clients have to
// say beside it; clientSecret is empty where the realm wants nothing.
func SignedToken(token, clientSecret string) Credential {
	c := newCredential("Bearer", token)
	if strings.ContainsFunc(clientSecret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Credential{problem: "the secret of the client holds control characters"}
	}
	if clientSecret != "" {
		header := sharedSecret + " " + clientSecret
		c.client = &header
	}
	return c
}

func newCredential(scheme, value string) Credential {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return Credential{problem: fmt.Sprintf("the %s credential is empty or holds blanks or control characters", scheme)}
	}
	header := scheme + " " + value
	return Credential{header: &header, kind: scheme}
}

func encodeKey(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// String tells the kind only.
func (c Credential) String() string {
	if c.kind == "" {
		return "no credential"
	}
	return c.kind + " " + redacted
}

// Format is String for every verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is String: a credential cannot be stored by accident.
func (c Credential) MarshalJSON() ([]byte, error) { return []byte(`"` + c.String() + `"`), nil }

const redacted = "[redacted]"

// hide replaces a secret, and leaves it visible that there is none.
func hide(secret *string) {
	if *secret != "" {
		*secret = redacted
	}
}

// printHidden prints v, whose secrets are replaced, as the verb asks for.
func printHidden(f fmt.State, verb rune, v any) { fmt.Fprintf(f, fmt.FormatString(f, verb), v) }
