package apikey

import (
	"context"
	"slices"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// InvalidateRequest chooses the keys to invalidate. A blank text counts as absent.
type InvalidateRequest struct {
	IDs      []string
	Name     string // exact, or a prefix if it ends with "*"
	Username string
	Realm    string
	Owner    bool // only the caller's own
	DryRun   bool // only tell what would become of them
}

// Invalidate ends the keys that req chooses. When it returns, this process
// refuses them: in the answer are the keys changed now, those named by id that
// were invalidated before, and the cross-cluster keys that the caller's
// privileges do not reach (spec/api-keys.md 1). A dry run is judged alike, and
// answered as if it were none.
func (s *Service) Invalidate(ctx context.Context, by *access.Caller, req InvalidateRequest) (Invalidated, error) {
	req.Name, req.Username, req.Realm = blank(req.Name), blank(req.Username), blank(req.Realm)
	if err := req.problems().Err(fault.Invalid); err != nil {
		return Invalidated{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "invalidate", Own: req.own(by)}); err != nil {
		return Invalidated{}, err
	}
	if err := s.disabled(); err != nil {
		return Invalidated{}, err
	}
	both, err := by.Permissions.HasCluster("manage_security")
	if err != nil {
		return Invalidated{}, err
	}
	sel := selector(req.Name, req.Username, req.Realm, req.Owner, by)
	sel.IDs = slices.Compact(slices.Sorted(slices.Values(req.IDs)))
	if req.DryRun {
		return s.store.PreviewInvalidation(ctx, sel, !both)
	}
	kill := func(ids []string) { s.keys.Kill(ids...) }
	done, err := s.store.InvalidateAPIKeys(ctx, sel, !both, s.o.Now().Truncate(time.Millisecond), kill)
	if err != nil {
		return Invalidated{}, s.uncertain(err)
	}
	s.invalidated.Add(uint64(len(done.IDs)))
	return done, nil
}

func blank(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return s
}

func (r InvalidateRequest) problems() fault.Problems {
	var p fault.Problems
	byID, byName, byUser := r.IDs != nil, r.Name != "", r.Username != "" || r.Realm != ""
	if !byID && !byName && !byUser && !r.Owner {
		p.Add("name what to invalidate: [ids], [name], [username] or [realm_name], or set [owner]")
	}
	if (byID || byName) && byUser {
		p.Add("[username] or [realm_name] must not be given together with [ids] or [name]")
	}
	if r.Owner && byUser {
		p.Add("[username] or [realm_name] must not be given together with [owner]")
	}
	if byID && byName {
		p.Add("only one of [ids] and [name] can be given")
	}
	return p
}

// own reports whether manage_own_api_key covers the request (spec/identity.md 4.2).
func (r InvalidateRequest) own(by *access.Caller) bool {
	if by.APIKey != nil {
		return len(r.IDs) > 0 && !slices.ContainsFunc(r.IDs, func(id string) bool { return id != by.APIKey.ID })
	}
	return r.Owner || by.Owns(r.Username, r.Realm)
}

// selector turns the texts of a request into conditions.
func selector(name, username, realm string, owner bool, by *access.Caller) Selector {
	sel := Selector{Username: username, Realm: realm}
	if owner {
		sel.Username, sel.Realm = by.Username, by.Realm.Name
	}
	sel.Name, sel.Prefix = strings.CutSuffix(name, "*")
	return sel
}
