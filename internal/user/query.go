package user

import (
	"context"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/query"
)

const actionQuery = "cluster:admin/xpack/security/user/query"

// Schema is what a search of users may ask about (spec/identity.md 2.8).
var Schema = query.Schema{
	{Name: "username"},
	{Name: "roles"},
	{Name: "enabled", Type: query.Boolean},
	{Name: "full_name", Unsorted: true},
	{Name: "email", Unsorted: true},
}

// ID implements query.Document.
func (u User) ID() string { return u.Username }

// Cell implements query.Document.
func (u User) Cell(field string) query.Cell {
	switch {
	case field == "username":
		return query.Text(u.Username)
	case field == "roles":
		return query.Texts(u.Roles)
	case field == "enabled":
		return query.Is(u.Enabled)
	case field == "full_name" && u.FullName != nil:
		return query.Text(*u.FullName)
	case field == "email" && u.Email != nil:
		return query.Text(*u.Email)
	}
	return query.Cell{}
}

// Query finds users of the native realm; built-in users are never found.
func (s *Service) Query(ctx context.Context, by *access.Caller, req *query.Request) (query.Found[User], error) {
	if err := req.Problems().Err(fault.Invalid); err != nil {
		return query.Found[User]{}, err
	}
	if err := by.Authorize(access.Request{Action: actionQuery}); err != nil {
		return query.Found[User]{}, err
	}
	users, err := s.natives(ctx, nil)
	if err != nil {
		return query.Found[User]{}, err
	}
	return query.Run(ctx, req, Schema, users)
}

// natives returns those of the named stored users, or all, whose names are theirs
// alone, in order of their names.
func (s *Service) natives(ctx context.Context, names []string) ([]User, error) {
	all, err := s.store.Users(ctx, names)
	users := all[:0]
	for _, u := range all {
		if !s.isReserved(u.Username) && !s.isAnonymous(u.Username) { // made while the name was ordinary
			users = append(users, u)
		}
	}
	return users, err
}

// RealmOf returns the realm that a user of ours belongs to.
func (s *Service) RealmOf(username string) access.Realm {
	if s.isReserved(username) {
		return ReservedRealm
	}
	if s.isAnonymous(username) {
		return access.AnonymousRealm
	}
	return s.native
}
