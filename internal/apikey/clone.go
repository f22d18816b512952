package apikey

import (
	"context"
	"maps"
	"slices"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// CloneRequest describes a copy of a key whose credential the caller presents
// (spec/api-keys.md 2.7).
type CloneRequest struct {
	Encoded    string         // of the source: Base64 of id:secret
	Name       *string        // nil: that of the source
	Expiration *time.Duration // from now, as in [CreateRequest]; nil: when the source expires
	Never      bool           // no expiry at all; Expiration is nil
	Metadata   xcontent.Value // an object, or null for that of the source
}

// clonedFrom is the metadata that tells the source of a key. Clients cannot set it.
const clonedFrom = "_cloned_from"

// Clone makes a key with a secret of its own that otherwise is as another: it has
// the same owner, role descriptors and limits. A source that does not verify is
// fault.Forbidden, so that nobody takes it for the caller's own credential.
func (s *Service) Clone(ctx context.Context, by *access.Caller, req CloneRequest) (Created, error) {
	if err := req.problems().Err(fault.Invalid); err != nil {
		return Created{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "clone", Own: true}); err != nil {
		return Created{}, err
	}
	if err := s.disabled(); err != nil {
		return Created{}, err
	}
	id, text, bad := secret.Decoded(req.Encoded)
	if bad != "" {
		return Created{}, fault.New(fault.Status, "[api_key] cannot be read: %s", bad)
	}
	if err := s.mayClone(ctx, id, text); err != nil {
		return Created{}, err
	}
	source, err := s.source(ctx, id)
	if err != nil {
		return Created{}, err
	}
	k, err := req.key(source.Key, s.o.Now())
	if err != nil {
		return Created{}, err
	}
	assigned, limit := source.Descriptors.RoleSet(), source.Limit.RoleSet()
	k.Roles, k.LimitedBy = assigned.Digest, limit.Digest
	c, err := s.issue(ctx, k, slices.Collect(maps.Keys(source.Limit)), assigned, limit)
	if err != nil {
		return Created{}, err
	}
	// Who clones a stolen key without a pause must not get past its invalidation: what
	// was made of a source that is dead by now stays behind, and nobody knows its secret.
	if err := s.mayClone(ctx, id, text); fault.KindOf(err) == fault.Forbidden {
		return Created{}, err
	} else if err != nil {
		return Created{}, fault.Wrap(err, fault.Unknown, "it is not known whether the source of the clone still holds")
	}
	return c, nil
}

// maxEncoded bounds what is looked up, and said about it. Keys that were brought in
// may be longer than ours.
const maxEncoded = 8192

func (r CloneRequest) problems() (p fault.Problems) {
	switch n := len(r.Encoded); {
	case n == 0:
		p.Add("[api_key] is required: the encoded credential of the API key to clone")
	case n > maxEncoded:
		p.Add("[api_key] is [%d] characters long, but at most [%d] are allowed", n, maxEncoded)
	}
	if r.Name != nil {
		checkName(*r.Name, &p)
	}
	reservedMetadata(r.Metadata, &p)
	return p
}

// mayClone returns nil for a credential that authenticates requests.
func (s *Service) mayClone(ctx context.Context, id, text string) error {
	_, err := s.Verify(ctx, id, text)
	if fault.KindOf(err) == fault.Unauthenticated {
		return fault.New(fault.Forbidden, "the API key could not be cloned: its credential could not be authenticated").Because(err)
	}
	return err
}

// source returns what there is to copy of a key that was there a moment ago.
func (s *Service) source(ctx context.Context, id string) (info Info, err error) {
	k, err := s.store.APIKey(ctx, id)
	if err == nil {
		info, err = s.info(ctx, k, true)
	}
	if isNotFound(err) { // purged, or updated while the purge took its old role sets
		err = fault.Wrap(err, fault.Unavailable, "the API key [%s] keeps changing; repeat the request", id)
	}
	return info, err
}

// key is the copy of a source that r asks for, without role sets and what
// [Service.issue] adds.
func (r CloneRequest) key(source Key, now time.Time) (Key, error) {
	k := Key{
		Type: source.Type, Name: source.Name, Owner: source.Owner, CreatedAt: now, ExpiresAt: source.ExpiresAt,
	}
	switch {
	case r.Name != nil:
		k.Name = *r.Name
	case k.Name == "":
		return k, fault.New(fault.Argument, "the API key [%s] has no name, so [name] is required", source.ID)
	}
	switch {
	case r.Never:
		k.ExpiresAt = time.Time{}
	case r.Expiration != nil:
		k.ExpiresAt = expiry(now, *r.Expiration)
	}
	metadata := r.Metadata
	if metadata.Kind != xcontent.Object {
		var err error
		if metadata, err = xcontent.ParseOwn(source.Metadata); err != nil {
			return k, err
		}
	}
	origin := xcontent.Value{Kind: xcontent.Object, Members: []xcontent.Member{{Name: clonedFrom, Value: xcontent.Value{Kind: xcontent.String, Text: source.ID}}}}
	k.Metadata = xcontent.Merge(metadata, origin).JSON()
	return k, nil
}
