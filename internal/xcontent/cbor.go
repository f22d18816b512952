package xcontent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"latchkey/internal/fault"
)

var cborMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: maxDepth, IndefLength: cbor.IndefLengthAllowed,
		MaxArrayElements: maxValues, MaxMapPairs: maxValues,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return m
}()

// ParseCBOR reads exactly one CBOR item that a stranger sent, within the bounds of
// [ParseJSON]. Tags are refused; a byte string is its base64. The error is
// fault.Malformed; a position is line 1 and the byte offset + 1.
func ParseCBOR(data []byte) (Value, error) {
	if err := cborMode.Wellformed(data); err != nil {
		if _, ok := errors.AsType[*cbor.MaxNestedLevelError](err); ok {
			return Value{}, fault.New(fault.Malformed, "[1:1] %s", tooDeep(maxDepth))
		}
		return Value{}, fault.New(fault.Malformed, "[1:1] the body is not valid CBOR: %s", err)
	}
	p := cborParser{data: data, bounds: strangers()}
	return p.value(0)
}

// cborParser walks bytes that are known to be well-formed.
type cborParser struct {
	data   []byte
	off    int
	bounds bounds
}

func (p *cborParser) bad(off int, format string, args ...any) error {
	return fault.New(fault.Malformed, "[1:%d] the body is not valid CBOR: %s", off+1, fmt.Sprintf(format, args...))
}

const indefinite = -1

// head reads the head of an item: its major type and its argument, which is
// indefinite for an item that ends with a break.
func (p *cborParser) head() (major byte, n int) {
	b := p.data[p.off]
	p.off++
	major = b >> 5
	size := 0
	switch info := b & 31; {
	case info < 24:
		return major, int(info)
	case info == 31:
		return major, indefinite
	default:
		size = 1 << (info - 24)
	}
	for range size {
		n = n<<8 | int(p.data[p.off])
		p.off++
	}
	return major, n
}

// more reports whether a container of n items goes on after i of them.
func (p *cborParser) more(i, n int) bool {
	if n != indefinite {
		return i < n
	}
	if p.data[p.off] == 0xff {
		p.off++
		return false
	}
	return true
}

func (p *cborParser) value(depth int) (Value, error) {
	v := Value{Line: 1, Col: int32(p.off + 1)}
	switch p.data[p.off] >> 5 {
	case 4:
		v.Kind = Array
	case 5:
		v.Kind = Object
	}
	if why := p.bounds.take(v.Kind, depth); why != "" {
		return v, fault.New(fault.Malformed, "[1:%d] %s", v.Col, why)
	}
	switch v.Kind {
	case Array:
		_, n := p.head()
		for i := 0; p.more(i, n); i++ {
			e, err := p.value(depth + 1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, e)
		}
		return v, nil
	case Object:
		seen := map[string]bool{}
		_, n := p.head()
		for i := 0; p.more(i, n); i++ {
			at := p.off
			if p.data[at]>>5 != 3 {
				return v, p.bad(at, "a field name must be text")
			}
			name, err := p.scalar(Value{Col: int32(at + 1)})
			if err != nil {
				return v, err
			}
			if seen[name.Text] {
				return v, p.bad(at, "duplicate field [%s]", name.Text)
			}
			seen[name.Text] = true
			e, err := p.value(depth + 1)
			if err != nil {
				return v, err
			}
			v.Members = append(v.Members, Member{name.Text, 1, name.Col, e})
		}
		return v, nil
	default:
		return p.scalar(v)
	}
}

func (p *cborParser) scalar(v Value) (Value, error) {
	if p.data[p.off]>>5 == 6 {
		return v, p.bad(p.off, "tags are not supported")
	}
	var x any
	rest, err := cborMode.UnmarshalFirst(p.data[p.off:], &x)
	if err != nil {
		return v, p.bad(p.off, "%s", err)
	}
	start := p.off
	p.off = len(p.data) - len(rest)
	switch x := x.(type) {
	case nil:
		return v, nil
	case string:
		v.Kind, v.Text = String, x
		return v, nil
	case []byte:
		v.Kind, v.Text = String, base64.StdEncoding.EncodeToString(x)
		return v, nil
	case bool:
		v.Kind, v.Text = Bool, fmt.Sprint(x)
		return v, nil
	case uint64, int64, float64:
		b, err := json.Marshal(x)
		if err != nil {
			return v, p.bad(start, "not a finite number")
		}
		v.Kind, v.Text = Number, string(b)
		return v, nil
	default:
		return v, p.bad(start, "a value of this kind is not supported (%T)", x)
	}
}

// CBOR returns v as one CBOR item.
func (v Value) CBOR() ([]byte, error) { return v.appendCBOR(nil) }

func (v Value) appendCBOR(b []byte) ([]byte, error) {
	var err error
	switch v.Kind {
	case Object:
		b = append(b, 0xbf)
		for _, m := range v.Members {
			if b, err = cborScalar(b, valid(m.Name)); err == nil {
				b, err = m.Value.appendCBOR(b)
			}
			if err != nil {
				return nil, err
			}
		}
		return append(b, 0xff), nil
	case Array:
		b = append(b, 0x9f)
		for _, e := range v.Items {
			if b, err = e.appendCBOR(b); err != nil {
				return nil, err
			}
		}
		return append(b, 0xff), nil
	case String:
		return cborScalar(b, valid(v.Text))
	case Bool:
		return cborScalar(b, v.Text == "true")
	case Number:
		return cborScalar(b, cborNumber(v.Text))
	default:
		return cborScalar(b, nil)
	}
}

// cborNumber returns what a number literal is in CBOR: a literal that is out of
// the reach of every number there stays text.
func cborNumber(literal string) any {
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(literal, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(literal, 64); err == nil {
		return f
	}
	return literal
}

func cborScalar(b []byte, x any) ([]byte, error) {
	e, err := cbor.Marshal(x)
	return append(b, e...), err
}
