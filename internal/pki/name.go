package pki

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// commonName is CN.
var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// attributes are those that RFC 2253 and its successors name.
var attributes = map[string]asn1.ObjectIdentifier{
	"C": {2, 5, 4, 6}, "CN": commonName, "DC": {0, 9, 2342, 19200300, 100, 1, 25}, "EMAILADDRESS": {1, 2, 840, 113549, 1, 9, 1}, "L": {2, 5, 4, 7},
	"O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "SERIALNUMBER": {2, 5, 4, 5}, "ST": {2, 5, 4, 8}, "STREET": {2, 5, 4, 9}, "UID": {0, 9, 2342, 19200300, 100, 1, 1},
}

// Attribute returns the identifier of an attribute by its name.
func Attribute(name string) (asn1.ObjectIdentifier, bool) {
	id, ok := attributes[strings.ToUpper(name)]
	return id, ok
}

// shortName is what an attribute is called in the text of a name; "" if it has
// only its number there.
func shortName(id asn1.ObjectIdentifier) string {
	for _, name := range []string{"CN", "DC", "C", "L", "O", "OU", "ST", "STREET", "UID", "SERIALNUMBER"} {
		if attributes[name].Equal(id) {
			return name
		}
	}
	return ""
}

// distinguishedName is the subject of a certificate, as it stands there: the
// most significant part first.
type distinguishedName []relativeSET

type relativeSET []attribute // encoding/asn1 knows a set by the end of its name

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

func readName(raw []byte) (distinguishedName, error) {
	var n distinguishedName
	rest, err := asn1.Unmarshal(raw, &n)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes follow the name")
	}
	return n, err
}

// text is the value, if it is one.
func (a attribute) text() (string, bool) {
	var v any
	if rest, err := asn1.Unmarshal(a.Value.FullBytes, &v); err != nil || len(rest) > 0 {
		return "", false
	}
	s, ok := v.(string)
	return s, ok && utf8.ValidString(s)
}

// value returns the value of an attribute that stands nearest to the entry
// itself: the last in the certificate. "" if there is none, or if it is no text.
func (n distinguishedName) value(id asn1.ObjectIdentifier) string {
	for _, part := range slices.Backward(n) {
		for _, a := range part {
			if a.Type.Equal(id) {
				s, _ := a.text()
				return s
			}
		}
	}
	return ""
}

// String is the name as RFC 2253 writes it.
func (n distinguishedName) String() string {
	var b strings.Builder
	for i, part := range slices.Backward(n) {
		if i < len(n)-1 {
			b.WriteByte(',')
		}
		for j, a := range part {
			if j > 0 {
				b.WriteByte('+')
			}
			if text, ok := a.text(); ok && shortName(a.Type) != "" {
				b.WriteString(shortName(a.Type) + "=" + escape(text))
			} else {
				fmt.Fprintf(&b, "%s=#%x", a.Type, a.Value.FullBytes)
			}
		}
	}
	return b.String()
}

// escape marks what would end or change a value (RFC 2253, 2.4).
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(`,+"\<>;`, r), r == '#' && i == 0, r == ' ' && (i == 0 || i == len(s)-1):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// merge returns the roles of both, sorted, each once.
func merge(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	if all = slices.Compact(all); all == nil {
		all = []string{}
	}
	return all
}
