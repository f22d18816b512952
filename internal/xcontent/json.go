package xcontent

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"latchkey/internal/fault"
)

// ParseJSON reads exactly one JSON value that a stranger sent. Duplicate
// members, bad UTF-8, trailing text, more than 100 levels and more than a million
// values are refused. The error is fault.Malformed or, for a text that ends too
// early, fault.Truncated; it starts with [line:col].
func ParseJSON(data []byte) (Value, error) { return parseJSON(data, strangers()) }

// ParseOwn is [ParseJSON] for what we wrote ourselves, such as a stored form or
// an answer. It allows 1000 levels and any number of values, so that what was
// accepted can be read back with all that stands around it.
func ParseOwn(data []byte) (Value, error) { return parseJSON(data, ours()) }

func parseJSON(data []byte, b bounds) (Value, error) {
	p := jsonParser{data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data)), bounds: b, line: 1}
	v, err := p.value(0)
	if err != nil {
		return Value{}, err
	}
	line, col := p.start()
	switch _, err := p.dec.ReadToken(); {
	case err == nil:
		return Value{}, fault.New(fault.Malformed, "[%d:%d] the body goes on after its end", line, col)
	case !errors.Is(err, io.EOF):
		return Value{}, p.syntax(err)
	}
	return v, nil
}

type jsonParser struct {
	data      []byte
	dec       *jsontext.Decoder
	bounds    bounds
	at        int // how far line and lineStart have been counted
	line      int32
	lineStart int
}

// start returns the position of the token that is read next.
func (p *jsonParser) start() (line, col int32) {
	off := int(p.dec.InputOffset())
	for off < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[off]) >= 0 {
		off++
	}
	return p.position(off)
}

func (p *jsonParser) position(off int) (line, col int32) {
	off = min(off, len(p.data))
	if off < p.lineStart { // of an error that is told late
		p.at, p.line, p.lineStart = 0, 1, 0
	}
	for ; p.at < off; p.at++ {
		if p.data[p.at] == '\n' {
			p.line, p.lineStart = p.line+1, p.at+1
		}
	}
	return p.line, int32(off - p.lineStart + 1)
}

func kindOf(k jsontext.Kind) Kind {
	switch k {
	case 't', 'f':
		return Bool
	case '"':
		return String
	case '0':
		return Number
	case '[':
		return Array
	case '{':
		return Object
	default:
		return Null
	}
}

func (p *jsonParser) value(depth int) (Value, error) {
	var v Value
	v.Line, v.Col = p.start()
	t, err := p.dec.ReadToken()
	if err != nil {
		return v, p.syntax(err)
	}
	v.Kind = kindOf(t.Kind())
	if why := p.bounds.take(v.Kind, depth); why != "" {
		return v, fault.New(fault.Malformed, "[%d:%d] %s", v.Line, v.Col, why)
	}
	switch v.Kind {
	case Null:
		return v, nil
	case Bool, String, Number:
		v.Text = t.String()
		return v, nil
	case Array:
		for p.dec.PeekKind() != ']' {
			e, err := p.value(depth + 1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, e)
		}
	default:
		for p.dec.PeekKind() != '}' {
			var m Member
			m.Line, m.Col = p.start()
			name, err := p.dec.ReadToken()
			if err != nil {
				return v, p.syntax(err)
			}
			m.Name = name.String()
			if m.Value, err = p.value(depth + 1); err != nil {
				return v, err
			}
			v.Members = append(v.Members, m)
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return v, p.syntax(err)
	}
	return v, nil
}

func (p *jsonParser) syntax(err error) error {
	off, why := len(p.data), "it ends too early"
	kind := fault.Truncated
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		off = int(s.ByteOffset)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			kind, why = fault.Malformed, strings.TrimPrefix(s.Err.Error(), "jsontext: ")
			if errors.Is(err, jsontext.ErrDuplicateName) {
				why = "duplicate field [" + s.JSONPointer.LastToken() + "]"
			}
		}
	}
	line, col := p.position(off)
	return fault.New(kind, "[%d:%d] the body is not valid JSON: %s", line, col, why)
}
