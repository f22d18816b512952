// Package xcontent holds what a stranger wrote: a request body in JSON, YAML or
// CBOR as one kind of tree, with the position of every value, and the strict
// readers that turn a tree into fields. It leaves the meaning to its callers.
package xcontent

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the kind of a [Value].
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// token is how error sentences of the field name a kind.
func (k Kind) token() string {
	return [...]string{"VALUE_NULL", "VALUE_BOOLEAN", "VALUE_NUMBER", "VALUE_STRING", "START_ARRAY", "START_OBJECT"}[k]
}

// Value is one value of a body. Its zero value is null.
type Value struct {
	Kind    Kind
	Line    int32    // 1-based; for CBOR always 1
	Col     int32    // 1-based, in bytes
	Text    string   // of a string its content; of a number its literal, as written; of a boolean true or false
	Items   []Value  // of an array
	Members []Member // of an object, in the order written; names are unique
}

// Member is one member of an object.
type Member struct {
	Name      string
	Line, Col int32
	Value     Value
}

// Get returns the member called name.
func (v Value) Get(name string) (Value, bool) {
	for _, m := range v.Members {
		if m.Name == name {
			return m.Value, true
		}
	}
	return Value{}, false
}

// Merge returns old with the members of added: a member of both is replaced, or
// merged in turn if it is an object in both. What is no object is replaced as a whole.
func Merge(old, added Value) Value {
	if old.Kind != Object || added.Kind != Object {
		return added
	}
	merged := old
	merged.Members = slices.Clone(old.Members)
	at := make(map[string]int, len(merged.Members))
	for i, m := range merged.Members {
		at[m.Name] = i
	}
	for _, m := range added.Members {
		i, both := at[m.Name]
		if !both {
			merged.Members = append(merged.Members, m) // names of added are unique, too
			continue
		}
		merged.Members[i].Value = Merge(merged.Members[i].Value, m.Value)
	}
	return merged
}

// JSON returns v as compact JSON; member order and number literals are kept.
func (v Value) JSON() []byte { return v.AppendJSON(nil) }

// AppendJSON appends v to b as compact JSON.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.Kind {
	case Object:
		b = append(b, '{')
		for i, m := range v.Members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.Name), ':')
			b = m.Value.AppendJSON(b)
		}
		return append(b, '}')
	case Array:
		b = append(b, '[')
		for i, e := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = e.AppendJSON(b)
		}
		return append(b, ']')
	default:
		return v.appendScalar(b)
	}
}

// AppendPretty appends v to b the way ?pretty shows it: two blanks for each
// level, " : " after a name (spec/http.md 7). The caller adds the last newline.
func (v Value) AppendPretty(b []byte, level int) []byte {
	line := func(level int) { b = append(append(b, '\n'), strings.Repeat("  ", level)...) }
	switch {
	case v.Kind == Object && len(v.Members) == 0:
		return append(b, "{ }"...)
	case v.Kind == Array && len(v.Items) == 0:
		return append(b, "[ ]"...)
	case v.Kind == Object:
		b = append(b, '{')
		for i, m := range v.Members {
			if i > 0 {
				b = append(b, ',')
			}
			line(level + 1)
			b = append(appendString(b, m.Name), " : "...)
			b = m.Value.AppendPretty(b, level+1)
		}
		line(level)
		return append(b, '}')
	case v.Kind == Array:
		b = append(b, '[')
		for i, e := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			line(level + 1)
			b = e.AppendPretty(b, level+1)
		}
		line(level)
		return append(b, ']')
	default:
		return v.appendScalar(b)
	}
}

func (v Value) appendScalar(b []byte) []byte {
	switch v.Kind {
	case String:
		return appendString(b, v.Text)
	case Number, Bool:
		return append(b, v.Text...)
	default:
		return append(b, "null"...)
	}
}

func appendString(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, valid(s))
	if err != nil { // only invalid UTF-8 is refused, and there is none
		return strconv.AppendQuote(b, s)
	}
	return out
}

// valid returns s as UTF-8. What was parsed is; what we say about a path may not be.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
