package query

import (
	"context"
	"slices"
	"strings"

	"latchkey/internal/xcontent"
)

// Document is one of a few things that are searched by [Run].
type Document interface {
	ID() string
	// Cell returns what a field of the schema holds.
	Cell(field string) Cell
}

// Hit is a document that was found.
type Hit[D Document] struct {
	Document D
	Sort     []xcontent.Value // what it was sorted by; nil if the request does not sort
}

// Found is the answer to a search.
type Found[D Document] struct {
	Total int // all that match
	Page  []Hit[D]
}

// Run finds those of docs that the request asks for, by way of a [Table] of the
// fields that it reads; without a sort they keep their order. It fails as
// [Table.Search] does.
func Run[D Document](ctx context.Context, r *Request, s Schema, docs []D) (Found[D], error) {
	if err := r.Err(); err != nil {
		return Found[D]{}, err
	}
	var read Schema
	for _, name := range r.Fields() {
		if f, ok := s.find(name); ok && !slices.Contains(read, f) {
			read = append(read, f)
		}
	}
	t := NewTable(read, len(docs))
	cells := make([]Cell, len(read))
	for _, d := range docs {
		for i, f := range read {
			cells[i] = d.Cell(f.Name)
		}
		t.Add(d.ID(), 1, cells...)
	}
	result, err := t.Search(ctx, r, All{})
	if err != nil {
		return Found[D]{}, err
	}
	found := Found[D]{Total: result.Total, Page: make([]Hit[D], len(result.Hits))}
	for i, hit := range result.Hits {
		found.Page[i] = Hit[D]{docs[hit.Row], hit.Sort}
	}
	return found, nil
}

// Leaves returns the values of an object at a path below it, or of all its
// leaves for the path "". A path names members, with dots between them; arrays are
// as good as each of their elements. Null is no value.
func Leaves(object xcontent.Value, path string) []string {
	return appendLeaves(nil, object, path, path == "")
}

func appendLeaves(to []string, v xcontent.Value, path string, all bool) []string {
	switch v.Kind {
	case xcontent.Object:
		for _, m := range v.Members {
			rest, below := strings.CutPrefix(path, m.Name+".")
			switch {
			case all:
				to = appendLeaves(to, m.Value, "", true)
			case path == m.Name:
				to = appendLeaves(to, m.Value, "", false)
			case below:
				to = appendLeaves(to, m.Value, rest, false)
			}
		}
	case xcontent.Array:
		for _, item := range v.Items {
			to = appendLeaves(to, item, path, all)
		}
	case xcontent.Null:
	default:
		if path == "" {
			to = append(to, v.Text)
		}
	}
	return to
}
