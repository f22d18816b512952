package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/profile"
	"latchkey/internal/role"
	"latchkey/internal/settings"
	"latchkey/internal/token"
)

// nodeRules are kept by stores that several nodes have open at once.
var nodeRules = []nodeRule{
	{"a key is invalidated by exactly one call of either node", nodesInvalidateOnce},
	{"no update of a key is lost to another node, and none undoes an invalidation", nodesUpdate},
	{"no two rotations of a key replace the same secret, whichever node makes them", nodesRotate},
	{"the last use of a key is kept, whichever node saw it", nodesUse},
	{"what a node notes of a key that another one purges goes with it", nodesPurgeNotes},
	{"of the uses of a refresh token at several nodes exactly one is the first", nodesRefreshOnce},
	{"whoever invalidates the tokens of a user also reaches those that another node makes of them", nodesOutrunRefresh(func(s Store, username string, _ token.Hash) error {
		_, err := s.InvalidateTokens(context.Background(), token.Selector{Username: username}, t0, func([]token.Hash) {})
		return err
	})},
	{"whoever ends a family also reaches the descendant that another node makes", nodesOutrunRefresh(func(s Store, _ string, first token.Hash) error {
		_, err := s.UseRefreshToken(context.Background(), first, func(token.Record) token.Use { return token.Use{At: t0, EndFamily: true} }, func([]token.Hash) {})
		return err
	})},
	{"a half is switched off by exactly one call of either node", nodesSwitchOffOnce},
	{"what several nodes create and delete is there, or not, as they were told", nodesCreateAndDelete},
	{"roles that several nodes put in different order are all put", nodesPutRoles},
	{"no change of a profile, or of settings, is lost to another node", nodesChange},
}

type nodeRule struct {
	name  string
	check func(t *testing.T, nodes [2]Store)
}

// RunNodes checks what holds between nodes that share a store. open returns two
// of them over an empty one, and arranges for them to be closed when t ends.
func RunNodes(t *testing.T, open func(t *testing.T) [2]Store) {
	for _, r := range nodeRules {
		t.Run(r.name, func(t *testing.T) { r.check(t, open(t)) })
	}
}

// at has several goroutines at each node do something with a number of their own.
func at(nodes [2]Store, each int, do func(s Store, i int)) {
	var wg sync.WaitGroup
	for i := range len(nodes) * each {
		wg.Go(func() { do(nodes[i%len(nodes)], i) })
	}
	wg.Wait()
}

func nodesInvalidateOnce(t *testing.T, nodes [2]Store) {
	const keys, rounds = 30, 10
	for round := range rounds {
		username := fmt.Sprint("x", round)
		var all []string
		for i := range keys {
			k := key(fmt.Sprintf("%d-%02d", round, i), username, "r")
			insert(t, nodes[i%2], k)
			all = append(all, k.ID)
		}
		var mu sync.Mutex
		var got []string
		at(nodes, 3, func(s Store, i int) {
			sel := apikey.Selector{Username: username}
			if i >= 2 {
				sel = apikey.Selector{IDs: all}
			}
			found, err := s.InvalidateAPIKeys(context.Background(), sel, false, t0, func([]string) {})
			mu.Lock()
			defer mu.Unlock()
			got = append(got, found.IDs...)
			if named := len(found.IDs) + len(found.Before); err != nil || sel.IDs != nil && named != keys {
				t.Errorf("call %d named %d keys, %v; want all %d", i, named, err, keys)
			}
		})
		slices.Sort(got)
		if !slices.Equal(got, all) {
			t.Errorf("all calls together invalidated %v; want %v", got, all)
		}
	}
}

func nodesUpdate(t *testing.T, nodes [2]Store) {
	const times = 25
	insert(t, nodes[0], key("a", "x", "r"), key("b", "x", "r"))
	count := func(k *apikey.Key) (n int) {
		if err := json.Unmarshal(k.Metadata, &struct{ N *int }{&n}); err != nil {
			t.Error(err)
		}
		return n
	}
	var invalidated sync.WaitGroup
	invalidated.Go(func() { invalidate(t, nodes[1], apikey.Selector{IDs: []string{"a"}}, t0) })
	at(nodes, 2, func(s Store, _ int) {
		for range times {
			err := s.UpdateAPIKeys(context.Background(), apikey.Selector{IDs: []string{"b", "a"}}, nil, func(k *apikey.Key) bool {
				k.Metadata, k.InvalidatedAt = fmt.Appendf(nil, `{"N":%d}`, count(k)+1), time.Time{}
				return true
			}, func([]string) {})
			if err != nil {
				t.Error(err)
			}
		}
	})
	invalidated.Wait()
	for id, want := range map[string]time.Time{"a": t0, "b": {}} {
		if k, err := nodes[0].APIKey(t.Context(), id); err != nil || !k.InvalidatedAt.Equal(want) || count(&k) != 4*times {
			t.Errorf("%s: invalidated at %v, updated %d times, %v; want %v and %d", id, k.InvalidatedAt, count(&k), err, want, 4*times)
		}
	}
}

func nodesRotate(t *testing.T, nodes [2]Store) {
	const times = 15
	k := key("a", "x", "r")
	k.Hash = "first"
	insert(t, nodes[0], k)
	var mu sync.Mutex
	replaced := map[string]bool{}
	at(nodes, 2, func(s Store, i int) {
		for n := range times {
			var old string
			err := s.UpdateAPIKeys(context.Background(), apikey.Selector{IDs: []string{"a"}}, nil, func(k *apikey.Key) bool {
				old = k.Hash
				k.Hash, k.OldHash, k.OldUntil = fmt.Sprint(i, "-", n), old, t0
				return true
			}, func([]string) {})
			mu.Lock()
			replaced[old] = true
			mu.Unlock()
			if err != nil {
				t.Error(err)
			}
		}
	})
	got, err := nodes[1].APIKey(t.Context(), "a")
	if err != nil || len(replaced) != 4*times || !replaced[got.OldHash] || replaced[got.Hash] {
		t.Errorf("%d rotations replaced %d secrets, and left %q after %q, %v", 4*times, len(replaced), got.Hash, got.OldHash, err)
	}
}

func nodesUse(t *testing.T, nodes [2]Store) {
	const keys, times = 20, 30
	var want []apikey.Use
	var ids []string
	for i := range keys {
		k := key(fmt.Sprint("k", i), "x", "r")
		insert(t, nodes[0], k)
		ids = append(ids, k.ID)
		want = append(want, useOf(k.ID, t0.Add((4*times-1)*time.Second), "agent"))
	}
	at(nodes, 2, func(s Store, i int) {
		for _, n := range rand.Perm(times) {
			var uses []apikey.Use
			for _, k := range rand.Perm(keys) {
				uses = append(uses, useOf(ids[k], t0.Add(time.Duration(4*n+i)*time.Second), "agent"))
			}
			if err := s.NoteAPIKeyUses(context.Background(), uses); err != nil {
				t.Error(err)
			}
		}
	})
	wantUses(t, nodes[1], ids, want...)
}

// nodesPurgeNotes looks for what is left of a key under another one of the same id.
func nodesPurgeNotes(t *testing.T, nodes [2]Store) {
	for round := range 30 {
		k := until(fmt.Sprint("k", round), time.Minute)
		insert(t, nodes[0], k)
		at(nodes, 2, func(s Store, i int) {
			var err error
			switch i {
			case 0:
				err = s.NoteAPIKeyUses(context.Background(), []apikey.Use{useOf(k.ID, t0, "agent")})
			case 2:
				err = s.NoteTold(context.Background(), []apikey.Key{k})
			default:
				_, err = s.PurgeAPIKeys(context.Background(), k.ExpiresAt, 10)
			}
			if err != nil {
				t.Error(err)
			}
		})
		wantUses(t, nodes[0], []string{k.ID})
		insert(t, nodes[0], k)
		untold, err := nodes[1].UntoldAPIKeys(t.Context(), t0, t0.Add(time.Hour), 10)
		if err != nil || len(untold) != 1 {
			t.Errorf("untold are %v, %v; want the new key of the same id", idsOf(untold), err)
		}
		if _, err := nodes[1].PurgeAPIKeys(t.Context(), k.ExpiresAt, 10); err != nil {
			t.Fatal(err)
		}
	}
}

func nodesRefreshOnce(t *testing.T, nodes [2]Store) {
	for round := range 20 {
		old := pairOf(fmt.Sprint("old", round), "x", "r")
		addTokens(t, nodes[0], old)
		var mu sync.Mutex
		var first []token.Record
		at(nodes, 3, func(s Store, i int) {
			next := pairOf(fmt.Sprint("next", round, " ", i), "x", "r")
			seen, err := s.UseRefreshToken(context.Background(), old.Refresh, func(r token.Record) token.Use {
				if !r.RefreshedAt.IsZero() {
					return token.Use{}
				}
				return token.Use{At: t0, Next: &next, Sealed: next.Refresh[:]}
			}, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if seen.RefreshedAt.IsZero() {
				first = append(first, next)
			}
		})
		if len(first) != 1 {
			t.Fatalf("round %d: %d uses were the first; want 1", round, len(first))
		}
		wantToken(t, nodes[1], first[0])
		old.RefreshedAt, old.Sealed = t0, first[0].Refresh[:]
		wantToken(t, nodes[1], old)
	}
}

// nodesOutrunRefresh has one node refresh token after token, as long as it may,
// while the other ends them all.
func nodesOutrunRefresh(end func(s Store, username string, first token.Hash) error) func(t *testing.T, nodes [2]Store) {
	return func(t *testing.T, nodes [2]Store) {
		for round := range 20 {
			username := fmt.Sprint("x", round)
			link := func(i int) token.Record { return pairOf(fmt.Sprintf("%d-%d", round, i), username, "r") }
			addTokens(t, nodes[0], link(0))
			made := 0 // the number of the last link
			refresh := func() bool {
				next := link(made + 1)
				alive := false
				_, err := nodes[0].UseRefreshToken(context.Background(), link(made).Refresh, func(r token.Record) token.Use {
					if alive = r.RefreshOffAt.IsZero(); !alive {
						return token.Use{}
					}
					return token.Use{At: t0, Next: &next, Sealed: []byte("sealed")}
				}, nil)
				if err != nil {
					t.Error(err)
				}
				if alive {
					made++
				}
				return alive && err == nil
			}
			refresh()
			var wg sync.WaitGroup
			wg.Go(func() {
				for made < 5000 && refresh() { // far more than it takes to end them
				}
			})
			if err := end(nodes[1], username, link(0).Refresh); err != nil {
				t.Error(err)
			}
			wg.Wait()
			for i := 1; i <= made; i++ {
				if r, err := nodes[1].Token(t.Context(), link(i).Access); err != nil || r.AccessOffAt.IsZero() || r.RefreshOffAt.IsZero() {
					t.Fatalf("round %d: token %d of %d is off at %v and %v, %v", round, i, made, r.AccessOffAt, r.RefreshOffAt, err)
				}
			}
		}
	}
}

func nodesSwitchOffOnce(t *testing.T, nodes [2]Store) {
	const pairs = 20
	for round := range 10 {
		username := fmt.Sprint("x", round)
		for i := range pairs {
			addTokens(t, nodes[i%2], pairOf(fmt.Sprintf("%d-%d", round, i), username, "r"))
		}
		var mu sync.Mutex
		sum := 0
		at(nodes, 4, func(s Store, i int) {
			sel := token.Selector{Username: username}
			switch i / 2 {
			case 0:
				sel = token.Selector{Access: hash(fmt.Sprintf("%d-7 access", round))}
			case 1:
				sel = token.Selector{Refresh: hash(fmt.Sprintf("%d-7 refresh", round))}
			}
			got, err := s.InvalidateTokens(context.Background(), sel, t0, func([]token.Hash) {})
			mu.Lock()
			defer mu.Unlock()
			sum += got.Now
			if err != nil {
				t.Error(err)
			}
		})
		if sum != 2*pairs {
			t.Errorf("all calls together switched off %d halves; want %d", sum, 2*pairs)
		}
	}
}

// nodesCreateAndDelete counts: what was created and not deleted is there.
func nodesCreateAndDelete(t *testing.T, nodes [2]Store) {
	for _, of := range []struct {
		name string
		put  func(s Store) (bool, error)
		del  func(s Store) (bool, error)
		get  func(s Store) error
	}{
		{
			"a user",
			func(s Store) (bool, error) { return s.PutUser(context.Background(), sampleUser("x"), "h") },
			func(s Store) (bool, error) { return s.DeleteUser(context.Background(), "x") },
			func(s Store) error { _, err := s.User(context.Background(), "x"); return err },
		}, {
			"a role",
			func(s Store) (bool, error) { return s.PutRole(context.Background(), "x", access.Descriptor{}) },
			func(s Store) (bool, error) { return s.DeleteRole(context.Background(), "x") },
			func(s Store) error { _, err := s.Role(context.Background(), "x"); return err },
		}, {
			"a service token",
			func(s Store) (bool, error) {
				err := s.InsertServiceToken(context.Background(), serviceToken("a/b", "x"))
				if fault.KindOf(err) == fault.Conflict {
					return false, nil
				}
				return err == nil, err
			},
			func(s Store) (bool, error) { return s.DeleteServiceToken(context.Background(), "a/b", "x", nothing) },
			func(s Store) error {
				_, err := s.ServiceToken(context.Background(), "a/b", "x")
				return err
			},
		},
	} {
		var mu sync.Mutex
		there := 0
		at(nodes, 3, func(s Store, i int) {
			for range 20 {
				act, change := of.put, 1
				if i >= 4 {
					act, change = of.del, -1
				}
				done, err := act(s)
				mu.Lock()
				if done {
					there += change
				}
				mu.Unlock()
				if err != nil {
					t.Errorf("%s: %v", of.name, err)
				}
			}
		})
		if err := of.get(nodes[0]); there != 0 && there != 1 || (err == nil) != (there == 1) {
			t.Errorf("%s was created %d times more than it was deleted, and reading it is %v", of.name, there, err)
		}
	}
}

func nodesPutRoles(t *testing.T, nodes [2]Store) {
	at(nodes, 2, func(s Store, i int) {
		names := strings.Split("abcdef", "")
		if i%2 == 1 {
			slices.Reverse(names)
		}
		for round := range 10 {
			var roles []role.Named
			for _, name := range names {
				roles = append(roles, role.Named{Name: name, Descriptor: access.Descriptor{Cluster: []string{fmt.Sprint(i, round)}}})
			}
			if _, err := s.PutRoles(context.Background(), roles); err != nil {
				t.Error(err)
			}
		}
	})
	all, err := nodes[0].Roles(t.Context(), nil)
	if err != nil || len(all) != 6 {
		t.Fatalf("there are %d roles, %v; want 6", len(all), err)
	}
	for name, d := range all {
		if !slices.Equal(d.Cluster, all["a"].Cluster) {
			t.Errorf("the roles a and %s are of different calls: %v and %v", name, all["a"].Cluster, d.Cluster)
		}
	}
}

func nodesChange(t *testing.T, nodes [2]Store) {
	const times = 20
	activate(t, nodes[0], sampleProfile("u"))
	at(nodes, 2, func(s Store, i int) {
		for n := range times {
			name := fmt.Sprint(i, "-", n)
			err := s.ChangeProfile(context.Background(), "u", func(p *profile.Profile) error {
				p.Roles = append(p.Roles, name)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := s.ChangeSettings(context.Background(), func(all map[string]settings.Index) { all[name] = settings.Index{} }); err != nil {
				t.Error(err)
			}
		}
	})
	got, err := nodes[1].Profiles(t.Context(), []string{"u"})
	if err != nil || len(got) != 1 || len(got[0].Roles) != 2+4*times || got[0].Version != 4*times {
		t.Errorf("the profile is %+v, %v; want %d changes in it", got, err, 4*times)
	}
	if all, err := nodes[1].Settings(t.Context()); err != nil || len(all) != 4*times {
		t.Errorf("there are %d settings, %v; want %d", len(all), err, 4*times)
	}
}
