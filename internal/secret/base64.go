package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Encoded returns an API key as clients send it: Base64 of id:secret.
func Encoded(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
}

// Decoded splits what [Encoded] returned (spec/api-keys.md 6.1); bad says why it is
// no such text.
func Decoded(encoded string) (id, secret, bad string) {
	text, bad := DecodeText(encoded)
	if bad != "" {
		return "", "", bad
	}
	id, secret, ok := strings.Cut(text, ":")
	if !ok || id == "" {
		return "", "", "the value must be the Base64 of an id, a colon and a secret"
	}
	return id, secret, ""
}

// DecodeText reads standard Base64, padded or not, of UTF-8 text; bad says what is
// wrong with it.
func DecodeText(value string) (text, bad string) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	padding := len(value) - len(strings.TrimRight(value, "="))
	at := strings.IndexAny(value, "\r\n") // which the decoder skips
	if corrupt, ok := errors.AsType[base64.CorruptInputError](err); ok && at < 0 {
		at = int(corrupt)
	}
	if at >= 0 && at < len(value) {
		return "", fmt.Sprintf("the value is not Base64: illegal character [0x%02x]", value[at])
	}
	if err != nil || padding > 0 && (len(value)%4 != 0 || padding > 2) {
		return "", "the value is not Base64: it has the wrong length"
	}
	if !utf8.Valid(raw) {
		return "", "the value is not UTF-8"
	}
	return string(raw), ""
}
