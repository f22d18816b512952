package access

import (
	"sync"
	"sync/atomic"
	"weak"

	"latchkey/internal/pattern"
)

// engine is what a role works out when it is asked, and what it answered: all of
// it may be forgotten at any time, and is, when all roles together keep too much.
type engine struct {
	cluster      func() *held
	runAs        func() []pattern.Matcher
	indices      func() []*indexGroup
	applications func() []*applicationGrant
	charge       func(bytes int)

	mu      sync.Mutex
	unions  map[string]*actions // of index groups, by which of them there are
	answers map[question]bool
	// answered is the stored privileges that answers about an application are for.
	answered map[string]*Application
}

// question is one of a privilege check.
type question struct {
	application     string // "" for indices
	name, privilege string // of a resource or of indices; what is asked for
	restricted      bool
}

const (
	maxAnswers  = 4096 // of one role
	maxQuestion = 512  // bytes of one that is remembered
)

// engine returns the engine of r, a new one if there is none.
func (r *Role) engine() *engine {
	if e := r.current.Load(); e != nil {
		return e
	}
	e := &engine{charge: func(bytes int) { remembered.charge(bytes) }}
	e.cluster = sync.OnceValue(func() *held {
		h := r.holdCluster()
		e.charge(h.size())
		return h
	})
	e.runAs = sync.OnceValue(func() (matchers []pattern.Matcher) {
		size := 0
		for _, d := range r.of {
			c := pattern.NewCompiler() // as generous as the one that parsed d
			for _, p := range d.RunAs {
				if m, err := c.Matcher(p); err == nil {
					matchers = append(matchers, m)
					size += 40 + m.Size()
				}
			}
		}
		e.charge(size)
		return matchers
	})
	e.indices = sync.OnceValue(func() []*indexGroup { return indexGroups(mergeIndices(r.of), e.charge) })
	e.applications = sync.OnceValue(func() []*applicationGrant { return applicationGrants(mergeApplications(r.of), e.charge) })
	e.forget()
	if !r.current.CompareAndSwap(nil, e) {
		if other := r.current.Load(); other != nil {
			return other
		}
		return e // forgotten already; this one answers once
	}
	remembered.add(r)
	return e
}

func (e *engine) forget() {
	e.unions, e.answers, e.answered = map[string]*actions{}, map[question]bool{}, map[string]*Application{}
}

// known returns the answer to q, if it is remembered. Stored says which privileges
// of an application it must hold for.
func (e *engine) known(q question, stored *Application) (yes, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if q.application != "" && e.answered[q.application] != stored {
		return false, false
	}
	yes, known = e.answers[q]
	return yes, known
}

// remember keeps the answer to q.
func (e *engine) remember(q question, stored *Application, yes bool) {
	size := len(q.application) + len(q.name) + len(q.privilege)
	if size > maxQuestion {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.answers) >= maxAnswers || q.application != "" && e.answered[q.application] != nil && e.answered[q.application] != stored {
		clear(e.answers)
		clear(e.answered)
	}
	if q.application != "" {
		e.answered[q.application] = stored
	}
	e.answers[q] = yes
	e.charge(120 + size)
}

// remembered is what all roles keep.
var remembered = ledger{limit: 128 << 20}

// ledger bounds memory that many own: when the sum is too much, all of it goes.
type ledger struct {
	limit int64 // bytes
	bytes atomic.Int64
	mu    sync.Mutex
	roles []weak.Pointer[Role]
}

func (l *ledger) add(r *Role) {
	l.mu.Lock()
	l.roles = append(l.roles, weak.Make(r))
	l.mu.Unlock()
	l.charge(500)
}

func (l *ledger) charge(bytes int) {
	if l.bytes.Add(int64(bytes)) <= l.limit {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes.Load() <= l.limit { // somebody else was here
		return
	}
	for _, weakly := range l.roles {
		if r := weakly.Value(); r != nil {
			r.current.Store(nil)
		}
	}
	l.roles = nil
	l.bytes.Store(0)
}
