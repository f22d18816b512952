package latchkey_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latchkey"
)

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	noPEM := filepath.Join(dir, "no.pem")
	if err := os.WriteFile(noPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		address string
		options []latchkey.Option
		want    string // in the error
	}{
		{"no address", "", nil, "http://host"},
		{"no scheme", "localhost:9200", nil, "http://host"},
		{"another scheme", "ftp://localhost", nil, "http://host"},
		{"no host", "https://", nil, "http://host"},
		{"no URL", "http://secret-user:p%zz@h", nil, "not a URL"},
		{"a user in the address", "http://u:secret-password@h", nil, "WithCredential"},
		{"a query", "http://h?pretty", nil, "goes on"},
		{"a wrong further address", "http://h", []latchkey.Option{latchkey.WithAddresses("h2:9200")}, "http://host"},
		{"TLS for a plain address", "http://h", []latchkey.Option{latchkey.WithCertificateFingerprint(strings.Repeat("ab", 32))}, "protect nothing"},
		{"TLS for a plain address among others", "https://h", []latchkey.Option{latchkey.WithAddresses("http://h2"), latchkey.WithClientCertificate(tls.Certificate{})}, "protect nothing"},
		{"TLS with an own client", "https://h", []latchkey.Option{latchkey.WithHTTPClient(http.DefaultClient), latchkey.WithClientCertificate(tls.Certificate{})}, "own settings"},
		{"an own client and an own transport", "https://h", []latchkey.Option{latchkey.WithHTTPClient(http.DefaultClient), latchkey.WithTransport(http.DefaultTransport)}, "not both"},
		{"a nil client", "https://h", []latchkey.Option{latchkey.WithHTTPClient(nil)}, "nil"},
		{"a nil transport", "https://h", []latchkey.Option{latchkey.WithTransport(nil)}, "nil"},
		{"a nil pool", "https://h", []latchkey.Option{latchkey.WithRootCAs(nil)}, "nil"},
		{"a file that is missing", "https://h", []latchkey.Option{latchkey.WithCAFile(filepath.Join(dir, "nosuch"))}, "nosuch"},
		{"a file without certificates", "https://h", []latchkey.Option{latchkey.WithCAFile(noPEM)}, "no certificate"},
		{"fewer repetitions than none", "https://h", []latchkey.Option{latchkey.WithRetries(-1)}, "-1"},
		{"no room for answers", "https://h", []latchkey.Option{latchkey.WithResponseLimit(0)}, "0 bytes"},
		{"a username with a colon", "https://h", []latchkey.Option{latchkey.WithCredential(latchkey.Basic("a:b", "secret-password"))}, "colon"},
		{"an empty key", "https://h", []latchkey.Option{latchkey.WithCredential(latchkey.EncodedKey(""))}, "ApiKey credential"},
		{"a token with a line break", "https://h", []latchkey.Option{latchkey.WithCredential(latchkey.Bearer("secret-token\n"))}, "Bearer credential"},
		{"an opaque id with a line break", "https://h", []latchkey.Option{latchkey.WithOpaqueID("a\r\nb")}, "opaque id"},
		{"a user agent with a line break", "https://h", []latchkey.Option{latchkey.WithUserAgent("a\nb")}, "user agent"},
		{"a username to run as with a line break", "https://h", []latchkey.Option{latchkey.WithRunAs("a\nb")}, "run as"},
	}
	for _, tt := range tests {
		_, err := latchkey.New(tt.address, tt.options...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error that says %q and no secret", tt.name, err, tt.want)
		}
	}
}

func TestRequestsAsTheyAreSent(t *testing.T) {
	var got string
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.RequestURI + " " + string(body)
		for _, h := range []string{"Authorization", "Accept", "Content-Type", "es-security-runas-user", "X-Opaque-Id", "User-Agent"} {
			if v := r.Header.Values(h); len(v) > 0 {
				got += fmt.Sprintf("\n%s: %s", h, strings.Join(v, " and "))
			}
		}
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		if strings.HasSuffix(r.URL.Path, "/_bulk_update") {
			_, _ = io.WriteString(w, `{"updated":[],"noops":[]}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":"i","api_key":"s","access_token":"a","invalidated_tokens":0,"previously_invalidated_tokens":0,"username":"u","api_keys":[],"invalidated_api_keys":[],"previously_invalidated_api_keys":[]}`)
	}))
	defer echo.Close()
	base, err := latchkey.New(echo.URL+"/below/", latchkey.WithUserAgent("test/1"))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	ctx := context.Background()
	all := base.As(latchkey.KeyPair("i", "s")).RunAs("jo").Tag("42")
	no := false
	tests := []struct {
		name string
		do   func() error
		want string
	}{
		{"nothing but the call", func() error { _, err := base.Info(ctx); return err },
			"GET /below/ \nAccept: application/json\nUser-Agent: test/1"},
		{"all headers", func() error { return all.EnableUser(ctx, "a/b c,d") },
			"PUT /below/_security/user/a%2Fb%20c%2Cd/_enable \nAuthorization: ApiKey aTpz\nAccept: application/json\nes-security-runas-user: jo\nX-Opaque-Id: 42\nUser-Agent: test/1"},
		{"a body", func() error {
			_, err := base.As(latchkey.Bearer("t")).InvalidateAPIKeys(ctx, latchkey.ByID("x"))
			return err
		}, `DELETE /below/_security/api_key {"ids":["x"]}` + "\nAuthorization: Bearer t\nAccept: application/json\nContent-Type: application/json\nUser-Agent: test/1"},
		{"no more than what is set, for servers that know less", func() error {
			_, err := base.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "n"})
			return err
		}, `POST /below/_security/api_key {"name":"n"}`},
		{"a key with all there is", func() error {
			_, err := base.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "n", Expiration: time.Hour + 1, Metadata: json.RawMessage(`{"a":1.50}`),
				RoleDescriptors: map[string]latchkey.Role{"r": {Cluster: []string{}, RunAs: []string{"x"}}}})
			return err
		}, `POST /below/_security/api_key {"name":"n","expiration":"3600001ms","role_descriptors":{"r":{"cluster":[],"run_as":["x"]}},"metadata":{"a":1.50}}`},
		{"a grant by password", func() error {
			_, err := base.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{Username: "u", Password: "p", RunAs: "v", APIKey: latchkey.CreateAPIKeyRequest{Name: "n"}})
			return err
		}, `POST /below/_security/api_key/grant {"grant_type":"password","username":"u","password":"p","run_as":"v","api_key":{"name":"n"}}`},
		{"a grant by token", func() error {
			_, err := base.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{AccessToken: "t", APIKey: latchkey.CreateAPIKeyRequest{Name: "n"}})
			return err
		}, `POST /below/_security/api_key/grant {"grant_type":"access_token","access_token":"t","api_key":{"name":"n"}}`},
		{"a grant by a JSON Web Token", func() error {
			_, err := base.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{AccessToken: "a.b.c", ClientSecret: "s", APIKey: latchkey.CreateAPIKeyRequest{Name: "n"}})
			return err
		}, `POST /below/_security/api_key/grant {"grant_type":"access_token","access_token":"a.b.c","client_authentication":{"scheme":"SharedSecret","value":"s"},"api_key":{"name":"n"}}`},
		{"all keys", func() error { _, err := base.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{}); return err }, "GET /below/_security/api_key "},
		{"some keys", func() error {
			_, err := base.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{Name: "a b*", Owner: true, ActiveOnly: true, WithLimitedBy: true})
			return err
		}, "GET /below/_security/api_key?active_only=true&name=a+b%2A&owner=true&with_limited_by=true "},
		{"an update that keeps all", func() error {
			_, err := base.UpdateAPIKey(ctx, "a/b", latchkey.UpdateAPIKeyRequest{})
			return err
		}, "PUT /below/_security/api_key/a%2Fb {}"},
		{"an update that takes the roles away", func() error {
			_, err := base.UpdateAPIKey(ctx, "i", latchkey.UpdateAPIKeyRequest{RoleDescriptors: map[string]latchkey.Role{}})
			return err
		}, `PUT /below/_security/api_key/i {"role_descriptors":{}}`},
		{"an update of many keys with all there is", func() error {
			_, err := base.BulkUpdateAPIKeys(ctx, []string{"i", "j"}, latchkey.UpdateAPIKeyRequest{Expiration: time.Hour + 1, Metadata: json.RawMessage(`{"a":1.50}`),
				RoleDescriptors: map[string]latchkey.Role{"r": {Cluster: []string{"monitor"}}}})
			return err
		}, `POST /below/_security/api_key/_bulk_update {"ids":["i","j"],"expiration":"3600001ms","role_descriptors":{"r":{"cluster":["monitor"]}},"metadata":{"a":1.50}}`},
		{"keys with their last use", func() error {
			_, err := base.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{WithLastUsed: true})
			return err
		}, "GET /below/_security/api_key?with_last_used=true "},
		{"a rotation", func() error { _, err := base.RotateAPIKey(ctx, "a/b", time.Hour+1); return err },
			`POST /below/_latchkey/api_key/a%2Fb/_rotate {"overlap":"3600001ms"}`},
		{"a rotation without an overlap", func() error { _, err := base.RotateAPIKey(ctx, "i", 0); return err },
			`POST /below/_latchkey/api_key/i/_rotate {"overlap":"0ms"}`},
		{"the end of an overlap", func() error { _, err := base.EndOverlap(ctx, "a/b"); return err },
			"POST /below/_latchkey/api_key/a%2Fb/_end_overlap "},
		{"a preview", func() error { _, err := base.PreviewInvalidation(ctx, latchkey.ByUser("u")); return err },
			`DELETE /below/_security/api_key?dry_run=true {"username":"u"}`},
		{"an own key by name", func() error {
			_, err := base.InvalidateAPIKeys(ctx, latchkey.OwnedByName("n*"))
			return err
		}, `DELETE /below/_security/api_key {"name":"n*","owner":true}`},
		{"a user of a realm", func() error {
			_, err := base.InvalidateAPIKeys(ctx, latchkey.ByRealmAndUser("r", "u"))
			return err
		}, `DELETE /below/_security/api_key {"username":"u","realm_name":"r"}`},
		{"tokens by password", func() error {
			_, err := base.GetToken(ctx, latchkey.PasswordGrant("u", "p").WithScope("s"))
			return err
		}, `POST /below/_security/oauth2/token {"grant_type":"password","username":"u","password":"p","scope":"s"}`},
		{"an own token", func() error {
			_, err := base.GetToken(ctx, latchkey.ClientCredentialsGrant())
			return err
		}, `POST /below/_security/oauth2/token {"grant_type":"client_credentials"}`},
		{"the tokens that follow", func() error {
			_, err := base.GetToken(ctx, latchkey.RefreshGrant("r"))
			return err
		}, `POST /below/_security/oauth2/token {"grant_type":"refresh_token","refresh_token":"r"}`},
		{"tokens by ticket", func() error {
			_, err := base.GetToken(ctx, latchkey.KerberosGrant([]byte{0xff, 0xfe}))
			return err
		}, `POST /below/_security/oauth2/token {"grant_type":"_kerberos","kerberos_ticket":"//4="}`},
		{"one token less", func() error {
			_, err := base.InvalidateTokens(ctx, latchkey.AccessToken("a"))
			return err
		}, `DELETE /below/_security/oauth2/token {"token":"a"}`},
		{"one refresh token less", func() error {
			_, err := base.InvalidateTokens(ctx, latchkey.RefreshToken("r"))
			return err
		}, `DELETE /below/_security/oauth2/token {"refresh_token":"r"}`},
		{"no tokens of a user", func() error {
			_, err := base.InvalidateTokens(ctx, latchkey.TokensOfUser("u"))
			return err
		}, `DELETE /below/_security/oauth2/token {"username":"u"}`},
		{"no tokens of a realm", func() error {
			_, err := base.InvalidateTokens(ctx, latchkey.TokensOfRealm("r"))
			return err
		}, `DELETE /below/_security/oauth2/token {"realm_name":"r"}`},
		{"no tokens of a user of a realm", func() error {
			_, err := base.InvalidateTokens(ctx, latchkey.TokensOfRealmAndUser("r", "u"))
			return err
		}, `DELETE /below/_security/oauth2/token {"realm_name":"r","username":"u"}`},
		{"a user without roles", func() error {
			_, err := base.PutUser(ctx, "u", latchkey.PutUserRequest{PasswordHash: "h", Enabled: &no})
			return err
		}, `PUT /below/_security/user/u {"password_hash":"h","roles":[],"enabled":false}`},
		{"the own password", func() error {
			return base.ChangePassword(ctx, "", latchkey.ChangePasswordRequest{Password: "p"})
		}, `PUT /below/_security/user/_password {"password":"p"}`},
		{"a user with all that is held", func() error {
			_, err := base.DeleteUserAndRevoke(ctx, "u", latchkey.Revoke{Tokens: true, APIKeys: true})
			return readable(err)
		}, "DELETE /below/_security/user/u?invalidate_api_keys=true&invalidate_tokens=true "},
		{"a user alone", func() error { _, err := base.DeleteUser(ctx, "u"); return err }, "DELETE /below/_security/user/u "},
		{"no keys of a user", func() error {
			_, err := base.DisableUserAndRevoke(ctx, "u", latchkey.Revoke{APIKeys: true})
			return readable(err)
		}, "PUT /below/_security/user/u/_disable?invalidate_api_keys=true "},
		{"the user alone", func() error { return base.DisableUser(ctx, "u") }, "PUT /below/_security/user/u/_disable "},
		{"a search", func() error {
			_, err := base.QueryUsers(ctx, latchkey.Query{Query: json.RawMessage(`{"match_all":{}}`), From: 1, Sort: []any{"username"}})
			return err
		}, `POST /below/_security/_query/user {"query":{"match_all":{}},"from":1,"sort":["username"]}`},
		{"a search with profiles", func() error { _, err := base.QueryUsersWithProfiles(ctx, latchkey.Query{}); return err },
			"POST /below/_security/_query/user?with_profile_uid=true {}"},
		{"a search of roles", func() error { _, err := base.QueryRoles(ctx, latchkey.Query{}); return err }, "POST /below/_security/_query/role {}"},
		{"many roles", func() error {
			_, err := base.PutRoles(ctx, map[string]latchkey.Role{"r": {RunAs: []string{"x"}}})
			return err
		}, `POST /below/_security/role {"roles":{"r":{"run_as":["x"]}}}`},
		{"many roles less", func() error { _, err := base.DeleteRoles(ctx, "a", "b"); return err }, `DELETE /below/_security/role {"names":["a","b"]}`},
		{"a profile by password", func() error {
			_, err := base.ActivateProfile(ctx, latchkey.ActivateProfileRequest{GrantType: "password", Username: "u", Password: "p"})
			return err
		}, `POST /below/_security/profile/_activate {"grant_type":"password","username":"u","password":"p"}`},
		{"some profiles", func() error { _, err := base.GetProfiles(ctx, []string{"a", "b"}, "x", "y"); return err },
			"GET /below/_security/profile/a,b?data=x%2Cy "},
		{"a profile as it was", func() error {
			return base.UpdateProfile(ctx, "a", latchkey.UpdateProfileRequest{Data: json.RawMessage(`{"x":1}`), If: &latchkey.ProfileVersion{SeqNo: 3, PrimaryTerm: 1}})
		}, `PUT /below/_security/profile/a/_data?if_primary_term=1&if_seq_no=3 {"data":{"x":1}}`},
		{"no more of a profile", func() error { return base.DisableProfile(ctx, "a") }, "PUT /below/_security/profile/a/_disable "},
		{"profiles by name", func() error {
			_, err := base.SuggestProfiles(ctx, latchkey.SuggestProfilesRequest{Name: "jo", Hint: &latchkey.ProfileHint{Labels: map[string][]string{"a": {"b"}}}})
			return err
		}, `POST /below/_security/profile/_suggest {"name":"jo","hint":{"labels":{"a":["b"]}}}`},
		{"profiles by privilege", func() error {
			_, err := base.ProfilesWithPrivileges(ctx, []string{"a"}, latchkey.HasPrivilegesRequest{Cluster: []string{"all"}})
			return err
		}, `POST /below/_security/profile/_has_privileges {"uids":["a"],"privileges":{"cluster":["all"]}}`},
		{"settings", func() error {
			return base.UpdateSecuritySettings(ctx, map[string]json.RawMessage{"security": json.RawMessage(`{"index.number_of_replicas":1}`)})
		}, `PUT /below/_security/settings {"security":{"index.number_of_replicas":1}}`},
		{"several names", func() error { _, err := base.ClearRoleCache(ctx, "a", "b"); return err }, "POST /below/_security/role/a,b/_clear_cache "},
		{"all caches", func() error { _, err := base.ClearAPIKeyCache(ctx); return err }, "POST /below/_security/api_key/%2A/_clear_cache "},
		{"users of a realm", func() error { _, err := base.ClearRealmCache(ctx, []string{"r"}, "u", "v"); return err },
			"POST /below/_security/realm/r/_clear_cache?usernames=u%2Cv "},
		{"privileges of every kind", func() error {
			_, err := base.HasPrivileges(ctx, latchkey.HasPrivilegesRequest{Cluster: []string{"all"},
				Index:       []latchkey.IndexPrivileges{{Names: []string{"i"}, Privileges: []string{"read"}}},
				Application: []latchkey.ApplicationPrivileges{{Application: "a", Privileges: []string{"p"}, Resources: []string{"*"}}}})
			return err
		}, `POST /below/_security/user/_has_privileges {"cluster":["all"],"index":[{"names":["i"],"privileges":["read"],"allow_restricted_indices":false}],"application":[{"application":"a","privileges":["p"],"resources":["*"]}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			if got != tt.want && !strings.HasPrefix(got, tt.want+"\n") {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// readable lets an answer pass that is that of another call.
func readable(err error) error {
	if _, ok := errors.AsType[*latchkey.UnreadableError](err); ok {
		return nil
	}
	return err
}

func TestArgumentsThatAreRefused(t *testing.T) {
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
		return answering(200, `{}`), nil
	})
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"a user without a name":       func() error { _, err := client.PutUser(ctx, "", latchkey.PutUserRequest{}); return err },
		"a user without a name, gone": func() error { _, err := client.DeleteUser(ctx, ""); return err },
		"a user without a name, off":  func() error { return client.DisableUser(ctx, "") },
		"a list with an empty user":   func() error { _, err := client.GetUsers(ctx, "a", ""); return err },
		"a role without a name":       func() error { _, err := client.PutRole(ctx, "", latchkey.Role{}); return err },
		"a role without a name, gone": func() error { _, err := client.DeleteRole(ctx, ""); return err },
		"a list with an empty role":   func() error { _, err := client.GetRoles(ctx, ""); return err },
		"a mapping without a name": func() error {
			_, err := client.PutRoleMapping(ctx, "", latchkey.RoleMapping{Rules: json.RawMessage(`{"all":[]}`)})
			return err
		},
		"a mapping without a name, gone": func() error { _, err := client.DeleteRoleMapping(ctx, ""); return err },
		"a list with an empty mapping":   func() error { _, err := client.GetRoleMappings(ctx, ""); return err },
		"a cache without a name":         func() error { _, err := client.ClearAPIKeyCache(ctx, ""); return err },
		"a key of the past": func() error {
			_, err := client.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Expiration: -1})
			return err
		},
		"metadata that are not JSON": func() error {
			_, err := client.PutRole(ctx, "r", latchkey.Role{Metadata: json.RawMessage(`{`)})
			return err
		},
		"a grant that is none":            func() error { _, err := client.GetToken(ctx, latchkey.TokenGrant{}); return err },
		"a grant without a password":      func() error { _, err := client.GetToken(ctx, latchkey.PasswordGrant("u", "")); return err },
		"a grant without a user":          func() error { _, err := client.GetToken(ctx, latchkey.PasswordGrant("", "p")); return err },
		"a refresh of nothing":            func() error { _, err := client.GetToken(ctx, latchkey.RefreshGrant("")); return err },
		"a ticket of nothing":             func() error { _, err := client.GetToken(ctx, latchkey.KerberosGrant(nil)); return err },
		"a selection of tokens of nobody": func() error { _, err := client.InvalidateTokens(ctx, latchkey.TokensOfUser(" ")); return err },
		"a selection of no realm":         func() error { _, err := client.InvalidateTokens(ctx, latchkey.TokensOfRealm("")); return err },
		"a selection of half a user": func() error {
			_, err := client.InvalidateTokens(ctx, latchkey.TokensOfRealmAndUser("", "u"))
			return err
		},
		"a selection of no token":         func() error { _, err := client.InvalidateTokens(ctx, latchkey.AccessToken("")); return err },
		"a selection of no refresh token": func() error { _, err := client.InvalidateTokens(ctx, latchkey.RefreshToken("")); return err },
		"a selection from nowhere":        func() error { _, err := client.InvalidateTokens(ctx, latchkey.TokenSelection{}); return err },
		"a credential that is none":       func() error { _, err := client.As(latchkey.EncodedKey("a b")).Info(ctx); return err },
		"a deletion that revokes nothing": func() error { _, err := client.DeleteUserAndRevoke(ctx, "u", latchkey.Revoke{}); return err },
		"a deletion of nobody":            func() error { _, err := client.DeleteUserAndRevoke(ctx, "", latchkey.Revoke{Tokens: true}); return err },
		"a switch that revokes nothing":   func() error { _, err := client.DisableUserAndRevoke(ctx, "u", latchkey.Revoke{}); return err },
		"a profile of nobody":             func() error { _, err := client.GetProfiles(ctx, nil); return err },
		"a profile without a uid":         func() error { return client.UpdateProfile(ctx, "", latchkey.UpdateProfileRequest{}) },
		"a run-as that cannot be sent":    func() error { _, err := client.RunAs("a\r\nX: b").Info(ctx); return err },
	} {
		if err := do(); err == nil || form(err) != "" {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed, with %v", r.Header)
	}))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	for name, options := range map[string][]latchkey.Option{"own": nil, "given": {latchkey.WithHTTPClient(&http.Client{})}} {
		c, err := latchkey.New(s.URL, options...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context()); form(err) != "UnreadableError" {
			t.Errorf("%s client: got %v, want an UnreadableError", name, err)
		}
		c.Close()
	}
}

// printed is v in all forms that it may be printed in.
func printed(v any) []string {
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("m", "v", v)
	if _, struc := v.(interface{ LogValue() slog.Value }); struc {
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "v", v)
	}
	texts := []string{logged.String(), fmt.Sprint(v)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	return texts
}

func TestSecretsDoNotPrint(t *testing.T) {
	const secret = "c2VjcmV0"
	credential := latchkey.EncodedKey(secret)
	client, err := latchkey.New("https://h", latchkey.WithCredential(credential))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"a credential":              credential,
		"a pointer to a credential": &credential,
		"a basic credential":        latchkey.Basic("jo", secret),
		"a token":                   latchkey.Bearer(secret),
		"a client":                  client,
		"a client's value":          *client,
		"a list":                    []latchkey.Credential{credential},
		"a new key":                 latchkey.CreateAPIKeyResponse{ID: "i", APIKey: secret, Encoded: secret},
		"a pointer to a new key":    &latchkey.CreateAPIKeyResponse{ID: "i", APIKey: secret, Encoded: secret},
		"a grant":                   latchkey.GrantAPIKeyRequest{Username: "u", Password: secret, AccessToken: secret},
		"a user":                    latchkey.PutUserRequest{Password: secret, PasswordHash: secret},
		"an activation":             latchkey.ActivateProfileRequest{GrantType: "password", Password: secret, AccessToken: secret},
		"a password":                latchkey.ChangePasswordRequest{Password: secret, PasswordHash: secret},
		"a token by password":       latchkey.PasswordGrant("u", secret),
		"a refresh":                 latchkey.RefreshGrant(secret),
		"a ticket":                  latchkey.KerberosGrant([]byte("secret")), // its Base64 is secret
		"new tokens":                latchkey.TokenResponse{AccessToken: secret, RefreshToken: secret, KerberosResponse: secret},
		"a pointer to new tokens":   &latchkey.TokenResponse{AccessToken: secret, RefreshToken: secret, KerberosResponse: secret},
		"a selection of a token":    latchkey.AccessToken(secret),
		"a selection of another":    latchkey.RefreshToken(secret),
		"a struct that holds them": struct {
			Made   latchkey.CreateAPIKeyResponse
			hidden latchkey.Credential
			grant  latchkey.TokenGrant
			tokens latchkey.TokenSelection
			Pair   latchkey.TokenResponse
		}{latchkey.CreateAPIKeyResponse{APIKey: secret}, credential, latchkey.RefreshGrant(secret), latchkey.AccessToken(secret), latchkey.TokenResponse{AccessToken: secret}},
	} {
		for _, text := range printed(v) {
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) || strings.Contains(text, "amo6") {
				t.Errorf("%s prints as %s", name, text)
			}
		}
	}
	if b, err := json.Marshal(credential); err != nil || string(b) != `"ApiKey [redacted]"` {
		t.Errorf("a credential marshals as %s, %v", b, err)
	}
	if b, err := json.Marshal(latchkey.CreateAPIKeyResponse{ID: "i", Name: "n", APIKey: "s", Encoded: "e"}); err != nil ||
		string(b) != `{"id":"i","name":"n","api_key":"s","encoded":"e"}` {
		t.Errorf("a new key marshals as %s, %v: the server answers with it", b, err)
	}
	if text := fmt.Sprintf("%+v", latchkey.CreateAPIKeyResponse{ID: "i", Name: "n", APIKey: secret}); !strings.Contains(text, "ID:i Name:n") {
		t.Errorf("a new key prints as %s, want the rest of it to be seen", text)
	}
}

func TestKeysOfServersBefore716HaveAnEncodedForm(t *testing.T) {
	made, err := newFake(t, always(200, `{"id":"i","name":"n","api_key":"s"}`)).CreateAPIKey(t.Context(), latchkey.CreateAPIKeyRequest{Name: "n"})
	if err != nil || made.Encoded != "aTpz" {
		t.Errorf("got %q, %v; want aTpz", made.Encoded, err)
	}
}
