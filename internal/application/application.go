// Package application holds the privileges that applications define for
// themselves, and hands them out in the form in which they are compared.
//
// Who holds them, and what they mean for whom, is for package access.
package application

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
)

// Actions as refusals name them.
const (
	actionPut        = "cluster:admin/xpack/security/privilege/put"
	actionGet        = "cluster:admin/xpack/security/privilege/get"
	actionDelete     = "cluster:admin/xpack/security/privilege/delete"
	actionClearCache = "cluster:admin/xpack/security/privilege/cache/clear"
)

// Privilege is a named set of actions of one application.
type Privilege struct {
	Application, Name string
	Actions           []string        // patterns, in the order they were given
	Metadata          json.RawMessage // a JSON object in compact form
}

// Store keeps privileges. Every method is one atomic change or one consistent
// read. An error of a change is fault.Unknown if the change may have been made, and
// any other only if it was not.
type Store interface {
	// PutApplicationPrivileges creates or replaces all of list, and says of each
	// whether it is new. Before it returns without an error, and before anybody can
	// see the change confirmed, it calls changed.
	PutApplicationPrivileges(ctx context.Context, list []Privilege, changed func()) (created []bool, err error)

	// ForgetApplicationPrivileges has the other nodes look up these applications
	// anew, or all for no names, before it returns. It changes nothing.
	ForgetApplicationPrivileges(ctx context.Context, applications []string) error
	// Applications returns the names of all that have privileges, sorted.
	Applications(ctx context.Context) ([]string, error)
	// ApplicationPrivileges returns the privileges of one application, by name.
	ApplicationPrivileges(ctx context.Context, application string) ([]Privilege, error)
	// DeleteApplicationPrivileges says of each of names whether there was such a
	// privilege. It calls changed as PutApplicationPrivileges does, if there was one.
	DeleteApplicationPrivileges(ctx context.Context, application string, names []string, changed func()) (found []bool, err error)
}

// Service manages privileges of applications. It is safe for concurrent use.
type Service struct {
	store Store
	// ready holds what an application defines, nothing included. A write to one of
	// its privileges kills its entry.
	ready *cache.Cache[*access.Application]
}

const (
	cacheTTL = time.Hour // it bounds memory alone: who changes a privilege drops it before the answer
	cacheMax = 1000      // applications

	maxPrivileges   = 10_000 // of one request
	maxActions      = 10_000 // of one privilege
	maxApplications = 1000   // of one check
	maxProblems     = 100    // that are told
)

// New returns a Service on store; lease is as of cache.Options.
func New(store Store, now func() time.Time, lease func() error) *Service {
	return &Service{store: store, ready: cache.New[*access.Application](cache.Options{Max: cacheMax, TTL: cacheTTL, Now: now, Lease: lease})}
}

// Put creates or replaces privileges and says of each whether it is new. What is
// wrong with them is told before by's right is judged: fault.Invalid.
func (s *Service) Put(ctx context.Context, by *access.Caller, list []Privilege) ([]bool, error) {
	if err := problems(list).Err(fault.Invalid); err != nil {
		return nil, err
	}
	var about []string
	for _, p := range list {
		about = append(about, p.Application)
	}
	about = slices.Compact(slices.Sorted(slices.Values(about)))
	if err := by.Authorize(access.Request{Action: actionPut, Applications: about}); err != nil {
		return nil, err
	}
	for _, p := range list {
		if err := access.CheckPatterns(p.Actions); err != nil {
			return nil, err
		}
	}
	created, err := s.store.PutApplicationPrivileges(ctx, list, func() { s.ready.Kill(about...) })
	if err != nil {
		s.ready.Kill(about...) // the commit may have reached the disk
	}
	return created, err
}

func problems(list []Privilege) (p fault.Problems) {
	if len(list) == 0 {
		p.Add("at least one privilege must be given")
	}
	if len(list) > maxPrivileges {
		p.Add("there are %d privileges, but at most %d are allowed at once", len(list), maxPrivileges)
		return p
	}
	for _, priv := range list {
		if len(p) >= maxProblems {
			p.Add("there are further problems")
			break
		}
		note := func(problem string) {
			if problem != "" && len(p) < maxProblems {
				p = append(p, problem)
			}
		}
		note(access.ApplicationNameProblem(priv.Application))
		note(access.PrivilegeNameProblem(priv.Name))
		if len(priv.Actions) == 0 {
			p.Add("application privilege [%s] of application [%s] must have at least one action", priv.Name, priv.Application)
		}
		if n := len(priv.Actions); n > maxActions {
			p.Add("application privilege [%s] of application [%s] has %d actions, but at most %d are allowed", priv.Name, priv.Application, n, maxActions)
			continue
		}
		for _, a := range priv.Actions {
			note(access.ActionProblem(a))
		}
		if problem := access.MetadataProblem(priv.Metadata); problem != "" {
			p.Add("application privilege [%s] of application [%s]: %s", priv.Name, priv.Application, problem)
		}
	}
	return p
}

// Get returns the privileges of the application, or of all that match the pattern,
// sorted; "" stands for all. With names, only those that have one of them.
func (s *Service) Get(ctx context.Context, by *access.Caller, application string, names []string) ([]Privilege, error) {
	about := application
	if about == "" {
		about = "*"
	}
	if problem := access.ApplicationPatternProblem(about); problem != "" {
		return nil, fault.Problems{problem}.Err(fault.Invalid)
	}
	if err := by.Authorize(access.Request{Action: actionGet, Applications: []string{about}}); err != nil {
		return nil, err
	}
	applications := []string{about}
	if start, wild := prefix(about); wild {
		all, err := s.store.Applications(ctx)
		if err != nil {
			return nil, err
		}
		applications = slices.DeleteFunc(all, func(name string) bool { return len(name) < len(start) || name[:len(start)] != start })
	}
	var found []Privilege
	for _, name := range applications {
		of, err := s.store.ApplicationPrivileges(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, p := range of {
			if len(names) == 0 || slices.Contains(names, p.Name) {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// prefix splits off the star that may stand at the end of a pattern, and only there.
func prefix(pattern string) (text string, wild bool) {
	if n := len(pattern) - 1; n >= 0 && pattern[n] == '*' {
		return pattern[:n], true
	}
	return pattern, false
}

// Delete deletes privileges of one application and says of each whether there was one.
func (s *Service) Delete(ctx context.Context, by *access.Caller, application string, names []string) ([]bool, error) {
	var p fault.Problems
	if problem := access.ApplicationNameProblem(application); problem != "" {
		p = append(p, problem)
	}
	if len(names) == 0 {
		p.Add("at least one privilege must be named")
	}
	if len(names) > maxPrivileges {
		p.Add("at most %d privileges can be deleted at once", maxPrivileges)
	}
	if err := p.Err(fault.Invalid); err != nil {
		return nil, err
	}
	if err := by.Authorize(access.Request{Action: actionDelete, Applications: []string{application}}); err != nil {
		return nil, err
	}
	found, err := s.store.DeleteApplicationPrivileges(ctx, application, names, func() { s.ready.Kill(application) })
	if err != nil {
		s.ready.Kill(application)
	}
	return found, err
}

// ClearCache forgets what is kept of the applications, or of all for "*", on all nodes.
func (s *Service) ClearCache(ctx context.Context, by *access.Caller, applications []string) error {
	if err := by.Authorize(access.Request{Action: actionClearCache}); err != nil {
		return err
	}
	if slices.Contains(applications, "*") {
		s.ready.Flush()
		return s.store.ForgetApplicationPrivileges(ctx, nil)
	}
	s.ready.Kill(applications...)
	return s.store.ForgetApplicationPrivileges(ctx, applications)
}

// Forget has the privileges of these applications, or all if there are none, looked up anew: another node
// has changed them.
func (s *Service) Forget(applications []string) {
	if len(applications) == 0 {
		s.ready.Flush()
		return
	}
	s.ready.Kill(applications...)
}

// Ready returns what the named applications define, as checks need it. Very many
// names are fault.Argument.
func (s *Service) Ready(ctx context.Context, names []string) (map[string]*access.Application, error) {
	ready := make(map[string]*access.Application, min(len(names), maxApplications))
	for _, name := range names {
		if ready[name] != nil {
			continue
		}
		if len(ready) == maxApplications {
			return nil, fault.New(fault.Argument, "privileges of at most %d applications can be checked at once", maxApplications)
		}
		e, alive := s.ready.Get(name), false
		if e != nil {
			var err error
			if alive, err = s.ready.Trust(e); err != nil {
				return nil, err
			}
		}
		if !alive {
			var err error
			// An entry that is dead on arrival was read after the request came, so it
			// answers for this request.
			if e, err = s.ready.Fill(ctx, name, s.load); err != nil {
				return nil, err
			}
		}
		ready[name] = e.Value
	}
	return ready, nil
}

func (s *Service) load(ctx context.Context, name string) (*access.Application, error) {
	list, err := s.store.ApplicationPrivileges(ctx, name)
	if err != nil {
		return nil, err
	}
	actions := make(map[string][]string, len(list))
	for _, p := range list {
		actions[p.Name] = p.Actions
	}
	return access.NewApplication(actions), nil
}
