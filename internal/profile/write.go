package profile

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// Term is the primary term that profiles show: theirs never changes.
const Term = 1

// Update is what an application writes. Objects are merged into what is there.
type Update struct {
	Labels, Data xcontent.Value // null: not given
	IfVersion    *int           // the profile must have this version
	IfTerm       *int
}

// maxContent bounds labels and data of a profile together.
const maxContent = 1 << 20 // bytes

func (u Update) problems() fault.Problems {
	var p fault.Problems
	if u.Labels.Kind == xcontent.Null && u.Data.Kind == xcontent.Null {
		p.Add("update request is empty")
	}
	for _, of := range []struct {
		field string
		v     xcontent.Value
	}{{"labels", u.Labels}, {"data", u.Data}} {
		for _, m := range of.v.Members {
			if strings.Contains(m.Name, ".") {
				p.Add("[%s] must not have a key with a dot, but has [%s]", of.field, m.Name)
			}
			if strings.HasPrefix(m.Name, "_") {
				p.Add("[%s] must not have a key that starts with [_], but has [%s]", of.field, m.Name)
			}
		}
	}
	if (u.IfVersion == nil) != (u.IfTerm == nil) {
		p.Add("[if_seq_no] and [if_primary_term] must be given together")
	}
	if u.IfVersion != nil && *u.IfVersion < 0 || u.IfTerm != nil && *u.IfTerm < 1 {
		p.Add("[if_seq_no] must not be negative, and [if_primary_term] must be positive")
	}
	return p
}

// keys are the top-level keys that u writes.
func (u Update) keys() []string {
	var all []string
	for _, m := range slices.Concat(u.Labels.Members, u.Data.Members) {
		all = append(all, m.Name)
	}
	return all
}

// Update merges labels and data into a profile: members of both that are objects
// are merged in turn, else the new value counts. An unknown uid is fault.NotFound,
// one that has changed meanwhile fault.Conflict.
func (s *Service) Update(ctx context.Context, by *access.Caller, uid string, u Update) error {
	if err := u.problems().Err(fault.Invalid); err != nil {
		return err
	}
	if err := by.Authorize(access.Request{Action: actions + "put/data", ProfileKeys: u.keys()}); err != nil {
		return err
	}
	return s.store.ChangeProfile(ctx, uid, func(p *Profile) error {
		if u.IfVersion != nil && (*u.IfVersion != p.Version || *u.IfTerm != Term) {
			return fault.New(fault.Conflict, "profile [%s] has seqNo [%d] and primary term [%d], but the request is for [%d] and [%d]",
				uid, p.Version, Term, *u.IfVersion, *u.IfTerm)
		}
		var err error
		if p.Labels, err = merged(p.Labels, u.Labels); err != nil {
			return err
		}
		if p.Data, err = merged(p.Data, u.Data); err != nil {
			return err
		}
		if n := len(p.Labels) + len(p.Data); n > maxContent {
			return fault.New(fault.Argument, "labels and data of a profile may take [%d] bytes, but would take [%d]", maxContent, n)
		}
		return nil
	})
}

func merged(old json.RawMessage, added xcontent.Value) (json.RawMessage, error) {
	if added.Kind == xcontent.Null {
		return old, nil
	}
	v, err := xcontent.ParseOwn(old)
	if err != nil {
		return nil, err
	}
	return xcontent.Merge(v, added).JSON(), nil
}

// SetEnabled enables or disables a profile; an unknown uid is fault.NotFound.
func (s *Service) SetEnabled(ctx context.Context, by *access.Caller, uid string, enabled bool) error {
	if err := by.Authorize(access.Request{Action: actions + "set_enabled"}); err != nil {
		return err
	}
	return s.store.ChangeProfile(ctx, uid, func(p *Profile) error {
		p.Enabled = enabled
		return nil
	})
}
