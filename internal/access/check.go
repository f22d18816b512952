package access

import (
	"slices"

	"latchkey/internal/fault"
	"latchkey/internal/pattern"
)

// Check is what a privilege check asks (spec/identity.md 5.1).
type Check struct {
	Cluster      []string
	Indices      []IndexCheck
	Applications []ApplicationEntry // of concrete applications; resources are patterns
}

// IndexCheck asks for each of the privileges on all that each of the names stands for.
type IndexCheck struct {
	Names, Privileges []string
	AllowRestricted   bool
}

// Checked answers a [Check]. The keys are the texts that were asked for.
type Checked struct {
	All          bool // everything that was asked for is held
	Cluster      map[string]bool
	Index        map[string]map[string]bool            // by name, then privilege
	Applications map[string]map[string]map[string]bool // by application, resource, privilege
}

// Problems returns what is wrong with c by itself (spec/identity.md 9.1, step 4).
func (c Check) Problems() []string {
	asked := len(c.Cluster)
	for _, i := range c.Indices {
		asked += len(i.Names) * len(i.Privileges)
	}
	var problems []string
	for _, a := range c.Applications {
		asked += len(a.Privileges) * len(a.Resources)
		if problem := ApplicationNameProblem(a.Application); problem != "" && len(problems) <= maxProblems {
			problems = append(problems, problem)
		}
		for _, p := range a.Privileges {
			if problem := applicationPrivilegeProblem(p); problem != "" && len(problems) <= maxProblems {
				problems = append(problems, problem)
			}
		}
	}
	if asked == 0 {
		problems = append(problems, "at least one privilege to check must be given")
	}
	return problems
}

// Bounds of one check. What a stranger may cost grows with the rights that are
// compared, too: that is bounded as it is worked off.
const (
	maxPairs      = 100_000     // of a privilege and what it is asked for on
	checkSteps    = 300_000_000 // of comparing texts, well below a second
	checkAttempts = 40          // small compilers
)

// Check answers c; stored holds the stored privileges of the applications that it
// names. A privilege that does not exist is fault.Argument, whoever asks, and so is
// more than can be answered at once.
func (p Permissions) Check(c Check, stored map[string]*Application) (Checked, error) {
	out := Checked{All: true, Index: map[string]map[string]bool{}, Applications: map[string]map[string]map[string]bool{}}
	var err error
	if out.Cluster, err = p.HasClusters(c.Cluster...); err != nil {
		return Checked{}, err
	}
	for _, has := range out.Cluster {
		out.All = out.All && has
	}
	pairs := 0
	for _, i := range c.Indices {
		pairs += len(i.Names) * len(i.Privileges)
	}
	for _, a := range c.Applications {
		pairs += len(a.Resources) * len(a.Privileges)
	}
	if pairs > maxPairs {
		return Checked{}, fault.New(fault.Argument, "at most %d privileges on indices and resources can be checked at once", maxPairs)
	}
	k := checking{compiler: pattern.NewCompiler(), work: effort{left: checkAttempts, steps: checkSteps}, out: &out}
	for _, r := range p.get().sides {
		k.sides = append(k.sides, r.engine())
	}
	k.nothing = len(k.sides) == 0 || p.restricted() != nil
	for _, i := range c.Indices {
		if err := k.indices(i); err != nil {
			return Checked{}, err
		}
	}
	for _, a := range c.Applications {
		if err := k.application(a, stored[a.Application]); err != nil {
			return Checked{}, err
		}
	}
	return out, nil
}

// checking is a [Check] on its way.
type checking struct {
	sides    []*engine // every one of them has to hold what is asked for
	nothing  bool      // nothing is held, whatever is asked for
	compiler *pattern.Compiler
	work     effort
	out      *Checked
}

func (k *checking) indices(c IndexCheck) error {
	privileges := make([]indexPrivilege, len(c.Privileges))
	for i, p := range c.Privileges {
		if problem := indexPrivilegeProblem(p); problem != "" {
			return fault.New(fault.Argument, "%s", problem)
		}
		var err error
		if privileges[i], err = newIndexPrivilege(p, k.compiler); err != nil {
			return err
		}
	}
	for _, name := range c.Names {
		held, err := k.onIndices(name, privileges, c.AllowRestricted)
		if err != nil {
			return err
		}
		into := k.out.Index[name]
		if into == nil {
			into = make(map[string]bool, len(held))
			k.out.Index[name] = into
		}
		k.put(into, c.Privileges, held)
	}
	return nil
}

// put adds the answers about privileges to those that are there already.
func (k *checking) put(into map[string]bool, privileges []string, held []bool) {
	for i, p := range privileges {
		if has, asked := into[p]; asked {
			held[i] = held[i] && has
		}
		into[p] = held[i]
		k.out.All = k.out.All && held[i]
	}
}

// onIndices says which of privileges are held on all that name stands for.
func (k *checking) onIndices(name string, privileges []indexPrivilege, restricted bool) ([]bool, error) {
	var target *indexTarget
	held := slices.Repeat([]bool{!k.nothing}, len(privileges))
	for _, e := range k.sides {
		var may *actions
		looked := false
		for i, p := range privileges {
			q := question{name: name, privilege: p.name, restricted: restricted}
			has, known := e.known(q, nil)
			if !known {
				if target == nil {
					t, err := newIndexTarget(name, restricted, k.compiler)
					if err != nil {
						return nil, err
					}
					target = &t
				}
				if !looked {
					may, looked = e.covering(*target, &k.work), true
				}
				has = may.include(p, &k.work)
				if k.work.spent {
					return nil, errTooMuch
				}
				e.remember(q, nil, has)
			}
			held[i] = held[i] && has
		}
	}
	if len(k.sides) == 0 { // what cannot be understood is told to everybody
		if _, err := newIndexTarget(name, restricted, k.compiler); err != nil {
			return nil, err
		}
	}
	return held, nil
}

var errTooMuch = fault.New(fault.Argument, "these are too many privileges to compare with what the user holds at once; check fewer of them")

func (k *checking) application(c ApplicationEntry, stored *Application) error {
	for _, texts := range [][]string{c.Privileges, c.Resources} {
		for _, text := range texts {
			if _, literal := pattern.Literal(text); literal {
				continue
			}
			if _, err := k.compiler.Parse(text); err != nil {
				return err
			}
		}
	}
	resources := k.out.Applications[c.Application]
	if resources == nil {
		resources = make(map[string]map[string]bool, len(c.Resources))
		k.out.Applications[c.Application] = resources
	}
	asked := make([]*applicationQuestions, len(k.sides))
	for i, e := range k.sides {
		asked[i] = &applicationQuestions{engine: e, of: c, stored: stored}
	}
	for _, resource := range c.Resources {
		held := slices.Repeat([]bool{!k.nothing}, len(c.Privileges))
		for _, side := range asked {
			if err := side.on(resource, held, &k.work); err != nil {
				return err
			}
		}
		into := resources[resource]
		if into == nil {
			into = make(map[string]bool, len(held))
			resources[resource] = into
		}
		k.put(into, c.Privileges, held)
	}
	return nil
}

// applicationQuestions is what one side of a subject is asked about an application.
type applicationQuestions struct {
	engine *engine
	of     ApplicationEntry
	stored *Application
	grants []*applicationGrant // that are about the application
	holds  [][]int8            // by grant, by privilege: 0 nobody has looked, 1 held, -1 not held
	ready  bool
}

// prepare finds the grants, once somebody has to look at them.
func (a *applicationQuestions) prepare(work *effort) {
	if a.ready {
		return
	}
	a.ready = true
	for _, g := range a.engine.applications() {
		if work.walk(20) && g.matcher.Matches(a.of.Application) {
			a.grants = append(a.grants, g)
		}
	}
	a.holds = make([][]int8, len(a.grants))
}

// on takes those of held away that a does not grant on a resource.
func (a *applicationQuestions) on(resource string, held []bool, work *effort) error {
	var about []int // the grants that cover the resource
	looked := false
	for i, p := range a.of.Privileges {
		q := question{application: a.of.Application, name: resource, privilege: p}
		has, known := a.engine.known(q, a.stored)
		if !known {
			if a.prepare(work); !looked {
				looked = true
				for g, grant := range a.grants {
					if covered([]*patterns{grant.resources}, resource, work) {
						about = append(about, g)
					}
				}
			}
			has = slices.ContainsFunc(about, func(g int) bool { return a.holdsBy(g, i, work) })
			if work.spent {
				return errTooMuch
			}
			a.engine.remember(q, a.stored, has)
		}
		held[i] = held[i] && has
	}
	return nil
}

func (a *applicationQuestions) holdsBy(g, i int, work *effort) bool {
	if a.holds[g] == nil {
		a.holds[g] = make([]int8, len(a.of.Privileges))
	}
	if work.walk(3); a.holds[g][i] == 0 {
		a.holds[g][i] = -1
		if a.grants[g].grants(a.of.Privileges[i], a.stored, work) {
			a.holds[g][i] = 1
		}
	}
	return a.holds[g][i] > 0
}
