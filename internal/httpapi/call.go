package httpapi

import (
	"context"
	"net/http"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// An endpoint reads what it needs of one request: path, query parameters and
// body. It decides nothing and touches no service; that is for the act it
// returns. Between the two, the server refuses query parameters that nobody
// asked for and a body that nobody read, so that 400 comes before 403
// (spec/http.md 1, steps 11 to 15).
//
//	// DELETE /_security/api_key
//	func (s *Server) invalidateAPIKeys(c *call) (act, error) {
//		sel, err := readSelector(c)
//		if err != nil {
//			return nil, err
//		}
//		return func(ctx context.Context) (reply, error) {
//			done, err := s.keys.Invalidate(ctx, c.by, sel)
//			if err != nil {
//				return reply{}, err
//			}
//			return ok(latchkey.InvalidateAPIKeysResponse{...}), nil
//		}, nil
//	}
type endpoint func(c *call) (act, error)

// An act validates, authorizes and carries out the request that an endpoint has read.
type act func(ctx context.Context) (reply, error)

// reply is the answer of an act that did not fail.
type reply struct {
	status int // 0 means 200
	// body is marshalled as JSON, with nil slices as [] and nil maps as {}. A
	// pointer, a json.RawMessage and a type with MarshalJSON are written as
	// encoding/json would, but for &, < and >, which stay as they are.
	body any
	text []byte // in place of body: metrics as they stand
}

// ok is a reply of 200.
func ok(body any) reply { return reply{body: body} }

// found is a reply of 200 if there is something to show, else of 404 with the
// same body: what "not found" is for most of the API (spec/identity.md 0.2).
func found(some bool, body any) reply {
	if some {
		return reply{body: body}
	}
	return reply{status: http.StatusNotFound, body: body}
}

// call is one authenticated request on its way to an endpoint.
type call struct {
	by    *access.Caller
	query query
	human bool // ?human: show readable twins of times and sizes
	// java7 says that a Java client of the 7.x line asks, as its
	// X-Elastic-Client-Meta header tells.
	java7 bool

	// repeatable says that a repetition of the request makes no second thing. The
	// endpoint may know better than the route.
	repeatable bool

	route    *route
	wild     []string // what the route's wildcards matched, decoded
	content  []byte
	held     share  // of the server's memory: content and the tree of it
	format   format // of content
	bodyRead bool
	text     *textBody // in place of content, on routes that stream; nil: there is no body
}

// path returns what the wildcard {name} of the route matched, decoded: it may
// hold a slash. A name that the route does not have is a mistake of ours.
func (c *call) path(name string) string {
	for i, n := range c.route.names {
		if n == name {
			return c.wild[i]
		}
	}
	panic("httpapi: route " + c.route.pattern + " has no {" + name + "}")
}

// body returns the parsed body. An absent one is fault.Structure, bad syntax
// is fault.Malformed or fault.Truncated. It is called once: each time
// parses, and accounts for, a tree of its own.
func (c *call) body() (xcontent.Value, error) {
	c.bodyRead = true
	if len(c.content) == 0 {
		return xcontent.Value{}, fault.New(fault.Structure, "request body is required")
	}
	if err := c.held.take(treeSize(c.content, c.format)); err != nil {
		return xcontent.Value{}, err
	}
	switch c.format {
	case yamlFormat:
		return xcontent.ParseYAML(c.content)
	case cborFormat:
		return xcontent.ParseCBOR(c.content)
	default:
		return xcontent.ParseJSON(c.content)
	}
}

// leftover refuses what the endpoint did not read.
func (c *call) leftover(method, path, uri string) error {
	if err := c.query.leftover(path); err != nil {
		return err
	}
	if len(c.content) > 0 && !c.bodyRead {
		return fault.New(fault.Argument, "request [%s %s] does not support having a body", method, uri)
	}
	return nil
}
