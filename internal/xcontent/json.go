package xcontent

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"latchkey/internal/fault"
)

// maxDepth bounds how deep a body may nest.
const maxDepth = 1000

// ParseJSON reads exactly one JSON value. Duplicate members, bad UTF-8 and
// trailing text are refused. The error is fault.Malformed or, for a text that
// ends too early, fault.Truncated; it starts with [line:col].
func ParseJSON(data []byte) (Value, error) {
	p := jsonParser{data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data)), line: 1}
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
	at        int // how far line and lineStart have been counted
	line      int
	lineStart int
}

// start returns the position of the token that is read next.
func (p *jsonParser) start() (line, col int) {
	off := int(p.dec.InputOffset())
	for off < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[off]) >= 0 {
		off++
	}
	return p.position(off)
}

func (p *jsonParser) position(off int) (line, col int) {
	off = min(off, len(p.data))
	for ; p.at < off; p.at++ {
		if p.data[p.at] == '\n' {
			p.line, p.lineStart = p.line+1, p.at+1
		}
	}
	return p.line, off - p.lineStart + 1
}

func (p *jsonParser) value(depth int) (Value, error) {
	var v Value
	v.Line, v.Col = p.start()
	if depth > maxDepth {
		return v, fault.New(fault.Malformed, "[%d:%d] the body nests deeper than %d levels", v.Line, v.Col, maxDepth)
	}
	t, err := p.dec.ReadToken()
	if err != nil {
		return v, p.syntax(err)
	}
	switch t.Kind() {
	case 'n':
		return v, nil
	case 't', 'f':
		v.Kind, v.Text = Bool, t.String()
		return v, nil
	case '"':
		v.Kind, v.Text = String, t.String()
		return v, nil
	case '0':
		v.Kind, v.Text = Number, t.String()
		return v, nil
	case '[':
		v.Kind = Array
		for p.dec.PeekKind() != ']' {
			e, err := p.value(depth + 1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, e)
		}
	default:
		v.Kind = Object
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
