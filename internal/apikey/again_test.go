package apikey_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
)

// Who holds on to a key that was accepted learns of whatever ends or changes it.
func TestAgain(t *testing.T) {
	clock := time.Now()
	var lease error
	by := caller(t, "u", "manage_own_api_key")
	ask := func(again func(context.Context) (*access.Caller, error)) string {
		switch c, err := again(t.Context()); {
		case err != nil:
			return "cannot tell"
		case c == nil:
			return "judge"
		default:
			return c.Username
		}
	}
	for name, tt := range map[string]struct {
		act  func(s *apikey.Service, k apikey.Created) error
		want string
	}{
		"nothing": {func(*apikey.Service, apikey.Created) error { return nil }, "u"},
		"its invalidation": {func(s *apikey.Service, k apikey.Created) error {
			_, err := s.Invalidate(t.Context(), by, apikey.InvalidateRequest{IDs: []string{k.ID}, Owner: true})
			return err
		}, "judge"},
		"its rotation": {func(s *apikey.Service, k apikey.Created) error {
			_, err := s.Rotate(t.Context(), by, k.ID, time.Hour)
			return err
		}, "judge"},
		"its expiration":  {func(*apikey.Service, apikey.Created) error { clock = clock.Add(2 * time.Hour); return nil }, "judge"},
		"an empty cache":  {func(s *apikey.Service, _ apikey.Created) error { s.Forget(nil); return nil }, "judge"},
		"a lease's lapse": {func(*apikey.Service, apikey.Created) error { lease = errors.New("lapsed"); return nil }, "cannot tell"},
	} {
		t.Run(name, func(t *testing.T) {
			lease = nil
			s := newService(openStore(t), func(o *apikey.Options) {
				o.Now = func() time.Time { return clock }
				o.Lease = func() error { return lease }
			})
			hour := time.Hour
			k, err := s.Create(t.Context(), by, apikey.CreateRequest{Name: "n", Expiration: &hour})
			if err != nil {
				t.Fatal(err)
			}
			if s.Again(k.ID, k.Secret) != nil {
				t.Error("a key that is not in memory was taken for known")
			}
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil {
				t.Fatal(err)
			}
			if s.Again(k.ID, k.Secret+"x") != nil {
				t.Error("a wrong secret was taken for the key's")
			}
			again := s.Again(k.ID, k.Secret)
			if got := ask(again); got != "u" {
				t.Fatalf("at first: %s", got)
			}
			if err := tt.act(s, k); err != nil {
				t.Fatal(err)
			}
			if got := ask(again); got != tt.want {
				t.Errorf("after %s: %s; want %s", name, got, tt.want)
			}
		})
	}
}

// Nobody may hold on to what no invalidation would find: without a cache, or by a
// secret that ends with an overlap.
func TestAgainOfWhatIsNotKept(t *testing.T) {
	by := caller(t, "u", "manage_own_api_key")
	s := newService(openStore(t), func(o *apikey.Options) { o.CacheMax = 0 })
	k := create(t, s, by, "n")
	if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil || s.Again(k.ID, k.Secret) != nil {
		t.Errorf("without a cache: %v, or it may be asked again", err)
	}
	s = newService(openStore(t))
	k = create(t, s, by, "n")
	if _, err := s.Rotate(t.Context(), by, k.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil || s.Again(k.ID, k.Secret) != nil {
		t.Errorf("the old secret: %v, or it may be asked again", err)
	}
}

// What another node has ended by its owner or by a filter is looked up anew, and the
// rest stays in memory. The memory is warm, and the store knows of the end: only what
// was forgotten is refused.
func TestMassesOfOtherNodes(t *testing.T) {
	by := caller(t, "u", "manage_own_api_key")
	for name, tt := range map[string]struct {
		act     func(s *apikey.Service, id string)
		refused bool
	}{
		"nothing":              {func(*apikey.Service, string) {}, false},
		"the id":               {func(s *apikey.Service, id string) { s.ForgetIf(func(name string) bool { return name == id }) }, true},
		"another id":           {func(s *apikey.Service, id string) { s.ForgetIf(func(name string) bool { return name == "x"+id }) }, false},
		"the owner":            {func(s *apikey.Service, _ string) { s.ForgetOwner("u", by.Realm.Name) }, true},
		"the realm":            {func(s *apikey.Service, _ string) { s.ForgetOwner("", by.Realm.Name) }, true},
		"another user":         {func(s *apikey.Service, _ string) { s.ForgetOwner("other", by.Realm.Name) }, false},
		"a user of that name":  {func(s *apikey.Service, _ string) { s.ForgetOwner("u", "") }, true},
		"one of another realm": {func(s *apikey.Service, _ string) { s.ForgetOwner("u", "other") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			s, other := newService(store), newService(store)
			k := create(t, s, by, "n")
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Invalidate(t.Context(), by, apikey.InvalidateRequest{IDs: []string{k.ID}, Owner: true}); err != nil {
				t.Fatal(err)
			}
			tt.act(s, k.ID)
			if _, err := s.Verify(t.Context(), k.ID, k.Secret); (err != nil) != tt.refused {
				t.Errorf("%v; want it refused: %t", err, tt.refused)
			}
		})
	}
}
