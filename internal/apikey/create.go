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

// Created is a new key, or one with a new secret. It is the only time that the secret is shown.
type Created struct {
	ID        string
	Name      string
	ExpiresAt time.Time // zero: never
	Secret    string
	Encoded   string // Base64 of id:secret, as clients send it
	// OverlapUntil is, of a rotated key, how long the secret before is good, too; zero: it is not.
	OverlapUntil time.Time
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
	k := req.key(REST, owner, s.o.Now())
	snapshot := nothing
	if owner.APIKey != nil {
		if err := derivable(req.Roles); err != nil {
			return Created{}, err
		}
		k.Owner.Realm, k.Owner.RealmType = access.APIKeyRealm.Name, access.APIKeyRealm.Type
	} else {
		var err error
		if snapshot, err = s.snapshot(ctx, owner); err != nil {
			return Created{}, err
		}
	}
	if err := restrictions(req.Roles); err != nil {
		return Created{}, err
	}
	k.Roles, k.LimitedBy = assigned.Digest, snapshot.Digest
	return s.issue(ctx, k, owner.Roles, assigned, snapshot)
}

// key is what r asks for, without role sets and what [Service.issue] adds.
func (r CreateRequest) key(typ Type, owner *access.Subject, now time.Time) Key {
	k := Key{Type: typ, Name: r.Name, Owner: ownerOf(owner), CreatedAt: now, Metadata: emptyObject}
	if r.Expiration != nil {
		k.ExpiresAt = expiry(now, *r.Expiration)
	}
	if r.Metadata.Kind == xcontent.Object {
		k.Metadata = r.Metadata.JSON()
	}
	return k
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

// issue gives k its id and a secret and stores it with the sets that it carries,
// unless a policy for owners with these roles is against it. All keys are made here.
func (s *Service) issue(ctx context.Context, k Key, roles []string, sets ...RoleSet) (Created, error) {
	if broken := s.allowed(&k, roles, whole); broken != nil {
		return Created{}, broken
	}
	k.ID = secret.NewKeyID(k.CreatedAt)
	text := secret.NewKeySecret(k.ID)
	k.Hash = secret.HashRandom(text)
	if err := s.store.InsertAPIKey(ctx, k, sets...); err != nil {
		return Created{}, err
	}
	return Created{ID: k.ID, Name: k.Name, ExpiresAt: k.ExpiresAt, Secret: text, Encoded: secret.Encoded(k.ID, text)}, nil
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
	checkName(r.Name, &p)
	reservedMetadata(r.Metadata, &p)
	assigned, problems := r.Roles.Checked()
	return assigned, append(p, problems...)
}

func checkName(name string, p *fault.Problems) {
	if name == "" {
		p.Add("name must not be empty")
	}
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
