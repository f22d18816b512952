package apikey

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"sync/atomic"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// loaded is a key that was not invalidated when it was read, ready to verify a
// secret against. It is kept small: there may be a hundred thousand, and of most
// one request in a while.
type loaded struct {
	owner        *access.Subject // shared by keys, without permissions
	permissions  access.Permissions
	id, name     string
	expiresAt    int64 // epoch milliseconds, 0 for never
	secret       secret.Stored
	old          *oldSecret   // nil: a rotation has left none that is good
	notedIn      atomic.Int32 // as of access.Caller
	crossCluster bool
}

// caller is who shows the key.
func (k *loaded) caller() *access.Caller {
	c := &struct {
		access.Caller
		key access.APIKey
	}{access.Caller{Subject: *k.owner, Type: access.ByAPIKey, NotedIn: &k.notedIn}, access.APIKey{ID: k.id, Name: k.name}}
	c.APIKey, c.Permissions = &c.key, k.permissions
	return &c.Caller
}

// oldSecret is one that a rotation has replaced, and how long it is good.
type oldSecret struct {
	secret secret.Stored
	until  time.Time
}

func (k *loaded) expired(now func() time.Time) bool {
	return k.expiresAt != 0 && now().UnixMilli() >= k.expiresAt
}

// holds reports whether a text is a secret of the key that is good now.
func (s *Service) holds(ctx context.Context, k *loaded, text string) (bool, error) {
	ok, err := k.secret.Matches(ctx, text)
	if err != nil || k.old == nil {
		return ok, err
	}
	old, err := k.old.secret.Matches(ctx, text)
	return ok || old && s.o.Now().Before(k.old.until), err
}

// Verify returns the caller that holds the given id and secret. A pair that
// does not verify is fault.Unauthenticated; its Detail says which check failed,
// in the order of spec/api-keys.md 6.2: an invalidated key is reported whatever
// the secret, an expired one only to its holder. A store that cannot answer is
// fault.Unavailable. What the caller points to is shared and must not be changed.
func (s *Service) Verify(ctx context.Context, id, text string) (*access.Caller, error) {
	if secret.DamagedKey(id, text) {
		return nil, wrongCredentials("invalid credentials for API key [%s]", id)
	}
	return s.holder(ctx, id, func(k *loaded) error {
		ok, err := s.holds(ctx, k, text)
		if err == nil && !ok {
			err = wrongCredentials("invalid credentials for API key [%s]", id)
		}
		return err
	})
}

// Again returns what tells the caller of a pair that Verify has just accepted,
// without a look at the pair, as long as the same key is in memory; then it tells
// nothing. nil if the key is not in memory, or the secret has an end of its own.
func (s *Service) Again(id, text string) func(context.Context) (*access.Caller, error) {
	e := s.keys.Peek(id)
	if e == nil || e.Value.crossCluster || e.Value.old != nil {
		return nil
	}
	if match, _ := e.Value.secret.Recall(text); !match {
		return nil
	}
	k := e.Value
	c := k.caller()
	return func(context.Context) (*access.Caller, error) {
		if k.expired(s.o.Now) {
			return nil, nil
		}
		alive, err := s.keys.TrustAgain(k.id, e)
		if err != nil || !alive {
			return nil, err
		}
		return c, nil
	}
}

// Holder returns the caller that holds the key with the given id, for who has
// proven that before: with a token that the key made. It is [Service.Verify]
// without the secret.
func (s *Service) Holder(ctx context.Context, id string) (*access.Caller, error) {
	if !s.o.Enabled {
		return nil, wrongCredentials("API keys are switched off")
	}
	return s.holder(ctx, id, func(*loaded) error { return nil })
}

// holder returns the caller of a key that is alive and passes the check.
func (s *Service) holder(ctx context.Context, id string, check func(*loaded) error) (*access.Caller, error) {
	for range 3 {
		var refused error
		k, alive, err := s.keys.Judge(ctx, id, s.load, func(k *loaded) {
			refused = check(k)
			switch {
			case refused != nil:
			case k.crossCluster:
				refused = &fault.Error{
					Kind:       fault.Unauthenticated,
					Reason:     "authentication expected API key type of [rest], but API key [" + id + "] has type [" + string(CrossCluster) + "]",
					Challenges: []string{"Basic"},
				}
			case k.expired(s.o.Now):
				refused = wrongCredentials("api key is expired")
			}
		})
		// A refusal counts like the rest: the key may have got another secret, or more time, since this node has heard of it.
		switch {
		case err != nil:
			return nil, err
		case !alive:
		case refused != nil:
			return nil, refused
		default:
			return k.caller(), nil
		}
	}
	return nil, fault.New(fault.Unavailable, "the API key [%s] keeps changing; repeat the request", id)
}

func (s *Service) load(ctx context.Context, id string) (*loaded, error) {
	for try := 0; ; try++ {
		k, err := s.store.APIKey(ctx, id)
		switch {
		case isNotFound(err):
			return nil, wrongCredentials("unable to find apikey with id %s", id)
		case err != nil:
			return nil, err
		case !k.InvalidatedAt.IsZero():
			return nil, wrongCredentials("api key [%s] has been invalidated", id)
		}
		permissions, err := s.permissions(ctx, k)
		if isNotFound(err) && try == 0 {
			continue // purged between the two reads: the key itself is gone as well, or carries other sets by now
		}
		if err != nil {
			return nil, err
		}
		owner, err := s.owner(ctx, k.Owner)
		if err != nil {
			return nil, err
		}
		l := &loaded{owner: owner, permissions: permissions, id: id, name: k.Name, crossCluster: k.Type == CrossCluster}
		if !k.ExpiresAt.IsZero() {
			l.expiresAt = k.ExpiresAt.UnixMilli()
		}
		l.secret.Set(k.Hash)
		if k.OldHash != "" && s.o.Now().Before(k.OldUntil) {
			l.old = &oldSecret{until: k.OldUntil}
			l.old.secret.Set(k.OldHash)
		}
		return l, nil
	}
}

// owner returns what all keys of an owner share in memory.
func (s *Service) owner(ctx context.Context, o Owner) (*access.Subject, error) {
	key := o.text()
	e := s.owners.Get(key)
	if e == nil {
		var err error
		e, err = s.owners.Fill(ctx, key, func(context.Context, string) (*access.Subject, error) {
			return &access.Subject{
				Username: o.Username, FullName: o.FullName, Email: o.Email, Metadata: o.Metadata,
				Realm: access.Realm{Name: o.Realm, Type: o.RealmType},
			}, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return e.Value, nil
}

var emptyObject = json.RawMessage("{}")

// text is a text that no other owner has.
func (o *Owner) text() string {
	b := make([]byte, 0, 128)
	add := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s)+1)), s...) }
	for _, s := range []string{o.Username, o.Realm, o.RealmType, string(o.Metadata)} {
		add(s)
	}
	for _, s := range []*string{o.FullName, o.Email} {
		if s == nil {
			b = append(b, 0)
		} else {
			add(*s)
		}
	}
	return string(b)
}

// permissions are what was assigned, limited by what the owner held; with
// nothing assigned, what the owner held (spec/api-keys.md 6.5). Keys of the same
// role sets share them.
func (s *Service) permissions(ctx context.Context, k Key) (access.Permissions, error) {
	if k.Type != REST {
		return access.Permissions{}, nil
	}
	both := string(append(k.Roles[:], k.LimitedBy[:]...))
	e := s.rights.Get(both)
	if e == nil {
		var err error
		e, err = s.rights.Fill(ctx, both, func(ctx context.Context, _ string) (access.Permissions, error) {
			limit, err := s.roleSet(ctx, k.LimitedBy)
			if err != nil {
				return access.Permissions{}, err
			}
			assigned, err := s.roleSet(ctx, k.Roles)
			if err != nil {
				return access.Permissions{}, err
			}
			limitRole := limit.role
			if limitRole == nil {
				limitRole = access.NewRole()
			}
			if assigned.role == nil {
				return access.NewPermissions(nil, nil, limitRole), nil
			}
			return access.NewPermissions(nil, nil, assigned.role, limitRole), nil
		})
		if err != nil {
			return access.Permissions{}, err
		}
	}
	return e.Value, nil
}
