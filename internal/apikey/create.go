package apikey

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// CreateRequest describes a key to make.
type CreateRequest struct {
	Name       string
	Expiration *time.Duration     // nil: never; part seconds are dropped, and 0 or less is expired at once
	Roles      access.Descriptors // empty: what the owner holds
	Metadata   xcontent.Value     // an object, or null for none
}

// Created is a new key. It is the only time that the secret is shown.
type Created struct {
	ID        string
	Name      string
	ExpiresAt time.Time // zero: never
	Secret    string
	Encoded   string // Base64 of id:secret, as clients send it
}

// Create makes a key that belongs to the caller. What is wrong with the request
// is reported before a missing privilege (spec/api-keys.md 0.1, 2.1).
func (s *Service) Create(ctx context.Context, by *access.Caller, req CreateRequest) (Created, error) {
	assigned, problems := req.check()
	if err := problems.Err(fault.Invalid); err != nil {
		return Created{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "create", Own: true}); err != nil {
		return Created{}, err
	}
	if err := s.disabled(); err != nil {
		return Created{}, err
	}
	return s.issueTo(ctx, &by.Subject, assigned, req)
}

// issueTo makes a key that belongs to owner, who can do no more with it than without.
func (s *Service) issueTo(ctx context.Context, owner *access.Subject, assigned RoleSet, req CreateRequest) (Created, error) {
	if owner.APIKey != nil {
		if err := derivable(req.Roles); err != nil {
			return Created{}, err
		}
		key := *owner
		key.Realm = access.APIKeyRealm
		return s.issue(ctx, &key, nothing, assigned, req)
	}
	snapshot, err := s.snapshot(ctx, owner)
	if err != nil {
		return Created{}, err
	}
	return s.issue(ctx, owner, snapshot, assigned, req)
}

// snapshot is what a user or a service account holds now.
func (s *Service) snapshot(ctx context.Context, owner *access.Subject) (RoleSet, error) {
	if owner.Service != nil {
		return owner.Service.Snapshot, nil
	}
	return s.roles.Snapshot(ctx, owner.Roles)
}

// derivable allows an API key to make keys that can do nothing (spec/api-keys.md 2.1).
func derivable(roles access.Descriptors) error {
	empty := len(roles) > 0
	for _, d := range roles {
		empty = empty && d.IsEmpty()
	}
	if !empty {
		return fault.New(fault.Argument, "an API key may only create keys without privileges: give one or more role descriptors, all of them empty")
	}
	return nil
}

// nothing is the set of a key to which nothing was assigned, and of the owner of a derived key.
var nothing = access.Descriptors{}.RoleSet()

func (s *Service) issue(ctx context.Context, owner *access.Subject, snapshot, assigned RoleSet, req CreateRequest) (Created, error) {
	if err := restrictions(req.Roles); err != nil {
		return Created{}, err
	}
	now := s.o.Now()
	c := Created{ID: secret.NewKeyID(now), Name: req.Name}
	if req.Expiration != nil {
		c.ExpiresAt = expiry(now, *req.Expiration)
	}
	c.Secret = secret.NewKeySecret(c.ID)
	c.Encoded = secret.Encoded(c.ID, c.Secret)
	k := Key{
		ID: c.ID, Type: REST, Name: c.Name, Hash: secret.HashRandom(c.Secret),
		Owner: ownerOf(owner), CreatedAt: now, ExpiresAt: c.ExpiresAt,
		Metadata: emptyObject, Roles: assigned.Digest, LimitedBy: snapshot.Digest,
	}
	if req.Metadata.Kind == xcontent.Object {
		k.Metadata = req.Metadata.JSON()
	}
	if err := s.store.InsertAPIKey(ctx, k, assigned, snapshot); err != nil {
		return Created{}, err
	}
	return c, nil
}

// expiry is when a key ends that is to live for d from now.
func expiry(now time.Time, d time.Duration) time.Time {
	return now.Add(max(d, 0).Truncate(time.Second)).Truncate(time.Millisecond)
}

func ownerOf(s *access.Subject) Owner {
	return Owner{
		Username: s.Username, Realm: s.Realm.Name, RealmType: s.Realm.Type,
		FullName: s.FullName, Email: s.Email, Metadata: object(s.Metadata),
	}
}

func object(b json.RawMessage) json.RawMessage {
	if len(b) == 0 {
		return emptyObject
	}
	return b
}

// restrictions holds the rule that a workflow-restricted descriptor stands alone (spec/api-keys.md 2.2).
func restrictions(roles access.Descriptors) error {
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		if roles[name].Restricted() && len(roles) > 1 {
			return fault.New(fault.Argument, "the role descriptor [%s] is restricted to workflows, so it must be the only one", name)
		}
	}
	return nil
}

const maxName = 256 // UTF-16 units, as the original counts

// check returns the role descriptors as they are stored, and what is wrong with
// the request.
func (r CreateRequest) check() (RoleSet, fault.Problems) {
	var p fault.Problems
	name := r.Name
	switch {
	case name == "":
		p.Add("name must not be empty")
	default:
		if len(name) > maxName && len(utf16.Encode([]rune(name))) > maxName {
			p.Add("name must not be longer than [%d] characters", maxName)
		}
		if name != strings.TrimFunc(name, func(r rune) bool { return r <= ' ' }) {
			p.Add("name must not begin or end with whitespace")
		}
		if strings.HasPrefix(name, "_") {
			p.Add("name must not begin with an underscore")
		}
	}
	reservedMetadata(r.Metadata, &p)
	assigned, problems := r.Roles.Checked()
	return assigned, append(p, problems...)
}

func reservedMetadata(metadata xcontent.Value, p *fault.Problems) {
	var reserved []string
	for _, m := range metadata.Members {
		if strings.HasPrefix(m.Name, "_") {
			reserved = append(reserved, m.Name)
		}
	}
	if len(reserved) > 0 {
		p.Add("metadata keys must not begin with an underscore: [%s]", strings.Join(reserved, ","))
	}
}
