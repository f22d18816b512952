package token_test

import (
	"errors"
	"testing"
	"time"

	"latchkey/internal/secret"
	"latchkey/internal/token"
)

// Who holds on to a token that was accepted learns of whatever ends it.
func TestAgain(t *testing.T) {
	clock := time.Now()
	var lease error
	for name, tt := range map[string]struct {
		act  func(f *fixture, g token.Granted) error
		want string
	}{
		"nothing": {func(*fixture, token.Granted) error { return nil }, "u"},
		"its invalidation": {func(f *fixture, g token.Granted) error {
			_, err := f.Invalidate(t.Context(), client("admin", "manage_token"), token.InvalidateRequest{Token: g.Access})
			return err
		}, "judge"},
		"its expiration": {func(*fixture, token.Granted) error { clock = clock.Add(2 * time.Hour); return nil }, "judge"},
		"a change of its roles": {func(f *fixture, _ token.Granted) error {
			f.house.change(func() { f.house.roles["u"] = permissions("monitor") })
			return nil
		}, "judge"},
		"a lease's lapse": {func(*fixture, token.Granted) error { lease = errors.New("lapsed"); return nil }, "cannot tell"},
	} {
		t.Run(name, func(t *testing.T) {
			lease = nil
			f := newFixture(t, func(o *token.Options) {
				o.Now = func() time.Time { return clock }
				o.Lease = func() error { return lease }
			})
			g := f.grant(t, client("admin", "manage_token"), passwordGrant("u"))
			if f.Again(g.Access) != nil {
				t.Error("a token that is not in memory was taken for known")
			}
			f.accepted(t, g.Access)
			again := f.Again(g.Access)
			ask := func() string {
				switch c, err := again(t.Context()); {
				case err != nil:
					return "cannot tell"
				case c == nil:
					return "judge"
				default:
					return c.Username
				}
			}
			if got := ask(); got != "u" {
				t.Fatalf("at first: %s", got)
			}
			if err := tt.act(f, g); err != nil {
				t.Fatal(err)
			}
			if got := ask(); got != tt.want {
				t.Errorf("after %s: %s; want %s", name, got, tt.want)
			}
		})
	}
}

// As for keys: what another node has ended by its user or by a filter is looked up
// anew, and the rest stays in memory.
func TestMassesOfOtherNodes(t *testing.T) {
	hash := func(access string) string { h := secret.HashToken(access); return string(h[:]) }
	for name, tt := range map[string]struct {
		act     func(f *fixture, access string)
		refused bool
	}{
		"nothing": {func(*fixture, string) {}, false},
		"the hash": {func(f *fixture, access string) {
			f.ForgetIf(func(name string) bool { return name == hash(access) })
		}, true},
		"another hash": {func(f *fixture, access string) {
			f.ForgetIf(func(name string) bool { return name == hash(access+"x") })
		}, false},
		"the user":     {func(f *fixture, _ string) { f.ForgetOwner("u", "") }, true},
		"another user": {func(f *fixture, _ string) { f.ForgetOwner("other", "") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			g := f.grant(t, client("admin", "manage_token"), passwordGrant("u"))
			f.accepted(t, g.Access)
			if _, err := f.over(f.store).Invalidate(t.Context(), client("admin", "manage_token"), token.InvalidateRequest{Token: g.Access}); err != nil {
				t.Fatal(err)
			}
			tt.act(f, g.Access)
			if _, err := f.Verify(t.Context(), g.Access); (err != nil) != tt.refused {
				t.Errorf("%v; want it refused: %t", err, tt.refused)
			}
		})
	}
}
