package user_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/user"
)

func TestReservedRealm(t *testing.T) {
	bootstrap := func(o *user.Options) { o.Bootstrap = secret.Of("bootstrap1") }
	tests := []struct {
		name  string
		setup func(*user.Options)
		check func(t *testing.T, s *user.Service, db *sqlstore.DB)
	}{
		{"ID-1 a reserved name with a wrong password fails though a native user has that name and password", bootstrap, func(t *testing.T, s *user.Service, db *sqlstore.DB) {
			hash, err := hasher(t, "bcrypt4").Hash(t.Context(), "native-password")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.PutUser(t.Context(), user.User{Username: "elastic", Roles: []string{}, Enabled: true}, hash); err != nil {
				t.Fatal(err)
			}
			logsIn(t, s, "elastic", "native-password", false)
			logsIn(t, s, "elastic", "bootstrap1", true)
			off := newService(t, db, func(o *user.Options) { o.ReservedDisabled = true })
			logsIn(t, off, "elastic", "native-password", true)
		}},
		{"ID-2 the bootstrap password counts until a password was set", bootstrap, func(t *testing.T, s *user.Service, db *sqlstore.DB) {
			logsIn(t, s, "elastic", "bootstrap1", true)
			change(t, s, "elastic", "changed1")
			logsIn(t, s, "elastic", "bootstrap1", false)
			logsIn(t, s, "elastic", "changed1", true)
			again := newService(t, db, bootstrap) // a restart with the same setting
			logsIn(t, again, "elastic", "bootstrap1", false)
			logsIn(t, again, "elastic", "changed1", true)
		}},
		{"ID-3 kibana_system without a password never logs in, and does once it has one", bootstrap, func(t *testing.T, s *user.Service, _ *sqlstore.DB) {
			logsIn(t, s, "kibana_system", "", false)
			logsIn(t, s, "kibana_system", "bootstrap1", false)
			change(t, s, "kibana_system", "kibana-password")
			logsIn(t, s, "kibana_system", "kibana-password", true)
		}},
		{"ID-4 elastic is of the reserved realm and a superuser", bootstrap, func(t *testing.T, s *user.Service, _ *sqlstore.DB) {
			got := logsIn(t, s, "elastic", "bootstrap1", true)
			want := access.Subject{Username: "elastic", Roles: []string{"superuser"}, Metadata: json.RawMessage(`{"_reserved":true}`),
				Realm: access.Realm{Name: "reserved", Type: "reserved"}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("elastic = %+v; want %+v", got, want)
			}
		}},
		{"without any password nobody is elastic", nil, func(t *testing.T, s *user.Service, _ *sqlstore.DB) {
			logsIn(t, s, "elastic", "", false)
			logsIn(t, s, "elastic", "changeme", false)
		}},
		{"a disabled elastic is refused, keeps the bootstrap password and comes back", bootstrap, func(t *testing.T, s *user.Service, _ *sqlstore.DB) {
			logsIn(t, s, "elastic", "bootstrap1", true)
			for _, enabled := range []bool{false, true} {
				if err := s.SetEnabled(t.Context(), admin, "elastic", enabled); err != nil {
					t.Fatal(err)
				}
				logsIn(t, s, "elastic", "bootstrap1", enabled)
			}
		}},
		{"a password made at the first start counts, is made once, and gives way to one of the configuration", nil, func(t *testing.T, s *user.Service, db *sqlstore.DB) {
			made, err := s.Bootstrap(t.Context())
			if err != nil || made.IsZero() {
				t.Fatalf("Bootstrap = %v, %v; want a password", made, err)
			}
			logsIn(t, s, "elastic", made.Reveal(), true)
			again := newService(t, db, nil)
			if second, err := again.Bootstrap(t.Context()); err != nil || !second.IsZero() {
				t.Errorf("second Bootstrap = %v, %v; want nothing", second, err)
			}
			logsIn(t, again, "elastic", made.Reveal(), true)
			configured := newService(t, db, bootstrap)
			logsIn(t, configured, "elastic", "bootstrap1", true)
			logsIn(t, configured, "elastic", made.Reveal(), false)
			change(t, configured, "elastic", "changed1")
			logsIn(t, configured, "elastic", "bootstrap1", false)
			logsIn(t, newService(t, db, nil), "elastic", made.Reveal(), false)
		}},
		{"a configured password makes no other", bootstrap, func(t *testing.T, s *user.Service, _ *sqlstore.DB) {
			if made, err := s.Bootstrap(t.Context()); err != nil || !made.IsZero() {
				t.Errorf("Bootstrap = %v, %v; want nothing", made, err)
			}
		}},
		{"the operator sets any password without asking", nil, func(t *testing.T, s *user.Service, _ *sqlstore.DB) {
			put(t, s, "jo", "jo-password")
			for _, name := range []string{"elastic", "jo"} {
				if err := s.SetPassword(t.Context(), name, password(t, "reset-password")); err != nil {
					t.Fatal(err)
				}
				logsIn(t, s, name, "reset-password", true)
			}
			if err := s.SetPassword(t.Context(), "nobody", password(t, "reset-password")); fault.KindOf(err) != fault.NotFound {
				t.Errorf("SetPassword(nobody) = %v; want fault.NotFound", err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t)
			tt.check(t, newService(t, db, tt.setup), db)
		})
	}
}

func TestAutoconfiguredPassword(t *testing.T) {
	hash, err := hasher(t, "pbkdf2_1000").Hash(t.Context(), "autoconfigured")
	if err != nil {
		t.Fatal(err)
	}
	auto := func(o *user.Options) { o.AutoconfigurationHash = hash }

	t.Run("the first login keeps it", func(t *testing.T) {
		db := open(t)
		s := newService(t, db, auto)
		logsIn(t, s, "elastic", "wrong-password", false)
		if _, err := db.ReservedUser(t.Context(), "elastic"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("after a failed login: %v; want nothing stored", err)
		}
		logsIn(t, s, "elastic", "autoconfigured", true)
		want := user.ReservedState{Hash: hash, Enabled: true}
		if got, err := db.ReservedUser(t.Context(), "elastic"); got != want {
			t.Errorf("after the first login: %+v, %v; want %+v", got, err, want)
		}
		logsIn(t, newService(t, db, nil), "elastic", "autoconfigured", true)
	})
	t.Run("a login that cannot be kept is no wrong password", func(t *testing.T) {
		full := fault.New(fault.Unavailable, "the disk is full")
		s := newService(t, &hooked{Store: open(t), initReserved: func() error { return full }}, auto)
		if _, err := s.Authenticate(t.Context(), "elastic", "autoconfigured"); !errors.Is(err, full) {
			t.Errorf("Authenticate = %v; want %v", err, full)
		}
	})
	t.Run("a password of the configuration hides it", func(t *testing.T) {
		s := newService(t, open(t), func(o *user.Options) { auto(o); o.Bootstrap = secret.Of("bootstrap1") })
		logsIn(t, s, "elastic", "autoconfigured", false)
		logsIn(t, s, "elastic", "bootstrap1", true)
	})
	t.Run("a hash of another kind stops the start", func(t *testing.T) {
		o := user.Options{Store: open(t), Hasher: hasher(t, "bcrypt4"), Now: time.Now, AutoconfigurationHash: "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="}
		if _, err := user.New(o); fault.KindOf(err) != fault.Argument {
			t.Errorf("New = %v; want fault.Argument", err)
		}
	})
}

func TestNativeRealm(t *testing.T) {
	tests := []struct {
		name  string
		setup func(*user.Options)
		check func(t *testing.T, s *user.Service)
	}{
		{"ID-5 a native user is of the realm default_native", nil, func(t *testing.T, s *user.Service) {
			put(t, s, "jo", "jo-password", "b", "a")
			got := logsIn(t, s, "jo", "jo-password", true)
			want := access.Subject{Username: "jo", Roles: []string{"b", "a"}, Metadata: json.RawMessage(`{}`), Realm: native}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("jo = %+v; want %+v", got, want)
			}
		}},
		{"the realm has the name it was given", func(o *user.Options) { o.RealmName = "n1" }, func(t *testing.T, s *user.Service) {
			put(t, s, "jo", "jo-password")
			if got := logsIn(t, s, "jo", "jo-password", true).Realm; got != (access.Realm{Name: "n1", Type: "native"}) {
				t.Errorf("realm = %+v; want n1", got)
			}
		}},
		{"nothing is kept, and all works", func(o *user.Options) { o.CacheTTL = 0 }, func(t *testing.T, s *user.Service) {
			put(t, s, "jo", "jo-password")
			for range 3 {
				logsIn(t, s, "jo", "jo-password", true)
				logsIn(t, s, "jo", "wrong-password", false)
			}
		}},
		{"more users than are kept all log in", func(o *user.Options) { o.CacheMax = 1 }, func(t *testing.T, s *user.Service) {
			for _, name := range []string{"a", "b", "c"} {
				put(t, s, name, name+"-password")
			}
			for range 5 {
				for _, name := range []string{"a", "b", "c"} {
					logsIn(t, s, name, name+"-password", true)
				}
			}
		}},
		{"a realm for look-ups alone", func(o *user.Options) { o.LookupOnly = true }, func(t *testing.T, s *user.Service) {
			put(t, s, "jo", "jo-password")
			logsIn(t, s, "jo", "jo-password", false)
			if u, err := s.Lookup(t.Context(), "jo"); err != nil || u.Username != "jo" {
				t.Errorf("Lookup(jo) = %+v, %v; want jo", u, err)
			}
		}},
		{"a realm that is switched off", func(o *user.Options) { o.NativeDisabled = true; o.Bootstrap = secret.Of("bootstrap1") }, func(t *testing.T, s *user.Service) {
			put(t, s, "jo", "jo-password")
			logsIn(t, s, "jo", "jo-password", false)
			logsIn(t, s, "elastic", "bootstrap1", true)
			if _, err := s.Lookup(t.Context(), "jo"); fault.KindOf(err) != fault.NotFound {
				t.Errorf("Lookup(jo) = %v; want fault.NotFound", err)
			}
		}},
		{"a look-up finds enabled users of both realms", nil, func(t *testing.T, s *user.Service) {
			put(t, s, "jo", "jo-password")
			for name, want := range map[string]fault.Kind{"jo": fault.Internal, "elastic": fault.Internal, "nobody": fault.NotFound, "": fault.NotFound} {
				if _, err := s.Lookup(t.Context(), name); fault.KindOf(err) != want || err == nil != (want == fault.Internal) {
					t.Errorf("Lookup(%q) = %v; want kind %v", name, err, want)
				}
			}
			if err := s.SetEnabled(t.Context(), admin, "jo", false); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Lookup(t.Context(), "jo"); fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("Lookup of a disabled user = %v; want fault.Unauthenticated", err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.check(t, newService(t, open(t), tt.setup)) })
	}
}

// Each change is made after a login, so that there is something to evict, and
// after a failed one, which must not stay either.
func TestChangesCountForTheNextLogin(t *testing.T) {
	tests := []struct {
		name     string
		change   func(ctx context.Context, s *user.Service) error
		old, new bool // whether the old and the new password log in afterwards
	}{
		{"HT-61 a changed password", func(ctx context.Context, s *user.Service) error {
			return s.ChangePassword(ctx, admin, "jo", password(t, "new-password"))
		}, false, true},
		{"a put with a password", func(ctx context.Context, s *user.Service) error {
			_, err := s.Put(ctx, admin, user.Draft{Username: "jo", Roles: []string{}, Password: password(t, "new-password"), Enabled: true})
			return err
		}, false, true},
		{"a put that disables", func(ctx context.Context, s *user.Service) error {
			_, err := s.Put(ctx, admin, user.Draft{Username: "jo", Roles: []string{}})
			return err
		}, false, false},
		{"a disabled user", func(ctx context.Context, s *user.Service) error { return s.SetEnabled(ctx, admin, "jo", false) }, false, false},
		{"a deleted user", func(ctx context.Context, s *user.Service) error { _, err := s.Delete(ctx, admin, "jo"); return err }, false, false},
		{"a password that the operator set", func(ctx context.Context, s *user.Service) error {
			return s.SetPassword(ctx, "jo", password(t, "new-password"))
		}, false, true},
		{"a cleared cache changes nothing", func(_ context.Context, s *user.Service) error {
			s.Native().Forget(nil)
			s.Native().Forget([]string{"jo"})
			return nil
		}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, open(t), nil)
			put(t, s, "jo", "old-password")
			logsIn(t, s, "jo", "old-password", true)
			logsIn(t, s, "jo", "new-password", false)
			if err := tt.change(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			logsIn(t, s, "jo", "old-password", tt.old)
			logsIn(t, s, "jo", "new-password", tt.new)
		})
	}
}

// hooked is a store in which things happen at a bad moment.
type hooked struct {
	user.Store
	afterRead     func() // after a user was read, before the answer is known
	initReserved  func() error
	afterPassword func() error // after a password was stored; its error is the answer
	reads         int
}

func (h *hooked) User(ctx context.Context, username string) (user.Account, error) {
	h.reads++
	a, err := h.Store.User(ctx, username)
	if h.afterRead != nil {
		h.afterRead()
	}
	return a, err
}

func (h *hooked) InitReservedUserPassword(ctx context.Context, username, hash string, generated bool) (bool, error) {
	if h.initReserved != nil {
		return false, h.initReserved()
	}
	return h.Store.InitReservedUserPassword(ctx, username, hash, generated)
}

func (h *hooked) SetUserPassword(ctx context.Context, username, hash string) error {
	err := h.Store.SetUserPassword(ctx, username, hash)
	if err == nil && h.afterPassword != nil {
		return h.afterPassword()
	}
	return err
}

func TestAPasswordThatWasReadBeforeItsChangeIsNotKept(t *testing.T) {
	h := &hooked{Store: open(t)}
	s := newService(t, h, nil)
	put(t, s, "jo", "old-password")
	h.afterRead = func() {
		h.afterRead = nil
		change(t, s, "jo", "new-password")
	}
	logsIn(t, s, "jo", "old-password", false) // answered after the change was
	logsIn(t, s, "jo", "old-password", false)
	logsIn(t, s, "jo", "new-password", true)
}

func TestAChangeOfUnknownOutcomeIsAssumed(t *testing.T) {
	lost := fault.New(fault.Unknown, "the answer was lost")
	h := &hooked{Store: open(t), afterPassword: func() error { return lost }}
	s := newService(t, h, nil)
	put(t, s, "jo", "old-password")
	logsIn(t, s, "jo", "old-password", true)
	if err := s.ChangePassword(t.Context(), admin, "jo", password(t, "new-password")); !errors.Is(err, lost) {
		t.Fatalf("ChangePassword = %v; want %v", err, lost)
	}
	logsIn(t, s, "jo", "old-password", false)
	logsIn(t, s, "jo", "new-password", true)
}

func TestALoginThatWasCheckedBeforeReadsNothing(t *testing.T) {
	h := &hooked{Store: open(t)}
	s := newService(t, h, nil)
	put(t, s, "jo", "jo-password")
	logsIn(t, s, "jo", "jo-password", true)
	before := h.reads
	for range 10 {
		logsIn(t, s, "jo", "jo-password", true)
	}
	if h.reads != before {
		t.Errorf("10 logins of a user who is kept read the store %d times; want 0", h.reads-before)
	}
}

// An unknown name and a user without a password take about as long as a wrong
// password, so that the time tells nobody which users exist.
func TestRefusalsCostTheSame(t *testing.T) {
	s := newService(t, open(t), nil)
	put(t, s, "jo", "jo-password")
	logsIn(t, s, "nobody", "wrong-password", false) // makes the hash that nobody's password is compared with
	for _, name := range []string{"jo", "nobody", "nobody else", "kibana_system"} {
		before := secret.SlowHashes()
		logsIn(t, s, name, "wrong-password", false)
		if n := secret.SlowHashes() - before; n != 1 {
			t.Errorf("a refusal of %s cost %d slow hashes; want 1, whoever it is", name, n)
		}
	}
}

// Many clients that begin at once with the same password cost one slow
// comparison; the queue of the hashes has no room for them all.
func TestManyLoginsAtOnce(t *testing.T) {
	s := newService(t, open(t), func(o *user.Options) { o.Hasher = hasher(t, "bcrypt10") }) // a thousand of them would take a minute
	put(t, s, "jane", "correct-horse")
	var wg sync.WaitGroup
	errs := make([]error, 1000)
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Authenticate(context.Background(), "jane", "correct-horse") })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
