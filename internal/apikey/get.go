package apikey

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// GetRequest chooses the keys to show. Without any selector it means all.
type GetRequest struct {
	ID            string
	Name          string // exact, or a prefix if it ends with "*"
	Username      string
	Realm         string
	Owner         bool // only the caller's own
	ActiveOnly    bool // neither invalidated nor expired
	WithLimitedBy bool
	WithLastUsed  bool
}

// Info is a key as it may be shown.
type Info struct {
	Key
	Descriptors access.Descriptors // as assigned; empty: what the owner held
	Limit       access.Descriptors // what the owner held; nil unless asked for, and for cross-cluster keys
	LastUse     Use                // zero unless asked for, and for keys that were never used
}

// Get returns the keys that req chooses, oldest first (spec/api-keys.md 3).
func (s *Service) Get(ctx context.Context, by *access.Caller, req GetRequest) ([]Info, error) {
	req.ID, req.Name, req.Username, req.Realm = blank(req.ID), blank(req.Name), blank(req.Username), blank(req.Realm)
	if err := req.problems().Err(fault.Invalid); err != nil {
		return nil, err
	}
	self := by.APIKey != nil && req.ID == by.APIKey.ID && !req.WithLimitedBy
	own := self || by.APIKey == nil && (req.Owner || by.Owns(req.Username, req.Realm))
	if err := by.Authorize(access.Request{Action: actions + "get", Own: own, Self: self}); err != nil {
		return nil, err
	}
	if err := s.disabled(); err != nil {
		return nil, err
	}
	sel := selector(req.Name, req.Username, req.Realm, req.Owner, by)
	if req.ID != "" {
		sel.IDs = []string{req.ID}
	}
	var activeAt time.Time
	if req.ActiveOnly {
		activeAt = s.o.Now()
	}
	keys, err := s.store.APIKeys(ctx, sel, activeAt)
	if err != nil {
		return nil, err
	}
	infos, err := s.describe(ctx, keys, req.WithLimitedBy)
	if err == nil && req.WithLastUsed {
		err = s.addUses(ctx, infos)
	}
	return infos, err
}

func (r GetRequest) problems() fault.Problems {
	var p fault.Problems
	byUser := r.Username != "" || r.Realm != ""
	if (r.ID != "" || r.Name != "") && byUser {
		p.Add("[username] or [realm_name] must not be given together with [id] or [name]")
	}
	if r.Owner && byUser {
		p.Add("[username] or [realm_name] must not be given together with [owner]")
	}
	if r.ID != "" && r.Name != "" {
		p.Add("only one of [id] and [name] can be given")
	}
	return p
}

// describe adds the role descriptors to keys. A key that the purge took away
// meanwhile is left out; one that an update gave other sets, while the purge took
// the old ones, is read again.
func (s *Service) describe(ctx context.Context, keys []Key, withLimit bool) ([]Info, error) {
	infos := make([]Info, 0, len(keys))
	for _, k := range keys {
		info, err := s.info(ctx, k, withLimit)
		if isNotFound(err) {
			if k, err = s.store.APIKey(ctx, k.ID); err == nil {
				info, err = s.info(ctx, k, withLimit)
			}
		}
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (s *Service) info(ctx context.Context, k Key, withLimit bool) (Info, error) {
	info := Info{Key: k}
	assigned, err := s.roleSet(ctx, k.Roles)
	if err != nil {
		return info, err
	}
	info.Descriptors = assigned.descriptors
	if withLimit && k.Type == REST {
		limit, err := s.roleSet(ctx, k.LimitedBy)
		if err != nil {
			return info, err
		}
		info.Limit = limit.descriptors
	}
	return info, nil
}
