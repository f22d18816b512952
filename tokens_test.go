package latchkey_test

import (
	"net/http"
	"sync"
	"testing"

	"latchkey"
)

// A refusal of OAuth2 has no type and reason of the usual form.
func TestRefusalsOfOAuth2(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"error":"invalid_grant","error_description":"no"}`: {"invalid_grant", "no"},
		`{"error":"_unauthorized","error_description":null}`: {"_unauthorized", ""},
		`{"error":"a text"}`: {"", "a text"},
	} {
		_, err := newFake(t, always(http.StatusBadRequest, body)).GetToken(t.Context(), latchkey.ClientCredentialsGrant())
		if refusal := refusedWith(t, err, http.StatusBadRequest); refusal.Type != want[0] || refusal.Reason != want[1] {
			t.Errorf("%s is %q, %q; want %q", body, refusal.Type, refusal.Reason, want)
		}
	}
}

// Of a token that is not there all counts are 0, though the status is 404. Other
// servers may have no such call at all.
func TestTokensThatAreNotThere(t *testing.T) {
	const none = `{"invalidated_tokens":0,"previously_invalidated_tokens":0,"error_count":0}`
	if got, err := newFake(t, always(http.StatusNotFound, none)).InvalidateTokens(t.Context(), latchkey.AccessToken("a")); err != nil || got.Invalidated != 0 {
		t.Errorf("got %+v, %v; want no error", got, err)
	}
	_, err := newFake(t, always(http.StatusNotFound, `{"error":{"type":"t","reason":"r"},"status":404}`)).InvalidateTokens(t.Context(), latchkey.AccessToken("a"))
	refusedWith(t, err, http.StatusNotFound)
	const some = `{"invalidated_tokens":1,"previously_invalidated_tokens":2,"error_count":1,"error_details":[{"type":"exception","reason":"r"}]}`
	got, err := newFake(t, always(http.StatusOK, some)).InvalidateTokens(t.Context(), latchkey.TokensOfUser("u"))
	if err != nil || got.Invalidated != 1 || got.PreviouslyInvalidated != 2 || got.ErrorCount != 1 || got.ErrorDetails[0].Reason != "r" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// tokensOf makes a user who may do nothing and returns tokens of that user.
func tokensOf(t *testing.T, elastic *latchkey.Client, name string) latchkey.TokenResponse {
	t.Helper()
	if _, err := elastic.PutUser(t.Context(), name, latchkey.PutUserRequest{Password: "a-password"}); err != nil {
		t.Fatal(err)
	}
	pair, err := elastic.GetToken(t.Context(), latchkey.PasswordGrant(name, "a-password"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TK-28 TK-31: of many refreshes at once, all bring the same new pair, which works at once.
func TestManyRefreshesBringOnePair(t *testing.T) {
	elastic := newClient()
	defer elastic.Close()
	first := tokensOf(t, elastic, "refreshes")
	const many = 32
	answers := make([]latchkey.TokenResponse, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			var err error
			if answers[i], err = elastic.GetToken(t.Context(), latchkey.RefreshGrant(first.RefreshToken)); err != nil {
				t.Error(err)
				return
			}
			if me, err := elastic.As(answers[i].Credential()).Authenticate(t.Context()); err != nil || me.Username != "refreshes" {
				t.Errorf("the new token is of %q, %v", me.Username, err)
			}
		})
	}
	all.Wait()
	for _, a := range answers {
		if a.AccessToken != answers[0].AccessToken || a.RefreshToken != answers[0].RefreshToken {
			t.Fatal("there is more than one new pair")
		}
	}
	if answers[0].AccessToken == first.AccessToken || answers[0].RefreshToken == first.RefreshToken {
		t.Error("the new pair is not new")
	}
	if _, err := elastic.As(first.Credential()).Authenticate(t.Context()); err != nil {
		t.Errorf("the old access token: %v", err)
	}
}

// Every selection does on a real server what it says, and nothing more.
func TestSelectionsReachTheirTokens(t *testing.T) {
	elastic := newClient()
	defer elastic.Close()
	works := func(pair latchkey.TokenResponse) bool {
		_, err := elastic.As(pair.Credential()).Authenticate(t.Context())
		if err != nil {
			refusedWith(t, err, http.StatusUnauthorized)
		}
		return err == nil
	}
	refreshes := func(pair latchkey.TokenResponse) bool {
		_, err := elastic.GetToken(t.Context(), latchkey.RefreshGrant(pair.RefreshToken))
		if err != nil {
			refusedWith(t, err, http.StatusBadRequest)
		}
		return err == nil
	}
	for _, tt := range []struct {
		name               string
		sel                func(latchkey.TokenResponse) latchkey.TokenSelection
		count              int
		accessOff, refrOff bool
	}{
		{"access token", func(p latchkey.TokenResponse) latchkey.TokenSelection { return latchkey.AccessToken(p.AccessToken) }, 1, true, false},
		{"refresh token", func(p latchkey.TokenResponse) latchkey.TokenSelection { return latchkey.RefreshToken(p.RefreshToken) }, 1, false, true},
		{"user", func(latchkey.TokenResponse) latchkey.TokenSelection { return latchkey.TokensOfUser("sel-tokens") }, 2, true, true},
		{"realm and user", func(latchkey.TokenResponse) latchkey.TokenSelection {
			return latchkey.TokensOfRealmAndUser("default_native", "sel-tokens")
		}, 2, true, true},
		{"another realm", func(latchkey.TokenResponse) latchkey.TokenSelection { return latchkey.TokensOfRealm("nosuch") }, 0, false, false},
		{"another user", func(latchkey.TokenResponse) latchkey.TokenSelection { return latchkey.TokensOfUser("SEL-tokens") }, 0, false, false},
	} {
		pair, other := tokensOf(t, elastic, "sel-tokens"), tokensOf(t, elastic, "sel-other")
		if !works(pair) {
			t.Fatal("a new token does not work")
		}
		done, err := elastic.InvalidateTokens(t.Context(), tt.sel(pair))
		if err != nil || done.Invalidated != tt.count || done.ErrorCount != 0 {
			t.Errorf("%s: %+v, %v; want %d invalidated", tt.name, done, err, tt.count)
		}
		if works(pair) == tt.accessOff || refreshes(pair) == tt.refrOff {
			t.Errorf("%s: the access token works, the refresh token refreshes: not as it should", tt.name)
		}
		if !works(other) || !refreshes(other) {
			t.Errorf("%s: it ended tokens of somebody else", tt.name)
		}
		if _, err := elastic.InvalidateTokens(t.Context(), latchkey.TokensOfUser("sel-tokens")); err != nil { // what is left over
			t.Fatal(err)
		}
	}
}

// A node knows the tokens of grants, and whom their holders may run as.
func TestGrantOfAKeyByToken(t *testing.T) {
	elastic := newClient()
	defer elastic.Close()
	pair := tokensOf(t, elastic, "grantee")
	own, err := elastic.GetToken(t.Context(), latchkey.ClientCredentialsGrant())
	if err != nil {
		t.Fatal(err)
	}
	for what, req := range map[string]latchkey.GrantAPIKeyRequest{
		"of the user":            {AccessToken: pair.AccessToken},
		"of who runs as her":     {AccessToken: own.AccessToken, RunAs: "grantee"},
		"by password, as run-as": {Username: "elastic", Password: elasticPassword, RunAs: "grantee"},
	} {
		req.APIKey.Name = "granted"
		made, err := elastic.GrantAPIKey(t.Context(), req)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if me, err := elastic.As(made.Credential()).Authenticate(t.Context()); err != nil || me.Username != "grantee" {
			t.Errorf("%s: the key is of %q, %v; want grantee", what, me.Username, err)
		}
	}
}
