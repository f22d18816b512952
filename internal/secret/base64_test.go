package secret

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestDecoded(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		name, encoded string
		id, secret    string
		bad           string // a part of it
	}{
		{"as it was encoded", Encoded("id", "sé:c"), "id", "sé:c", ""},
		{"without padding", strings.TrimRight(b64("i:s1"), "="), "i", "s1", ""},
		{"an empty secret", b64("i:"), "i", "", ""},
		{"too much padding", b64("i:s1") + "====", "", "", "wrong length"},
		{"cut off", b64("i:s1")[:5], "", "", "not Base64"},
		{"the URL-safe alphabet", "ab-_", "", "", "[0x2d]"},
		{"a blank", "aTpz ", "", "", "[0x20]"},
		{"a line break", "aTpz\nMTIz", "", "", "[0x0a]"},
		{"a line break at the end", "aTpz\r\n", "", "", "[0x0d]"},
		{"no colon", b64("i"), "", "", "a colon"},
		{"no id", b64(":s"), "", "", "an id"},
		{"nothing", "", "", "", "a colon"},
		{"no UTF-8", b64("\xff:s"), "", "", "UTF-8"},
	}
	for _, tt := range tests {
		id, secret, bad := Decoded(tt.encoded)
		if id != tt.id || secret != tt.secret || (bad == "") != (tt.bad == "") || !strings.Contains(bad, tt.bad) {
			t.Errorf("%s: Decoded(%q) = %q, %q, %q; want %q, %q, %q", tt.name, tt.encoded, id, secret, bad, tt.id, tt.secret, tt.bad)
		}
	}
}
