package httpapi

import (
	"context"
	"errors"
	"strings"

	"latchkey"
	"latchkey/internal/fault"
	"latchkey/internal/user"
	"latchkey/internal/xcontent"
)

func (s *Server) routeUsers() {
	for _, method := range []string{"PUT", "POST"} {
		s.route(method+" /_security/user/{username}", s.putUser)
		s.route(method+" /_security/user/_password", s.changeOwnPassword)
		s.route(method+" /_security/user/{username}/_password", s.changePassword)
		s.route(method+" /_security/user/{username}/_enable", s.setUserEnabled(true))
		s.route(method+" /_security/user/{username}/_disable", s.setUserEnabled(false))
	}
	s.route("GET /_security/user", s.getUsers)
	s.route("GET /_security/user/{usernames}", s.getNamedUsers)
	s.route("DELETE /_security/user/{username}", s.deleteUser)
	s.route("POST /_security/realm/{realms}/_clear_cache", s.clearRealmCache)
}

// PUT or POST /_security/user/{username}
func (s *Server) putUser(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	d := user.Draft{Username: c.path("username"), Enabled: true}
	var named, password, hash *string
	err = readStructure(body, "user", xcontent.Fields{
		"username":      toText(&named),
		"password":      toText(&password),
		"password_hash": toText(&hash),
		"roles":         toNames(&d.Roles),
		"full_name":     xcontent.ToOptional(&d.FullName),
		"email":         xcontent.ToOptional(&d.Email),
		"metadata":      xcontent.ToObject(&d.Metadata),
		"enabled": func(v xcontent.Value) error {
			if v.Kind != xcontent.Bool {
				return v.Mismatch("a boolean")
			}
			return xcontent.ToBool(&d.Enabled)(v)
		},
	})
	if err != nil {
		return nil, err
	}
	if d.Password, err = user.NewPassword(password, hash); err != nil {
		return nil, err
	}
	if named != nil && *named != d.Username {
		return nil, fault.New(fault.Argument, "the [username] of the body is [%s], but the path names the user [%s]", *named, d.Username)
	}
	return func(ctx context.Context) (reply, error) {
		created, err := s.Users.Put(ctx, c.by, d)
		return ok(latchkey.CreatedResponse{Created: created}), err
	}, nil
}

// GET /_security/user
func (s *Server) getUsers(c *call) (act, error) { return s.showUsers(c, nil) }

// GET /_security/user/{usernames}
func (s *Server) getNamedUsers(c *call) (act, error) {
	return s.showUsers(c, names(c.path("usernames")))
}

func (s *Server) showUsers(c *call, names []string) (act, error) {
	c.query.Bool("with_profile_uid") // nobody has a profile yet, so there is nothing to add
	return func(ctx context.Context) (reply, error) {
		users, err := s.Users.Get(ctx, c.by, names)
		if err != nil {
			return reply{}, err
		}
		shown := make(latchkey.GetUsersResponse, len(users))
		for _, u := range users {
			shown[u.Username] = latchkey.User{
				Username: u.Username, Roles: u.Roles, FullName: u.FullName, Email: u.Email, Metadata: u.Metadata, Enabled: u.Enabled,
			}
		}
		return found(len(names) == 0 || len(users) > 0, shown), nil
	}, nil
}

// DELETE /_security/user/{username}
func (s *Server) deleteUser(c *call) (act, error) {
	c.query.Refresh()
	return func(ctx context.Context) (reply, error) {
		had, err := s.Users.Delete(ctx, c.by, c.path("username"))
		return found(had, latchkey.FoundResponse{Found: had}), err
	}, nil
}

// PUT or POST /_security/user/_password
func (s *Server) changeOwnPassword(c *call) (act, error) { return s.readNewPassword(c, "") }

// PUT or POST /_security/user/{username}/_password
func (s *Server) changePassword(c *call) (act, error) {
	return s.readNewPassword(c, c.path("username"))
}

// readNewPassword is for the named user, or for whoever makes the request.
func (s *Server) readNewPassword(c *call, username string) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var plain, hash *string
	err = readStructure(body, "change_password", xcontent.Fields{"password": toText(&plain), "password_hash": toText(&hash)})
	if err != nil {
		return nil, err
	}
	password, err := user.NewPassword(plain, hash)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		return ok(latchkey.EmptyResponse{}), s.Users.ChangePassword(ctx, c.by, username, password)
	}, nil
}

// PUT or POST /_security/user/{username}/_enable and _disable
func (s *Server) setUserEnabled(enabled bool) endpoint {
	return func(c *call) (act, error) {
		c.query.Refresh()
		return func(ctx context.Context) (reply, error) {
			return ok(latchkey.EmptyResponse{}), s.Users.SetEnabled(ctx, c.by, c.path("username"), enabled)
		}, nil
	}
}

// POST /_security/realm/{realms}/_clear_cache
func (s *Server) clearRealmCache(c *call) (act, error) {
	realms, usernames := names(c.path("realms")), c.query.List("usernames")
	return func(ctx context.Context) (reply, error) {
		switch err := s.Users.ClearCache(ctx, c.by, realms, usernames); fault.KindOf(err) {
		case fault.NotFound:
			return s.notCleared(err), nil
		default:
			return s.cleared(), err
		}
	}, nil
}

// names splits a list of names in a path; empty parts count as absent.
func names(list string) []string {
	parts := []string{}
	for name := range strings.SplitSeq(list, ",") {
		if name != "" {
			parts = append(parts, name)
		}
	}
	return parts
}

// readStructure is [xcontent.Value.Read] for the bodies of users, roles and
// privilege checks, where what does not fit is fault.Structure (spec/identity.md 0.1).
func readStructure(v xcontent.Value, parser string, fields xcontent.Fields) error {
	err := v.Read(parser, fields)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Malformed {
		structure := *f
		structure.Kind = fault.Structure
		return &structure
	}
	return err
}

// toText reads a string into a new *p, which stays nil where the field is absent.
func toText(p **string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		s, err := v.AsString()
		*p = &s
		return err
	}
}

// toNames reads an array of strings or one string with commas.
func toNames(p *[]string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind == xcontent.String {
			*p = names(v.Text)
			return nil
		}
		return xcontent.ToStrings(p)(v)
	}
}
