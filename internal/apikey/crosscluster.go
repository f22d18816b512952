package apikey

import (
	"context"
	"regexp"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// CrossClusterRequest describes a cross-cluster key to make.
type CrossClusterRequest struct {
	Name                string
	Expiration          *time.Duration // as in [CreateRequest]
	Access              access.CrossClusterAccess
	Metadata            xcontent.Value // an object, or null for none
	CertificateIdentity string         // "": any
}

const crossActions = "cluster:admin/xpack/security/cross_cluster/api_key/"

// CreateCrossCluster makes a key that belongs to the caller, with which another
// cluster has the given access (spec/api-keys.md 2.6). What the caller may do
// does not limit it, so that takes manage_security.
func (s *Service) CreateCrossCluster(ctx context.Context, by *access.Caller, req CrossClusterRequest) (Created, error) {
	of := CreateRequest{Name: req.Name, Expiration: req.Expiration, Roles: req.Access.Descriptors(), Metadata: req.Metadata}
	assigned, problems := of.check()
	checkIdentity(req.CertificateIdentity, &problems)
	if err := problems.Err(fault.Invalid); err != nil {
		return Created{}, err
	}
	if err := by.Authorize(access.Request{Action: crossActions + "create"}); err != nil {
		return Created{}, err
	}
	if err := s.disabled(); err != nil {
		return Created{}, err
	}
	if by.APIKey != nil {
		return Created{}, fault.New(fault.Argument, "an API key may not create cross-cluster API keys: use the credential of a user")
	}
	k := of.key(CrossCluster, &by.Subject, s.o.Now())
	k.Roles, k.CertificateIdentity = assigned.Digest, req.CertificateIdentity
	return s.issue(ctx, k, by.Roles, assigned)
}

// CrossClusterUpdate says what to change of a cross-cluster key. What is not given
// stays as it is; an expiration alone is too little.
type CrossClusterUpdate struct {
	Access              *access.CrossClusterAccess // in place of the old one; nil: keep
	Expiration          *time.Duration             // as in [UpdateRequest]
	Metadata            xcontent.Value             // an object in place of the old one, or null: keep
	CertificateIdentity *string                    // nil: keep; "": any
}

// UpdateCrossCluster is [Service.Update] for cross-cluster keys.
func (s *Service) UpdateCrossCluster(ctx context.Context, by *access.Caller, id string, req CrossClusterUpdate) (changed bool, err error) {
	of := UpdateRequest{Expiration: req.Expiration, Metadata: req.Metadata}
	if req.Access != nil {
		of.Roles = req.Access.Descriptors()
	}
	assigned, problems := of.check()
	if req.Access == nil && req.Metadata.Kind != xcontent.Object && req.CertificateIdentity == nil {
		problems.Add("give one of [access], [metadata] and [certificate_identity] to update")
	}
	if req.CertificateIdentity != nil {
		checkIdentity(*req.CertificateIdentity, &problems)
	}
	if err := problems.Err(fault.Invalid); err != nil {
		return false, err
	}
	if err := s.mayUpdate(by, crossActions+"update"); err != nil {
		return false, err
	}
	var sets []RoleSet
	if req.Access != nil {
		sets = append(sets, assigned)
	}
	done, err := s.change(ctx, by, []string{id}, sets, func(k *Key, now time.Time) (bool, *fault.Error) {
		if err := unchangeable(k, CrossCluster, now); err != nil {
			return false, err
		}
		changed := of.apply(k, now, ownerOf(&by.Subject), assigned.Digest, k.LimitedBy)
		if i := req.CertificateIdentity; i != nil && *i != k.CertificateIdentity {
			k.CertificateIdentity, changed = *i, true
		}
		return changed, s.allowed(k, by.Roles, of.part())
	})
	return done.one(err)
}

const maxIdentity = 1024 // bytes

// checkIdentity notes what is wrong with a certificate identity. The clusters that
// verify it read it as a regular expression; that of Go compiles and matches
// within bounds, whatever a stranger writes.
func checkIdentity(pattern string, p *fault.Problems) {
	if len(pattern) > maxIdentity {
		p.Add("[certificate_identity] must not be longer than [%d] bytes", maxIdentity)
	} else if _, err := regexp.Compile(pattern); err != nil {
		p.Add("[certificate_identity] is no regular expression: %v", err)
	}
}
