package httpapi

import (
	"encoding/json"
	"time"

	"latchkey/internal/fault"
	dsl "latchkey/internal/query"
	"latchkey/internal/xcontent"
)

// search reads a search. Its body may be absent, or be in the parameter source.
func (c *call) search(s dsl.Schema) (*dsl.Request, error) {
	if err := c.bodyFromSource(); err != nil {
		return nil, err
	}
	var body xcontent.Value
	if len(c.content) > 0 {
		var err error
		if body, err = c.body(); err != nil {
			return nil, err
		}
		if body.Kind == xcontent.Null {
			return nil, fault.New(fault.Malformed, "[%d:%d] a search must be an object", body.Line, body.Col)
		}
	}
	return dsl.Parse(body, s, time.Now())
}

// bodyFromSource takes the parameters source and source_content_type for a body
// that is absent, as calls do that clients make with GET.
func (c *call) bodyFromSource() error {
	source, given := c.query.Lookup("source")
	typ, typed := c.query.Lookup("source_content_type")
	switch {
	case !given || len(c.content) > 0:
		return nil
	case !typed:
		return fault.New(fault.Argument, "[source] needs [source_content_type]")
	}
	m, ok := parseMediaType(typ)
	if !ok || m.format == noFormat {
		return fault.New(fault.Argument, "[source_content_type] [%s] is not supported", typ)
	}
	c.content, c.format = []byte(source), m.format
	return nil
}

// sortValues are the values that a hit was sorted by.
func sortValues(values []xcontent.Value) []json.RawMessage {
	var all []json.RawMessage
	for _, v := range values {
		all = append(all, v.JSON())
	}
	return all
}
