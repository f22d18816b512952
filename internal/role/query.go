package role

import (
	"cmp"
	"context"
	"slices"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/query"
)

const actionQuery = "cluster:admin/xpack/security/role/query"

// Schema is what a search of roles may ask about (spec/identity.md 3.7).
var Schema = query.Schema{
	{Name: "name"},
	{Name: "description"},
	{Name: "metadata", Type: query.Flat},
	{Name: "applications.application"},
	{Name: "applications.privileges"},
	{Name: "applications.resources"},
}

// Named is a role with its name.
type Named struct {
	Name       string
	Descriptor access.Descriptor
}

// ID implements query.Document.
func (n Named) ID() string { return n.Name }

// Cell implements query.Document.
func (n Named) Cell(field string) query.Cell {
	var all []string
	switch field {
	case "name":
		return query.Text(n.Name)
	case "description":
		if n.Descriptor.Description != "" {
			return query.Text(n.Descriptor.Description)
		}
	case "metadata":
		return query.Object(string(n.Descriptor.Metadata))
	case "applications.application":
		for _, a := range n.Descriptor.Applications {
			all = append(all, a.Application)
		}
	case "applications.privileges":
		for _, a := range n.Descriptor.Applications {
			all = append(all, a.Privileges...)
		}
	case "applications.resources":
		for _, a := range n.Descriptor.Applications {
			all = append(all, a.Resources...)
		}
	}
	return query.Texts(all)
}

// Query finds roles, the built-in ones too; without a sort they come in order of
// their names.
func (s *Service) Query(ctx context.Context, by *access.Caller, req *query.Request) (query.Found[Named], error) {
	if err := req.Problems().Err(fault.Invalid); err != nil {
		return query.Found[Named]{}, err
	}
	if err := by.Authorize(access.Request{Action: actionQuery}); err != nil {
		return query.Found[Named]{}, err
	}
	roles, err := s.all(ctx, nil)
	if err != nil {
		return query.Found[Named]{}, err
	}
	docs := make([]Named, 0, len(roles))
	for name, d := range roles {
		docs = append(docs, Named{Name: name, Descriptor: d})
	}
	slices.SortFunc(docs, func(a, b Named) int { return cmp.Compare(a.Name, b.Name) })
	return query.Run(ctx, req, Schema, docs)
}
