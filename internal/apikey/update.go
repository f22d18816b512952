package apikey

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// UpdateRequest says what to change of a key. What is not given stays as it is.
type UpdateRequest struct {
	Expiration *time.Duration     // from now, more than 0; part seconds are dropped
	Roles      access.Descriptors // nil: keep; empty: what the owner holds
	Metadata   xcontent.Value     // an object in place of the old one, or null: keep
}

// Updated tells what an update of many keys did. Each id is in one of the lists,
// once, in the order of the request.
type Updated struct {
	Changed []string
	Same    []string // there was nothing to change
	Failed  []Failure
}

// Failure is why one key was not updated.
type Failure struct {
	ID  string
	Err *fault.Error
}

// Update changes one key of the caller and renews what it keeps of its owner
// (spec/api-keys.md 2.4). It reports whether that made a difference. When it
// returns, this process goes by the new state. A key that is somebody else's is
// fault.NotFound, as one that does not exist, whatever the caller's privileges.
func (s *Service) Update(ctx context.Context, by *access.Caller, id string, req UpdateRequest) (changed bool, err error) {
	assigned, problems := req.check()
	if err := problems.Err(fault.Invalid); err != nil {
		return false, err
	}
	done, err := s.update(ctx, by, "update", []string{id}, assigned, req)
	return done.one(err)
}

// one is the outcome of an update of one key.
func (u Updated) one(err error) (changed bool, _ error) {
	if err != nil {
		return false, err
	}
	if len(u.Failed) > 0 {
		return false, u.Failed[0].Err
	}
	return len(u.Changed) > 0, nil
}

// maxUpdates bounds how long one request holds up other writes, and its answer.
const maxUpdates = 10_000

// UpdateAll is [Service.Update] of many keys in one change. A key that cannot be
// updated keeps no other from it (spec/api-keys.md 2.5).
func (s *Service) UpdateAll(ctx context.Context, by *access.Caller, ids []string, req UpdateRequest) (Updated, error) {
	assigned, problems := req.check()
	switch n := len(ids); {
	case n == 0:
		problems.Add("[ids] must not be empty")
	case n > maxUpdates:
		problems.Add("[ids] holds %d ids, but at most %d are allowed", n, maxUpdates)
	}
	if err := problems.Err(fault.Invalid); err != nil {
		return Updated{}, err
	}
	return s.update(ctx, by, "bulk_update", ids, assigned, req)
}

func (s *Service) update(ctx context.Context, by *access.Caller, action string, ids []string, assigned RoleSet, req UpdateRequest) (Updated, error) {
	if err := s.mayUpdate(by, actions+action); err != nil {
		return Updated{}, err
	}
	if err := restrictions(req.Roles); err != nil {
		return Updated{}, err
	}
	snapshot, err := s.snapshot(ctx, &by.Subject)
	if err != nil {
		return Updated{}, err
	}
	sets := []RoleSet{snapshot}
	if req.Roles != nil {
		sets = append(sets, assigned)
	}
	owner := ownerOf(&by.Subject)
	return s.change(ctx, by, ids, sets, func(k *Key, now time.Time) (bool, *fault.Error) {
		if err := unchangeable(k, REST, now); err != nil {
			return false, err
		}
		changed := req.apply(k, now, owner, assigned.Digest, snapshot.Digest)
		return changed, s.allowed(k, by.Roles, req.part())
	})
}

// mayUpdate returns why the caller may change no key by the given action, or nil.
func (s *Service) mayUpdate(by *access.Caller, action string) error {
	if err := by.Authorize(access.Request{Action: action}); err != nil {
		return err
	}
	if err := s.disabled(); err != nil {
		return err
	}
	if by.APIKey != nil {
		return fault.New(fault.Argument, "an API key may not update API keys: use the credential of their owner")
	}
	return nil
}

// change has judge look at each of these keys that is the caller's own, and writes
// those that it has changed, in one act. Judge returns whether a key differs now, or
// why it stays as it is.
func (s *Service) change(ctx context.Context, by *access.Caller, ids []string, sets []RoleSet, judge func(k *Key, now time.Time) (bool, *fault.Error)) (Updated, error) {
	var now time.Time
	verdicts := make(map[string]verdict, len(ids))
	write := func(k *Key) bool {
		if now.IsZero() {
			now = s.o.Now() // not earlier: the request may have waited for its turn
		}
		changed, err := judge(k, now)
		verdicts[k.ID] = verdict{changed, err}
		return changed && err == nil
	}
	sel := Selector{IDs: slices.Compact(slices.Sorted(slices.Values(ids))), Username: by.Username, Realm: by.Realm.Name}
	kill := func(ids []string) { s.keys.Kill(ids...) }
	if err := s.store.UpdateAPIKeys(ctx, sel, sets, write, kill); err != nil {
		return Updated{}, s.uncertain(err)
	}
	var done Updated
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		switch v, found := verdicts[id]; {
		case !found:
			done.Failed = append(done.Failed, Failure{id, fault.New(fault.NotFound, "the caller owns no API key with the id [%s]", id)})
		case v.err != nil:
			done.Failed = append(done.Failed, Failure{id, v.err})
		case v.changed:
			done.Changed = append(done.Changed, id)
		default:
			done.Same = append(done.Same, id)
		}
	}
	return done, nil
}

type verdict struct {
	changed bool
	err     *fault.Error
}

// check returns the role descriptors as they are stored, and what is wrong with
// the request.
func (r UpdateRequest) check() (RoleSet, fault.Problems) {
	var p fault.Problems
	reservedMetadata(r.Metadata, &p)
	if r.Expiration != nil && *r.Expiration <= 0 {
		p.Add("expiration must be more than 0")
	}
	assigned, problems := r.Roles.Checked()
	return assigned, append(p, problems...)
}

// part is what the request gives of a key.
func (r UpdateRequest) part() part {
	return part{expiry: r.Expiration != nil, metadata: r.Metadata.Kind == xcontent.Object}
}

// unchangeable returns why a key of the caller cannot be changed by a call for keys
// of the given type, or nil.
func unchangeable(k *Key, typ Type, now time.Time) *fault.Error {
	switch {
	case !k.InvalidatedAt.IsZero():
		return fault.New(fault.Argument, "the API key [%s] has been invalidated, so it cannot be updated", k.ID)
	case !k.ExpiresAt.IsZero() && now.After(k.ExpiresAt):
		return fault.New(fault.Argument, "the API key [%s] has expired, so it cannot be updated", k.ID)
	case k.Name == "":
		return fault.New(fault.Argument, "the API key [%s] has no name, so it cannot be updated", k.ID)
	case k.Type != typ:
		return fault.New(fault.Argument, "the API key [%s] is of type [%s], but only those of type [%s] can be updated here", k.ID, k.Type, typ)
	}
	return nil
}

// apply makes of k what the request wants and reports whether that is a change.
// Any expiration counts as one.
func (r UpdateRequest) apply(k *Key, now time.Time, owner Owner, assigned, snapshot Digest) (changed bool) {
	if r.Expiration != nil {
		k.ExpiresAt, changed = expiry(now, *r.Expiration), true
	}
	if r.Roles != nil && k.Roles != assigned {
		k.Roles, changed = assigned, true
	}
	if k.LimitedBy != snapshot {
		k.LimitedBy, changed = snapshot, true
	}
	if r.Metadata.Kind == xcontent.Object {
		if b := r.Metadata.JSON(); !sameJSON(k.Metadata, b) {
			k.Metadata, changed = b, true
		}
	}
	if !k.Owner.same(owner) {
		k.Owner, changed = owner, true
	}
	return changed
}

func (o Owner) same(p Owner) bool {
	sameText := func(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
	return o.Username == p.Username && o.Realm == p.Realm && o.RealmType == p.RealmType &&
		sameText(o.FullName, p.FullName) && sameText(o.Email, p.Email) && sameJSON(o.Metadata, p.Metadata)
}

// sameJSON reports whether two compact texts differ in nothing but the order of
// members.
func sameJSON(a, b []byte) bool {
	if len(a) != len(b) || bytes.Equal(a, b) {
		return len(a) == len(b)
	}
	v, err := xcontent.ParseOwn(a)
	if err != nil {
		return false
	}
	w, err := xcontent.ParseOwn(b)
	if err != nil {
		return false
	}
	sortMembers(v)
	sortMembers(w)
	return bytes.Equal(v.JSON(), w.JSON())
}

func sortMembers(v xcontent.Value) {
	slices.SortStableFunc(v.Members, func(a, b xcontent.Member) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range v.Members {
		sortMembers(m.Value)
	}
	for _, item := range v.Items {
		sortMembers(item)
	}
}
