package httpapi

import (
	"encoding/json"
	"time"

	"latchkey/internal/fault"
	dsl "latchkey/internal/query"
	"latchkey/internal/xcontent"
)

// search reads a search, which may not aggregate.
func (c *call) search(s dsl.Schema) (*dsl.Request, error) {
	body, err := c.searchBody()
	if err != nil {
		return nil, err
	}
	return dsl.Parse(body, s, time.Now())
}

// searchBody reads the body of a search. It may be absent, which is null then, or
// be in the parameter source.
func (c *call) searchBody() (xcontent.Value, error) {
	if err := c.bodyFromSource(); err != nil || len(c.content) == 0 {
		return xcontent.Value{}, err
	}
	body, err := c.body()
	if err == nil && body.Kind == xcontent.Null {
		err = fault.New(fault.Malformed, "[%d:%d] a search must be an object", body.Line, body.Col)
	}
	return body, err
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
