package conformance

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	elasticsearch8 "github.com/elastic/go-elasticsearch/v8"
	gettoken8 "github.com/elastic/go-elasticsearch/v8/typedapi/security/gettoken"
	invalidatetoken8 "github.com/elastic/go-elasticsearch/v8/typedapi/security/invalidatetoken"
	types8 "github.com/elastic/go-elasticsearch/v8/typedapi/types"
	granttype8 "github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/accesstokengranttype"
	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/gettoken"
	"github.com/elastic/go-elasticsearch/v9/typedapi/security/invalidatetoken"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/accesstokengranttype"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/clusterprivilege"
)

// The types of releases 8 and 9 differ by name alone. The scenarios are written in
// those of 9, and typedCaller makes either client speak them.
type typedCaller struct {
	getToken        func(t *testing.T, r gettoken.Request) (*typedToken, error)
	invalidateToken func(t *testing.T, r invalidatetoken.Request) (*invalidatetoken.Response, error)
	authenticate    func(t *testing.T) (username, how string, err error)
	with            func(t *testing.T, token string) typedCaller
}

// typedToken is what both releases decode of a token.
type typedToken struct {
	access, typ    string
	expiresIn      int64
	refresh, scope *string
	// The user, and how it has authenticated.
	username, realm, how string
}

func typedTokens9(client *elasticsearch.TypedClient) typedCaller {
	s := client.Security
	return typedCaller{
		getToken: func(t *testing.T, r gettoken.Request) (*typedToken, error) {
			made, err := s.GetToken().Request(&r).Do(t.Context())
			if err != nil {
				return nil, err
			}
			u := made.Authentication
			return &typedToken{made.AccessToken, made.Type, made.ExpiresIn, made.RefreshToken, made.Scope, u.Username, u.LookupRealm.Name, u.AuthenticationType}, nil
		},
		invalidateToken: func(t *testing.T, r invalidatetoken.Request) (*invalidatetoken.Response, error) {
			return s.InvalidateToken().Request(&r).Do(t.Context())
		},
		authenticate: func(t *testing.T) (string, string, error) {
			me, err := s.Authenticate().Do(t.Context())
			if err != nil {
				return "", "", err
			}
			return me.Username, me.AuthenticationType, nil
		},
		with: func(t *testing.T, token string) typedCaller {
			return typedTokens9(typed(t, elasticsearch.WithServiceToken(token)))
		},
	}
}

func typedTokens8(client *elasticsearch8.TypedClient) typedCaller {
	s := client.Security
	return typedCaller{
		getToken: func(t *testing.T, r gettoken.Request) (*typedToken, error) {
			in8 := gettoken8.Request{KerberosTicket: r.KerberosTicket, Password: r.Password, RefreshToken: r.RefreshToken, Scope: r.Scope, Username: r.Username}
			if r.GrantType != nil {
				in8.GrantType = &granttype8.AccessTokenGrantType{Name: r.GrantType.Name}
			}
			made, err := s.GetToken().Request(&in8).Do(t.Context())
			if err != nil {
				return nil, from8Error(err)
			}
			u := made.Authentication
			return &typedToken{made.AccessToken, made.Type, made.ExpiresIn, made.RefreshToken, made.Scope, u.Username, u.LookupRealm.Name, u.AuthenticationType}, nil
		},
		invalidateToken: func(t *testing.T, r invalidatetoken.Request) (*invalidatetoken.Response, error) {
			in8 := invalidatetoken8.Request(r)
			done, err := s.InvalidateToken().Request(&in8).Do(t.Context())
			if err != nil {
				return nil, from8Error(err)
			}
			return &invalidatetoken.Response{ErrorCount: done.ErrorCount, InvalidatedTokens: done.InvalidatedTokens, PreviouslyInvalidatedTokens: done.PreviouslyInvalidatedTokens}, nil
		},
		authenticate: func(t *testing.T) (string, string, error) {
			me, err := s.Authenticate().Do(t.Context())
			if err != nil {
				return "", "", from8Error(err)
			}
			return me.Username, me.AuthenticationType, nil
		},
		with: func(t *testing.T, token string) typedCaller {
			return typedTokens8(typed8(t, func(c *elasticsearch8.Config) { c.ServiceToken = token }))
		},
	}
}

// from8Error makes an error of release 8 one of release 9, for refused.
func from8Error(err error) error {
	var e *types8.ElasticsearchError
	if !errors.As(err, &e) {
		return err
	}
	return &types.ElasticsearchError{Status: e.Status, ErrorCause: types.ErrorCause{Type: e.ErrorCause.Type, Reason: e.ErrorCause.Reason, Metadata: e.ErrorCause.Metadata}}
}

func TestGoTypedTokens9(t *testing.T) { onEach(t, goTypedTokens9) }

func goTypedTokens9(t *testing.T) {
	typedTokenScenarios(t, typedTokens9(typedAdmin(t)), func(t *testing.T, name, word string) typedCaller {
		return typedTokens9(typed(t, elasticsearch.WithBasicAuth(name, word)))
	})
}

func TestGoTypedTokens8(t *testing.T) { onEach(t, goTypedTokens8) }

func goTypedTokens8(t *testing.T) {
	typedTokenScenarios(t, typedTokens8(typed8(t, password8("elastic", password))), func(t *testing.T, name, word string) typedCaller {
		return typedTokens8(typed8(t, password8(name, word)))
	})
}

var forCaller = gettoken.Request{GrantType: &accesstokengranttype.Clientcredentials}

func refresh(made *typedToken) gettoken.Request {
	return gettoken.Request{GrantType: &accesstokengranttype.Refreshtoken, RefreshToken: made.refresh}
}

// get gets a token that must be given, and a caller that has authenticated with it.
func (c typedCaller) get(t *testing.T, r gettoken.Request) (*typedToken, typedCaller) {
	t.Helper()
	made, err := c.getToken(t, r)
	if err != nil {
		t.Fatal(err)
	}
	holder := c.with(t, made.access)
	if name, how, err := holder.authenticate(t); err != nil || name != made.username || how != "token" {
		t.Fatalf("the token acts as %q by %q: %v", name, how, err)
	}
	return made, holder
}

// pair gets the tokens of a new user.
func (c typedCaller) pair(t *testing.T) (*typedToken, typedCaller) {
	t.Helper()
	name, _, word, _ := typedUser(t)
	return c.get(t, gettoken.Request{GrantType: &accesstokengranttype.Password, Username: &name, Password: &word})
}

// invalidate checks how many tokens were invalidated now and before.
func (c typedCaller) invalidate(t *testing.T, r invalidatetoken.Request, now, before int64) {
	t.Helper()
	done, err := c.invalidateToken(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if done.InvalidatedTokens != now || done.PreviouslyInvalidatedTokens != before || done.ErrorCount != 0 || done.ErrorDetails != nil {
		t.Errorf("got %+v, want %d and %d", done, now, before)
	}
}

// off checks that an access token is refused.
func (c typedCaller) off(t *testing.T) {
	t.Helper()
	_, _, err := c.authenticate(t)
	e := refused(t, err, http.StatusUnauthorized, "security_exception")
	const challenge = `{"WWW-Authenticate":"Bearer realm=\"security\", error=\"invalid_token\", error_description=\"The access token expired\""}`
	if got := string(e.ErrorCause.Metadata["header"]); got != challenge {
		t.Errorf("header: got %s", got)
	}
}

// denied checks what the client makes of a refusal in the words of OAuth2: the
// error is its reason, in quotes, and it has no type.
func denied(t *testing.T, err error, code, description string) {
	t.Helper()
	e := refused(t, err, http.StatusBadRequest, "")
	if e.ErrorCause.Reason == nil || *e.ErrorCause.Reason != `"`+code+`"` {
		t.Errorf("got %v, want %s", e, code)
	}
	var told string
	if err := json.Unmarshal(e.ErrorCause.Metadata["error_description"], &told); err != nil || !strings.Contains(told, description) {
		t.Errorf("got %s, want %s", e.ErrorCause.Metadata["error_description"], description)
	}
}

// notFound checks what the client makes of a 404 with counters: an error that has them as details.
func notFound(t *testing.T, err error) {
	t.Helper()
	e := refused(t, err, http.StatusNotFound, "")
	if got := e.ErrorCause.Metadata; len(got) != 3 || string(got["invalidated_tokens"]) != "0" || string(got["previously_invalidated_tokens"]) != "0" || string(got["error_count"]) != "0" {
		t.Errorf("got %s", got)
	}
}

func typedTokenScenarios(t *testing.T, admin typedCaller, connect func(t *testing.T, name, word string) typedCaller) {
	t.Run("TK-1 TK-2 TK-4 TK-7 TK-27 for the caller: an access token alone", func(t *testing.T) {
		made, _ := admin.get(t, forCaller)
		if made.typ != "Bearer" || made.expiresIn != 1200 || made.refresh != nil || made.scope != nil || made.username != "elastic" || made.realm != "reserved" || made.how != "realm" {
			t.Errorf("got %+v", made)
		}
	})
	t.Run("TK-3 TK-4 TK-7 TK-24 TK-25 TK-26 TK-27 for a password: a pair for its user, as whom the token acts", func(t *testing.T) {
		made, _ := admin.pair(t)
		if made.typ != "Bearer" || made.expiresIn != 1200 || made.refresh == nil || made.scope != nil || made.realm != "default_native" || made.how != "realm" {
			t.Errorf("got %+v", made)
		}
	})
	t.Run("TK-8 a scope is accepted, and is full whatever it was", func(t *testing.T) {
		made, _ := admin.get(t, gettoken.Request{GrantType: &accesstokengranttype.Clientcredentials, Scope: new("x")})
		if made.scope == nil || *made.scope != "full" {
			t.Errorf("got %v", made.scope)
		}
	})
	t.Run("TK-18 TK-21 a wrong password in the body is a 401, a caller who may not a 403", func(t *testing.T) {
		name, _, word, _ := typedUser(t, clusterprivilege.Monitor)
		_, err := admin.getToken(t, gettoken.Request{GrantType: &accesstokengranttype.Password, Username: &name, Password: new("not the password")})
		refused(t, err, http.StatusUnauthorized, "security_exception")
		_, err = connect(t, name, word).getToken(t, forCaller)
		e := refused(t, err, http.StatusForbidden, "security_exception")
		if !strings.HasPrefix(*e.ErrorCause.Reason, "action [cluster:admin/xpack/security/token/create] is unauthorized for user ["+name+"]") {
			t.Errorf("got %s", *e.ErrorCause.Reason)
		}
	})
	t.Run("TK-9 TK-10 TK-11 TK-13 TK-14 members that do not fit the grant are refused in the words of OAuth2", func(t *testing.T) {
		for _, tt := range []struct {
			code string
			r    gettoken.Request
		}{
			{"unsupported_grant_type", gettoken.Request{Username: new("x")}},
			{"unsupported_grant_type", gettoken.Request{GrantType: &accesstokengranttype.AccessTokenGrantType{Name: "authorization_code"}}},
			{"invalid_request", gettoken.Request{GrantType: &accesstokengranttype.Password, Password: new("x")}},
			{"unsupported_grant_type", gettoken.Request{GrantType: &accesstokengranttype.Password, Username: new("x"), Password: new("x"), RefreshToken: new("x")}},
			{"unsupported_grant_type", gettoken.Request{GrantType: &accesstokengranttype.Clientcredentials, Username: new("x")}},
		} {
			_, err := admin.getToken(t, tt.r)
			denied(t, err, tt.code, "Validation Failed: 1: ")
		}
	})
	t.Run("TK-25 TK-28 TK-29 TK-30 a refresh gives another pair, and once more the same; the old access token stays", func(t *testing.T) {
		first, holder := admin.pair(t)
		second, _ := admin.get(t, refresh(first))
		again, _ := admin.get(t, refresh(first))
		if second.access == first.access || *second.refresh == *first.refresh || second.how != "token" || second.username != first.username {
			t.Errorf("got %+v after %+v", second, first)
		}
		if again.access != second.access || *again.refresh != *second.refresh {
			t.Errorf("got %+v and %+v", second, again)
		}
		if _, _, err := holder.authenticate(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("TK-31 refreshes at once get one pair", func(t *testing.T) {
		first, _ := admin.pair(t)
		var made [16]*typedToken
		var errs [16]error
		var wg sync.WaitGroup
		for i := range made {
			wg.Go(func() { made[i], errs[i] = admin.getToken(t, refresh(first)) })
		}
		wg.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		for _, m := range made {
			if m.access != made[0].access || *m.refresh != *made[0].refresh {
				t.Errorf("got %+v and %+v", m, made[0])
			}
		}
		if _, _, err := admin.with(t, made[0].access).authenticate(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("TK-33 TK-37 TK-38 a refresh token that is not good is an invalid grant", func(t *testing.T) {
		made, _ := admin.pair(t)
		name, _, word, _ := typedUser(t, clusterprivilege.Managetoken)
		_, err := connect(t, name, word).getToken(t, refresh(made))
		denied(t, err, "invalid_grant", "tokens must be refreshed by the creating client")
		admin.invalidate(t, invalidatetoken.Request{RefreshToken: made.refresh}, 1, 0)
		_, err = admin.getToken(t, refresh(made))
		denied(t, err, "invalid_grant", "token has been invalidated")
		_, err = admin.getToken(t, refresh(&typedToken{refresh: new("not base64!")}))
		denied(t, err, "invalid_grant", "")
	})
	for _, tt := range []struct {
		name  string
		count int64
		sel   func(made *typedToken) invalidatetoken.Request
	}{
		{"TK-39 TK-53 token", 1, func(m *typedToken) invalidatetoken.Request { return invalidatetoken.Request{Token: &m.access} }},
		{"TK-45 TK-53 username", 2, func(m *typedToken) invalidatetoken.Request { return invalidatetoken.Request{Username: &m.username} }},
		{"TK-45 TK-53 realm", 2, func(m *typedToken) invalidatetoken.Request {
			return invalidatetoken.Request{RealmName: new("default_native")}
		}},
		{"TK-47 TK-53 username and realm", 2, func(m *typedToken) invalidatetoken.Request {
			return invalidatetoken.Request{Username: &m.username, RealmName: new("default_native")}
		}},
	} {
		t.Run("invalidate by "+tt.name, func(t *testing.T) {
			// Of other scenarios.
			if _, err := admin.invalidateToken(t, invalidatetoken.Request{RealmName: new("default_native")}); err != nil {
				t.Fatal(err)
			}
			made, holder := admin.pair(t)
			admin.invalidate(t, tt.sel(made), tt.count, 0)
			holder.off(t)
		})
	}
	t.Run("TK-39 TK-40 TK-42 the halves are independent, and each is counted once", func(t *testing.T) {
		made, holder := admin.pair(t)
		admin.invalidate(t, invalidatetoken.Request{RefreshToken: made.refresh}, 1, 0)
		admin.invalidate(t, invalidatetoken.Request{RefreshToken: made.refresh}, 0, 1)
		if _, _, err := holder.authenticate(t); err != nil {
			t.Error(err)
		}
		admin.invalidate(t, invalidatetoken.Request{Token: &made.access}, 1, 0)
		admin.invalidate(t, invalidatetoken.Request{Token: &made.access}, 0, 1)
		holder.off(t)
	})
	t.Run("TK-41 after its access token a pair can still be refreshed", func(t *testing.T) {
		made, holder := admin.pair(t)
		admin.invalidate(t, invalidatetoken.Request{Token: &made.access}, 1, 0)
		holder.off(t)
		admin.get(t, refresh(made))
	})
	t.Run("TK-43 TK-46 an unknown token is an error of status 404, an unknown user has none", func(t *testing.T) {
		made, _ := admin.pair(t)
		for _, r := range []invalidatetoken.Request{{Token: new("not base64!")}, {RefreshToken: new("bm8gdG9rZW4=")}, {Token: made.refresh}, {RefreshToken: &made.access}} {
			_, err := admin.invalidateToken(t, r)
			notFound(t, err)
		}
		admin.invalidate(t, invalidatetoken.Request{Username: new(unique("nobody"))}, 0, 0)
	})
	t.Run("TK-48 TK-49 a request without a clear selector changes nothing", func(t *testing.T) {
		made, holder := admin.pair(t)
		_, err := admin.invalidateToken(t, invalidatetoken.Request{Token: &made.access, Username: &made.username})
		refused(t, err, http.StatusBadRequest, "action_request_validation_exception")
		_, err = admin.invalidateToken(t, invalidatetoken.Request{Token: &made.access, RefreshToken: made.refresh})
		refused(t, err, http.StatusBadRequest, "x_content_parse_exception")
		if _, _, err := holder.authenticate(t); err != nil {
			t.Error(err)
		}
	})
}
