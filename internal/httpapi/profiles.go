package httpapi

import (
	"context"
	"slices"
	"strconv"
	"time"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/profile"
	"latchkey/internal/xcontent"
)

func (s *Server) routeProfiles() {
	s.route("POST /_security/profile/_activate", s.activateProfile)
	s.route("GET /_security/profile/{uids}", s.getProfiles)
	for _, method := range []string{"PUT", "POST"} {
		s.route(method+" /_security/profile/{uid}/_data", s.updateProfile)
		s.route(method+" /_security/profile/{uid}/_enable", s.setProfileEnabled(true))
		s.route(method+" /_security/profile/{uid}/_disable", s.setProfileEnabled(false))
	}
	for _, method := range []string{"GET", "POST"} {
		s.route(method+" /_security/profile/_suggest", s.suggestProfiles)
		s.route(method+" /_security/profile/_has_privileges", s.haveProfilesPrivileges)
	}
}

// showProfile shows what filter chooses of the data. Version says which change it
// shows, where that is part of the answer.
func showProfile(p profile.Profile, filter profile.Filter, version bool) (latchkey.Profile, error) {
	data, err := filter.Apply(p.Data)
	shown := latchkey.Profile{
		UID: p.UID, Enabled: p.Enabled, LastSynchronized: p.SyncedAt.UnixMilli(),
		User:   latchkey.ProfileUser{Username: p.Username, Roles: p.Roles, Realm: p.Realm, Email: p.Email, FullName: p.FullName},
		Labels: p.Labels, Data: data,
	}
	if version {
		shown.Doc = &latchkey.ProfileVersion{PrimaryTerm: profile.Term, SeqNo: p.Version}
	}
	return shown, err
}

func showProfiles(all []profile.Profile, filter profile.Filter, version bool) ([]latchkey.Profile, error) {
	shown := make([]latchkey.Profile, len(all))
	for i, p := range all {
		var err error
		if shown[i], err = showProfile(p, filter, version); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// unknownProfiles tells which uids are nobody's; nil if all are somebody's.
func unknownProfiles(uids []string) *latchkey.BulkErrors {
	if len(uids) == 0 {
		return nil
	}
	e := &latchkey.BulkErrors{Count: len(uids), Details: map[string]latchkey.ErrorDetails{}}
	for _, uid := range uids {
		e.Details[uid] = latchkey.ErrorDetails{Type: failures[fault.NotFound].typ, Reason: "profile [" + uid + "] not found"}
	}
	return e
}

// POST /_security/profile/_activate
func (s *Server) activateProfile(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var g profile.Grant
	err = body.Read("grant_activate_profile", xcontent.Fields{
		"grant_type": xcontent.ToString(&g.Type), "username": toPresent(&g.Username),
		"password": toPresent(&g.Password), "access_token": toPresent(&g.AccessToken),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		p, err := s.Profiles.Activate(ctx, c.by, g)
		if err != nil {
			return reply{}, err
		}
		shown, err := showProfile(p, nil, true)
		return ok(shown), err
	}, nil
}

// GET /_security/profile/{uids}
func (s *Server) getProfiles(c *call) (act, error) {
	uids, filter := names(c.path("uids")), profile.Filter(c.query.List("data"))
	return func(ctx context.Context) (reply, error) {
		found, err := s.Profiles.Get(ctx, c.by, uids)
		if err != nil {
			return reply{}, err
		}
		var unknown []string
		for _, uid := range uids {
			if !slices.ContainsFunc(found, func(p profile.Profile) bool { return p.UID == uid }) && !slices.Contains(unknown, uid) {
				unknown = append(unknown, uid)
			}
		}
		shown, err := showProfiles(found, filter, true)
		return ok(latchkey.GetProfilesResponse{Profiles: shown, Errors: unknownProfiles(unknown)}), err
	}, nil
}

// PUT or POST /_security/profile/{uid}/_data
func (s *Server) updateProfile(c *call) (act, error) {
	c.query.Refresh()
	u := profile.Update{IfVersion: c.query.count("if_seq_no"), IfTerm: c.query.count("if_primary_term")}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	err = body.Read("update_profile_data", xcontent.Fields{"labels": xcontent.ToObject(&u.Labels), "data": xcontent.ToObject(&u.Data)})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		return ok(latchkey.Acknowledged{Acknowledged: true}), s.Profiles.Update(ctx, c.by, c.path("uid"), u)
	}, nil
}

// count reads a whole number, or nil if there is none.
func (q *query) count(name string) *int {
	text, given := q.Lookup(name)
	if !given {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		q.refuse(fault.New(fault.Argument, "parameter [%s] must be a whole number, but is [%s]", name, text))
	}
	return new(int(n))
}

// PUT or POST /_security/profile/{uid}/_enable and _disable
func (s *Server) setProfileEnabled(enabled bool) endpoint {
	return func(c *call) (act, error) {
		c.query.Refresh()
		return func(ctx context.Context) (reply, error) {
			return ok(latchkey.Acknowledged{Acknowledged: true}), s.Profiles.SetEnabled(ctx, c.by, c.path("uid"), enabled)
		}, nil
	}
}

const defaultSuggestions = 10

// GET or POST /_security/profile/_suggest
func (s *Server) suggestProfiles(c *call) (act, error) {
	start := time.Now()
	inQuery, twice := c.query.Lookup("data")
	req := profile.SuggestRequest{Size: defaultSuggestions}
	data := ""
	if len(c.content) > 0 {
		body, err := c.body()
		if err != nil {
			return nil, err
		}
		err = body.Read("suggest_profiles", xcontent.Fields{
			"name": xcontent.ToString(&req.Name),
			"size": toInt(&req.Size),
			"data": xcontent.ToString(&data),
			"hint": func(v xcontent.Value) error {
				req.Hint = &profile.Hint{}
				return v.Read("hint", xcontent.Fields{"uids": toArray(&req.Hint.UIDs), "labels": toLabels(&req.Hint.Labels)})
			},
		})
		if err != nil {
			return nil, err
		}
		if _, inBody := body.Get("data"); inBody && twice {
			return nil, fault.New(fault.Argument, "[data] must be given as a parameter or in the body, but not in both")
		}
	}
	if twice {
		data = inQuery
	}
	return func(ctx context.Context) (reply, error) {
		found, err := s.Profiles.Suggest(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		shown, err := showProfiles(found.Profiles, names(data), false)
		return ok(latchkey.SuggestProfilesResponse{
			Took: time.Since(start).Milliseconds(), Total: latchkey.ProfileTotal{Value: found.Total, Relation: "eq"}, Profiles: shown,
		}), err
	}, nil
}

func toInt(to *int) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		n, err := strconv.ParseInt(v.Text, 10, 32)
		if v.Kind != xcontent.Number || err != nil {
			return v.Mismatch("a whole number")
		}
		*to = int(n)
		return nil
	}
}

// toLabels reads {key: value} or {key: [values]}.
func toLabels(to *[]profile.Label) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind != xcontent.Object {
			return v.Mismatch("an object")
		}
		*to = []profile.Label{}
		for _, m := range v.Members {
			l := profile.Label{Key: m.Name}
			if err := xcontent.ToStrings(&l.Values)(m.Value); err != nil {
				return err
			}
			*to = append(*to, l)
		}
		return nil
	}
}

// GET or POST /_security/profile/_has_privileges
func (s *Server) haveProfilesPrivileges(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var uids []string
	var check access.Check
	var inner error
	given := false
	err = body.Read("profile_has_privileges", xcontent.Fields{
		"uids": toArray(&uids),
		"privileges": func(v xcontent.Value) error {
			given = true
			check, inner = readPrivilegeCheck(v)
			return nil
		},
	})
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		var p fault.Problems
		if len(uids) == 0 {
			p.Add("profile uids are required: [uids] must not be empty")
		}
		if !given {
			p.Add("[privileges] is required")
		} else {
			p = append(p, check.Problems()...)
		}
		if err := p.Err(fault.Invalid); err != nil {
			return reply{}, err
		}
		holders, err := s.Profiles.HasPrivileges(ctx, c.by, uids, func(rights access.Permissions) (bool, error) {
			checked, err := s.checkPrivileges(ctx, rights, check)
			return checked.All, err
		})
		return ok(latchkey.ProfilesWithPrivilegesResponse{UIDs: append([]string{}, holders.Held...), Errors: unknownProfiles(holders.Unknown)}), err
	}, nil
}
