// Package secret makes, hides, digests and compares what must not be known to
// others: API key secrets, passwords and their hashes. It is the only room that
// draws random bytes or computes password hashes.
package secret

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that does not print: every verb of fmt, slog, and the JSON
// and text encoders show "[redacted]" in its place, also when it sits in an
// unexported field. The zero value is the empty secret. Two secrets are not
// comparable with == in a useful way; nobody should compare them like that.
type Secret struct {
	text *string // a pointer, since fmt prints unexported fields without asking them
}

// Of hides text.
func Of(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text. Whoever calls it answers for where the text goes.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format writes "[redacted]" for every verb; without it %d or %x would find the bytes.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }
