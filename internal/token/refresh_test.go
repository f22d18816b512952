package token_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
)

// pair is what two grants can be compared by.
func pair(g token.Granted) [2]string { return [2]string{g.Access, g.Refresh} }

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := newFixture(t), client("c")
		first := f.grant(t, c, passwordGrant("u"))
		second := f.grant(t, c, refreshGrant(first.Refresh))
		if second.Access == first.Access || second.Refresh == first.Refresh || second.ExpiresIn != 20*time.Minute {
			t.Errorf("TK-28: the second pair shares a token with the first, or lives for %v", second.ExpiresIn)
		}
		f.accepted(t, first.Access) // TK-29
		f.accepted(t, second.Access)
		third := f.grant(t, c, refreshGrant(second.Refresh)) // the chain goes on, and each link replays
		f.invalidate(t, token.InvalidateRequest{Token: second.Access}, token.Invalidated{Now: 1, Found: true})
		time.Sleep(30 * time.Second)
		if got := f.grant(t, c, refreshGrant(first.Refresh)); pair(got) != pair(second) || got.ExpiresIn != 20*time.Minute {
			t.Errorf("TK-30: the replay at 30 s is another pair, or lives for %v", got.ExpiresIn)
		}
		if got := f.grant(t, c, refreshGrant(second.Refresh)); pair(got) != pair(third) {
			t.Error("TK-30: the second link replays to another pair")
		}
		time.Sleep(time.Millisecond)
		f.refused(t, c, first.Refresh, "token has already been refreshed more than 30 seconds in the past") // TK-32
	})
}

func TestRefreshInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := newFixture(t), client("c")
		late, early := f.grant(t, c, passwordGrant("u")), f.grant(t, c, passwordGrant("u"))
		time.Sleep(23*time.Hour + 59*time.Minute)
		wantOver(t, f.Service, early.Access)
		next := f.grant(t, c, refreshGrant(early.Refresh)) // TK-36
		f.accepted(t, next.Access)
		time.Sleep(time.Minute + time.Second)
		f.refused(t, c, late.Refresh, "expired") // TK-36
		f.refused(t, c, early.Refresh, "expired")
		f.accepted(t, f.grant(t, c, refreshGrant(next.Refresh)).Access) // each refresh starts another day
	})
}

func TestClocksThatDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := newFixture(t), client("c")
		behind := f.over(f.store, func(o *token.Options) { o.Now = func() time.Time { return time.Now().Add(-31 * time.Second) } })
		first := f.grant(t, c, passwordGrant("u"))
		second := f.grant(t, c, refreshGrant(first.Refresh))
		_, err := behind.Grant(t.Context(), c, refreshGrant(first.Refresh))
		wantRefusal(t, err, "invalid_grant", "clocks disagree")
		f.accepted(t, second.Access) // and nothing was revoked
		time.Sleep(time.Second)
		if got, err := behind.Grant(t.Context(), c, refreshGrant(first.Refresh)); err != nil || pair(got) != pair(second) {
			t.Errorf("a clock 30 s behind: %v", err)
		}
	})
}

// TK-33 TK-34 TK-35: who is the creating client.
func TestWhoMayRefresh(t *testing.T) {
	in := func(name, realm, typ string) *access.Caller {
		c := client(name)
		c.Realm = access.Realm{Name: realm, Type: typ}
		return c
	}
	runAs := &access.Caller{Type: access.ByRealm, Subject: client("target").Subject, By: &client("c").Subject}
	byToken := client("c")
	byToken.Type = access.ByToken
	k1, k2 := apiKey("k1", "manage_token"), apiKey("k2", "manage_token")
	renamed := apiKey("k1", "manage_token")
	renamed.APIKey.Name = "renamed"
	tests := []struct {
		name          string
		made, refresh *access.Caller
		allowed       bool
	}{
		{"the same user", client("c"), client("c"), true},
		{"TK-33: another user", client("c"), client("d"), false},
		{"the user inside", client("c"), client("u"), false},
		{"TK-34: the same user with a token", client("c"), byToken, true},
		{"a user of that name in another realm", in("c", "default_native", "native"), in("c", "ldap1", "ldap"), false},
		{"in a realm of the same type", in("c", "ldap1", "ldap"), in("c", "ldap2", "ldap"), false},
		{"in a realm of the same name", in("c", "r", "ldap"), in("c", "r", "saml"), false},
		{"in the native realm that was renamed", in("c", "n1", "native"), in("c", "n2", "native"), true},
		{"in the file realm that was renamed", in("c", "f1", "file"), in("c", "f2", "file"), true},
		{"TK-35: by run-as, then by who ran as", runAs, client("c"), false},
		{"TK-35: by run-as again", runAs, runAs, true},
		{"TK-35: by run-as, then with the own password", runAs, client("target"), true},
		{"the same API key", k1, k1, true},
		{"the same API key under another name", k1, renamed, true},
		{"another API key of the owner", k1, k2, false},
		{"the owner of the API key", k1, client("owner"), false},
		{"an API key of the user", client("owner"), k1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			made := f.grant(t, tt.made, passwordGrant("u"))
			if !tt.allowed {
				f.refused(t, tt.refresh, made.Refresh, "tokens must be refreshed by the creating client")
				f.accepted(t, f.grant(t, tt.made, refreshGrant(made.Refresh)).Access) // it was not used up
				return
			}
			next := f.grant(t, tt.refresh, refreshGrant(made.Refresh))
			f.grant(t, tt.refresh, refreshGrant(next.Refresh)) // the new one is bound to who refreshed
			if got := f.grant(t, tt.made, refreshGrant(made.Refresh)); pair(got) != pair(next) {
				t.Error("the replay is another pair")
			}
		})
	}
}

func TestRefreshRefused(t *testing.T) {
	f, c := newFixture(t), client("c")
	made := f.grant(t, c, passwordGrant("u"))
	single := f.grant(t, c, clientCredentials)
	for _, s := range []string{"garbage", secret.NewRefreshToken(), made.Access, single.Access, made.Refresh + "=", "!"} { // TK-38
		f.refused(t, c, s, "could not be refreshed")
	}
	used := f.grant(t, c, passwordGrant("u"))
	next := f.grant(t, c, refreshGrant(used.Refresh))
	for _, s := range []string{made.Refresh, used.Refresh} {
		f.invalidate(t, token.InvalidateRequest{RefreshToken: s}, token.Invalidated{Now: 1, Found: true})
		f.refused(t, c, s, "token has been invalidated")           // TK-37
		f.refused(t, client("d"), s, "token has been invalidated") // before it is asked who made it
	}
	f.accepted(t, next.Access) // the pair that it led to is not affected
	f.grant(t, c, refreshGrant(next.Refresh))
}

// A refresh token that comes back after its 30 s may be in two hands.
func TestReuse(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFixture(t, func(o *token.Options) { o.KeepFamily = keep }), client("c")
			stranger := f.grant(t, c, passwordGrant("u"))
			chain := []token.Granted{f.grant(t, c, passwordGrant("u"))}
			for range 3 {
				chain = append(chain, f.grant(t, c, refreshGrant(chain[len(chain)-1].Refresh)))
			}
			for _, g := range chain {
				f.accepted(t, g.Access) // warms the cache
			}
			time.Sleep(31 * time.Second)
			f.refused(t, client("thief"), chain[1].Refresh, "creating client")
			if f.log.Len() > 0 {
				t.Errorf("keep %t: logged too early: %s", keep, f.log)
			}
			f.refused(t, c, chain[1].Refresh, "more than 30 seconds")
			line := f.log.String()
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, "level=WARN") || !strings.Contains(line, "username=u") || !strings.Contains(line, "client=c") {
				t.Errorf("keep %t: logged %q; want one warning", keep, line)
			}
			for _, g := range []token.Granted{stranger, chain[0], chain[1]} {
				f.accepted(t, g.Access)
			}
			for _, g := range chain[2:] {
				if keep {
					f.accepted(t, g.Access)
					continue
				}
				wantOver(t, f.Service, g.Access)
				f.refused(t, c, g.Refresh, "token has been invalidated")
			}
			f.grant(t, c, refreshGrant(stranger.Refresh))
		})
	}
}

// TK-31: many callers of two services over one store get one pair, which works at once.
func TestManyRefreshesGiveOnePair(t *testing.T) {
	f, c := newFixture(t), client("c")
	services := []*token.Service{f.Service, f.over(f.store)}
	for range 20 {
		first := f.grant(t, c, passwordGrant("u"))
		const callers = 16
		pairs := make([][2]string, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				g, err := services[i%2].Grant(context.Background(), c, refreshGrant(first.Refresh))
				if err != nil {
					t.Errorf("caller %d: %v", i, err)
					return
				}
				pairs[i] = pair(g)
				for _, s := range services {
					if _, err := s.Verify(context.Background(), g.Access); err != nil {
						t.Errorf("caller %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
		if n := len(slices.Compact(pairs)); n != 1 {
			t.Fatalf("%d callers got %d pairs; want 1", callers, n)
		}
	}
	f.invalidate(t, token.InvalidateRequest{Username: "u"}, token.Invalidated{Now: 2 * 2 * 20, Found: true}) // no other pair came to be
}

// TK-70: whatever becomes of the answer, a refresh token works, replays, or is
// refused, and never leads to two pairs.
type losing struct {
	*sqlstore.DB
	before, after error
}

func (l *losing) UseRefreshToken(ctx context.Context, refresh token.Hash, judge func(token.Record) token.Use, changed func([]token.Hash)) (token.Record, error) {
	if l.before != nil {
		return token.Record{}, l.before
	}
	r, err := l.DB.UseRefreshToken(ctx, refresh, judge, changed)
	if l.after != nil {
		return token.Record{}, l.after
	}
	return r, err
}

func TestARefreshWhoseAnswerIsLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		losing
	}{
		{"nothing was done", losing{before: fault.New(fault.Unavailable, "away")}},
		{"it was done", losing{after: fault.New(fault.Unknown, "not confirmed")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, c := newFixture(t), client("c")
			first := f.grant(t, c, passwordGrant("u"))
			tt.DB = f.store
			if _, err := f.over(&tt.losing).Grant(t.Context(), c, refreshGrant(first.Refresh)); err == nil || fault.KindOf(err) == fault.Internal {
				t.Errorf("refresh: %v; want the store's fault, not a refusal of the token", err)
			}
			second := f.grant(t, c, refreshGrant(first.Refresh))
			if again := f.grant(t, c, refreshGrant(first.Refresh)); pair(again) != pair(second) {
				t.Error("two pairs")
			}
			f.accepted(t, second.Access)
			f.invalidate(t, token.InvalidateRequest{Username: "u"}, token.Invalidated{Now: 4, Found: true})
		})
	}
}

// Whatever order refreshes, pauses and invalidations come in, the service agrees
// with a model of a few lines.
func TestRefreshAgreesWithAModel(t *testing.T) {
	type link struct {
		granted               token.Granted
		made, used            time.Time
		accessOff, refreshOff bool
		next                  int
	}
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 1<<16), 1, 25).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			f, c := newFixture(t), client("c")
			links := []*link{{granted: f.grant(t, c, passwordGrant("u")), made: time.Now(), next: -1}}
			for n, step := range steps {
				l := links[step/8%len(links)]
				switch step % 8 {
				case 0, 1, 2:
					g, err := f.Grant(t.Context(), c, refreshGrant(l.granted.Refresh))
					late := !l.used.IsZero() && time.Since(l.used) > 30*time.Second
					allowed := time.Since(l.made) <= 24*time.Hour && !l.refreshOff && !late
					if (err == nil) != allowed {
						t.Fatalf("step %d: refresh: %v; want allowed %t", n, err, allowed)
					}
					switch {
					case allowed && l.used.IsZero():
						l.used, l.next = time.Now(), len(links)
						links = append(links, &link{granted: g, made: time.Now(), next: -1})
					case allowed && pair(g) != pair(links[l.next].granted):
						t.Fatalf("step %d: the replay is another pair", n)
					case late && !l.refreshOff && time.Since(l.made) <= 24*time.Hour:
						for i := l.next; i >= 0; i = links[i].next {
							links[i].accessOff, links[i].refreshOff = true, true
						}
					}
				case 3:
					was := l.accessOff
					l.accessOff = true
					f.invalidate(t, token.InvalidateRequest{Token: l.granted.Access}, counted(was))
				case 4:
					was := l.refreshOff
					l.refreshOff = true
					f.invalidate(t, token.InvalidateRequest{RefreshToken: l.granted.Refresh}, counted(was))
				default:
					time.Sleep([]time.Duration{time.Second, 15 * time.Second, 31 * time.Second, 20 * time.Minute, 8 * time.Hour}[step/8%5])
				}
				for i, l := range links {
					_, err := f.Verify(t.Context(), l.granted.Access)
					if live := !l.accessOff && time.Since(l.made) <= 20*time.Minute; (err == nil) != live {
						t.Fatalf("step %d: token %d: %v; want live %t", n, i, err, live)
					}
				}
			}
		})
	})
}

func counted(before bool) token.Invalidated {
	if before {
		return token.Invalidated{Before: 1, Found: true}
	}
	return token.Invalidated{Now: 1, Found: true}
}
