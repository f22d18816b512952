package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"latchkey/internal/fault"
	"latchkey/internal/serviceaccount"
)

var serviceTokenRules = []rule{
	{"a service token reads back as written", serviceTokenReadsBack},
	{"an unknown service token is NotFound", serviceTokenUnknown},
	{"a taken name of a service token is Conflict and changes nothing", serviceTokenTaken},
	{"service tokens are listed by account, sorted", serviceTokensListed},
	{"a deleted service token is gone, and its name is free", serviceTokenDeleted},
	{"a service token is deleted by exactly one caller, and whoever finds it gone finds it after deleted has returned", serviceTokenDeletedOnce},
}

func serviceToken(account, name string) serviceaccount.Token {
	return serviceaccount.Token{Account: account, Name: name, Hash: "hash of " + account + "/" + name, CreatedAt: t0}
}

func insertServiceTokens(t *testing.T, s Store, tokens ...serviceaccount.Token) {
	t.Helper()
	for _, token := range tokens {
		if err := s.InsertServiceToken(t.Context(), token); err != nil {
			t.Fatalf("InsertServiceToken(%s/%s): %v", token.Account, token.Name, err)
		}
	}
}

func wantServiceToken(t *testing.T, s Store, want serviceaccount.Token) {
	t.Helper()
	got, err := s.ServiceToken(t.Context(), want.Account, want.Name)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ServiceToken(%s, %s): %v (-want +got)\n%s", want.Account, want.Name, err, diff)
	}
}

func deleteServiceToken(t *testing.T, s Store, account, name string, want bool) {
	t.Helper()
	told := false
	found, err := s.DeleteServiceToken(t.Context(), account, name, func() { told = true })
	if found != want || told != want || err != nil {
		t.Errorf("DeleteServiceToken(%s, %s) = %v, %v, told %v; want %v", account, name, found, err, told, want)
	}
}

func serviceTokenReadsBack(t *testing.T, s Store) {
	small, capital, other := serviceToken("elastic/kibana", "t"), serviceToken("elastic/kibana", "T"), serviceToken("elastic/fleet-server", "t")
	other.CreatedAt = t0.Add(time.Millisecond)
	insertServiceTokens(t, s, small, capital, other)
	for _, want := range []serviceaccount.Token{small, capital, other} {
		wantServiceToken(t, s, want)
	}
}

func serviceTokenUnknown(t *testing.T, s Store) {
	insertServiceTokens(t, s, serviceToken("elastic/kibana", "t"))
	for _, of := range [][2]string{{"elastic/kibana", "T"}, {"elastic/kibana", "t'"}, {"elastic/fleet-server", "t"}, {"", "t"}, {"elastic/kibana", ""}} {
		if _, err := s.ServiceToken(t.Context(), of[0], of[1]); fault.KindOf(err) != fault.NotFound {
			t.Errorf("ServiceToken(%q, %q) = %v; want NotFound", of[0], of[1], err)
		}
		deleteServiceToken(t, s, of[0], of[1], false)
	}
	wantServiceToken(t, s, serviceToken("elastic/kibana", "t"))
}

func serviceTokenTaken(t *testing.T, s Store) {
	first, second := serviceToken("elastic/kibana", "t"), serviceToken("elastic/kibana", "t")
	second.Hash = "another"
	insertServiceTokens(t, s, first)
	if err := s.InsertServiceToken(t.Context(), second); fault.KindOf(err) != fault.Conflict {
		t.Errorf("InsertServiceToken of a taken name = %v; want Conflict", err)
	}
	wantServiceToken(t, s, first)
}

func serviceTokensListed(t *testing.T, s Store) {
	insertServiceTokens(t, s, serviceToken("elastic/kibana", "b"), serviceToken("elastic/kibana", "a"), serviceToken("elastic/kibana", "B"),
		serviceToken("elastic/fleet-server", "c"))
	for account, want := range map[string][]string{"elastic/kibana": {"B", "a", "b"}, "elastic/fleet-server": {"c"}, "elastic/fleet": nil} {
		if got, err := s.ServiceTokens(t.Context(), account); !slices.Equal(got, want) || err != nil {
			t.Errorf("ServiceTokens(%s) = %q, %v; want %q", account, got, err, want)
		}
	}
}

func serviceTokenDeleted(t *testing.T, s Store) {
	insertServiceTokens(t, s, serviceToken("elastic/kibana", "t"), serviceToken("elastic/kibana", "u"), serviceToken("elastic/fleet-server", "t"))
	deleteServiceToken(t, s, "elastic/kibana", "t", true)
	deleteServiceToken(t, s, "elastic/kibana", "t", false)
	if _, err := s.ServiceToken(t.Context(), "elastic/kibana", "t"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the deleted token: %v; want NotFound", err)
	}
	wantServiceToken(t, s, serviceToken("elastic/kibana", "u"))
	wantServiceToken(t, s, serviceToken("elastic/fleet-server", "t"))
	again := serviceToken("elastic/kibana", "t")
	again.Hash = "another"
	insertServiceTokens(t, s, again)
	wantServiceToken(t, s, again)
}

func serviceTokenDeletedOnce(t *testing.T, s Store) {
	for round := range 100 {
		name := fmt.Sprint("t", round)
		insertServiceTokens(t, s, serviceToken("elastic/kibana", name))
		var mu sync.Mutex
		told, finders := false, 0
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				found, err := s.DeleteServiceToken(context.Background(), "elastic/kibana", name, func() {
					time.Sleep(100 * time.Microsecond)
					mu.Lock()
					told = true
					mu.Unlock()
				})
				mu.Lock()
				defer mu.Unlock()
				if found {
					finders++
				}
				if err != nil || !told {
					t.Errorf("round %d: answered (%v) before deleted had returned", round, err)
				}
			})
		}
		wg.Wait()
		if finders != 1 {
			t.Errorf("round %d: %d callers deleted the token; want 1", round, finders)
		}
	}
}
