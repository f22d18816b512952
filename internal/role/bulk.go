package role

import (
	"context"
	"errors"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

const (
	actionBulkPut    = "cluster:admin/xpack/security/role/bulk_put"
	actionBulkDelete = "cluster:admin/xpack/security/role/bulk_delete"
)

// maxNames bounds the roles that one deletion may name.
const maxNames = 10_000

// Outcome is what became of one role of many.
type Outcome uint8

const (
	Unchanged Outcome = iota // it is the same as before; of a deletion: there was none
	Created
	Updated
	Deleted
	Failed
)

// Result is what became of one of many names.
type Result struct {
	Name    string
	Outcome Outcome
	Err     *fault.Error // of Failed
}

// PutMany creates or replaces roles as one act, except for those that break a
// rule: their results say which. The results have the order of roles.
func (s *Service) PutMany(ctx context.Context, by *access.Caller, roles []Named) ([]Result, error) {
	about := make([]access.Descriptor, len(roles))
	for i, r := range roles {
		about[i] = r.Descriptor
	}
	if err := by.Authorize(access.Request{Action: actionBulkPut, Roles: about}); err != nil {
		return nil, err
	}
	results := make([]Result, len(roles))
	var good []Named
	var names []string
	for i, r := range roles {
		results[i] = Result{Name: r.Name, Outcome: Failed}
		if err, ok := errors.AsType[*fault.Error](putProblems(r.Name, r.Descriptor).Err(fault.Invalid)); ok {
			results[i].Err = err
			continue
		}
		good, names = append(good, r), append(names, r.Name)
	}
	if len(good) == 0 {
		return results, nil
	}
	outcomes, err := s.store.PutRoles(ctx, good)
	s.named.Kill(names...) // whatever the error: the commit may have reached the disk
	if err != nil {
		return nil, err
	}
	for i := range results {
		if results[i].Err == nil {
			results[i].Outcome, outcomes = outcomes[0], outcomes[1:]
		}
	}
	return results, nil
}

// DeleteMany deletes roles as one act, except for built-in ones: their results say
// so. The results have the order of names, each once.
func (s *Service) DeleteMany(ctx context.Context, by *access.Caller, names []string) ([]Result, error) {
	if len(names) > maxNames {
		return nil, fault.New(fault.Argument, "at most [%d] roles can be named, but there are [%d]", maxNames, len(names))
	}
	if err := s.mayDelete(ctx, by, actionBulkDelete, names...); err != nil {
		return nil, err
	}
	var results []Result
	var good []string
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		r := Result{Name: name}
		if isReserved(name) {
			r.Outcome, r.Err = Failed, isBuiltIn(name)
		} else {
			good = append(good, name)
		}
		results = append(results, r)
	}
	if len(good) == 0 {
		return results, nil
	}
	deleted, err := s.store.DeleteRoles(ctx, good)
	s.named.Kill(good...)
	if err != nil {
		return nil, err
	}
	had := map[string]bool{}
	for _, name := range deleted {
		had[name] = true
	}
	for i := range results {
		if had[results[i].Name] {
			results[i].Outcome = Deleted
		}
	}
	return results, nil
}
