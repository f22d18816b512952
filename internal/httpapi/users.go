package httpapi

import (
	"context"
	"errors"
	"strings"

	"latchkey"
	"latchkey/internal/fault"
	"latchkey/internal/profile"
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
	s.route("GET /_security/_query/user", s.queryUsers)
	s.route("POST /_security/_query/user", s.queryUsers)
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
	withUID := c.query.Bool("with_profile_uid")
	return func(ctx context.Context) (reply, error) {
		users, err := s.Users.Get(ctx, c.by, names)
		if err != nil {
			return reply{}, err
		}
		uids, err := s.profileUIDs(ctx, users, withUID)
		if err != nil {
			return reply{}, err
		}
		shown := make(latchkey.GetUsersResponse, len(users))
		for i, u := range users {
			shown[u.Username] = showUser(u, uids[i])
		}
		return found(len(names) == 0 || len(users) > 0, shown), nil
	}, nil
}

func showUser(u user.User, uid string) latchkey.User {
	return latchkey.User{
		Username: u.Username, Roles: u.Roles, FullName: u.FullName, Email: u.Email, Metadata: u.Metadata, Enabled: u.Enabled, ProfileUID: uid,
	}
}

// profileUIDs returns the uids of the users' profiles, "" for those without one,
// if they are wanted.
func (s *Server) profileUIDs(ctx context.Context, users []user.User, wanted bool) ([]string, error) {
	if !wanted {
		return make([]string, len(users)), nil
	}
	owners := make([]profile.Owner, len(users))
	for i, u := range users {
		owners[i] = profile.Owner{Username: u.Username, Realm: s.Users.RealmOf(u.Username).Name}
	}
	return s.Profiles.UIDs(ctx, owners)
}

// GET or POST /_security/_query/user
func (s *Server) queryUsers(c *call) (act, error) {
	withUID := c.query.Bool("with_profile_uid")
	req, err := c.search(user.Schema)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		found, err := s.Users.Query(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		users := make([]user.User, len(found.Page))
		for i, hit := range found.Page {
			users[i] = hit.Document
		}
		uids, err := s.profileUIDs(ctx, users, withUID)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.QueryUsersResponse{Total: found.Total, Count: len(users), Users: []latchkey.QueriedUser{}}
		for i, u := range users {
			answer.Users = append(answer.Users, latchkey.QueriedUser{User: showUser(u, uids[i]), Sort: sortValues(found.Page[i].Sort)})
		}
		return ok(answer), nil
	}, nil
}

// DELETE /_security/user/{username}
func (s *Server) deleteUser(c *call) (act, error) {
	c.query.Refresh()
	if also := c.credentials(); also != nil {
		return func(ctx context.Context) (reply, error) {
			had, done, err := s.Users.DeleteAndRevoke(ctx, c.by, c.path("username"), *also)
			return found(had, latchkey.DeleteUserResponse{Found: had, RevokedCredentials: revoked(*also, done)}), err
		}, nil
	}
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
		if !enabled {
			if also := c.credentials(); also != nil {
				return func(ctx context.Context) (reply, error) {
					done, err := s.Users.DisableAndRevoke(ctx, c.by, c.path("username"), *also)
					return ok(revoked(*also, done)), err
				}, nil
			}
		}
		return func(ctx context.Context) (reply, error) {
			return ok(latchkey.EmptyResponse{}), s.Users.SetEnabled(ctx, c.by, c.path("username"), enabled)
		}, nil
	}
}

// POST /_security/realm/{realms}/_clear_cache
func (s *Server) clearRealmCache(c *call) (act, error) {
	realms, usernames := names(c.path("realms")), c.query.List("usernames")
	return func(ctx context.Context) (reply, error) {
		err := s.Realms.ClearCache(ctx, c.by, realms, usernames)
		switch {
		case err == nil:
			return s.cleared(ctx)
		case fault.KindOf(err) == fault.NotFound:
			return s.notCleared(ctx, err)
		}
		return reply{}, err
	}, nil
}

// credentials reads what a call takes from a user besides, or nil for nothing.
func (c *call) credentials() *user.Credentials {
	also := user.Credentials{Tokens: c.query.Bool("invalidate_tokens"), APIKeys: c.query.Bool("invalidate_api_keys")}
	if also == (user.Credentials{}) {
		return nil
	}
	return &also
}

// revoked tells how many of what was asked for were taken.
func revoked(asked user.Credentials, done user.Revoked) latchkey.RevokedCredentials {
	var r latchkey.RevokedCredentials
	if asked.Tokens {
		r.Tokens = &done.Tokens
	}
	if asked.APIKeys {
		r.APIKeys = &done.APIKeys
	}
	return r
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
