// Package settings keeps the settings of the security indices, which clients may
// read and change. latchkey has no indices: it remembers what it is told.
package settings

import (
	"context"
	"regexp"
	"strconv"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// Indices are the names under which settings are kept, in their order.
var Indices = []string{"security", "security-profile", "security-tokens"}

// Index is the settings of one index. Nil is the default.
type Index struct {
	AutoExpandReplicas *string `json:"auto_expand_replicas,omitempty"`
	NumberOfReplicas   *string `json:"number_of_replicas,omitempty"`
}

// The defaults: one copy more as soon as there is a second node.
const (
	DefaultAutoExpandReplicas = "0-1"
	DefaultNumberOfReplicas   = "0"
)

// Change is what a request sets of one index. A setting that is given as null goes
// back to its default.
type Change struct{ AutoExpandReplicas, NumberOfReplicas *xcontent.Value }

// Store keeps settings. Every method is one atomic change or one consistent read.
type Store interface {
	// Settings returns what is kept, by the name of the index.
	Settings(ctx context.Context) (map[string]Index, error)
	// ChangeSettings has change alter what is kept, as one act.
	ChangeSettings(ctx context.Context, change func(map[string]Index)) error
}

// Service is the settings. It is safe for concurrent use.
type Service struct{ store Store }

// New returns the service over a store.
func New(store Store) *Service { return &Service{store} }

const actions = "cluster:admin/xpack/security/settings/"

// Get returns the settings by the name of the index, with the defaults filled in.
func (s *Service) Get(ctx context.Context, by *access.Caller) (map[string]Index, error) {
	if err := by.Authorize(access.Request{Action: actions + "get"}); err != nil {
		return nil, err
	}
	kept, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Index, len(Indices))
	for _, name := range Indices {
		i := kept[name]
		if i.AutoExpandReplicas == nil {
			i.AutoExpandReplicas = new(DefaultAutoExpandReplicas)
		}
		if i.NumberOfReplicas == nil {
			i.NumberOfReplicas = new(DefaultNumberOfReplicas)
		}
		all[name] = i
	}
	return all, nil
}

// Update changes settings, all of them or, with a value that breaks its rule, none.
func (s *Service) Update(ctx context.Context, by *access.Caller, changes map[string]Change) error {
	var p fault.Problems
	for _, name := range Indices {
		c := changes[name]
		check(&p, name, "number_of_replicas", c.NumberOfReplicas, isCount)
		check(&p, name, "auto_expand_replicas", c.AutoExpandReplicas, expand.MatchString)
	}
	if len(changes) == 0 {
		p.Add("no settings are given")
	}
	if err := p.Err(fault.Invalid); err != nil {
		return err
	}
	if err := by.Authorize(access.Request{Action: actions + "update"}); err != nil {
		return err
	}
	return s.store.ChangeSettings(ctx, func(kept map[string]Index) {
		for name, c := range changes {
			i := kept[name]
			set(&i.AutoExpandReplicas, c.AutoExpandReplicas)
			set(&i.NumberOfReplicas, c.NumberOfReplicas)
			kept[name] = i
		}
	})
}

func set(to **string, v *xcontent.Value) {
	switch {
	case v == nil:
	case v.Kind == xcontent.Null:
		*to = nil
	default:
		*to = &v.Text
	}
}

func check(p *fault.Problems, index, setting string, v *xcontent.Value, good func(string) bool) {
	if v != nil && v.Kind != xcontent.Null && !good(v.Text) {
		p.Add("[index.%s] of [%s] cannot be [%s]", setting, index, v.Text)
	}
}

func isCount(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

var expand = regexp.MustCompile(`^(false|[0-9]{1,9}-(all|[0-9]{1,9}))$`)
