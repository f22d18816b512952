package node_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latchkey/internal/oidc/optest"
)

// provider runs an OpenID Connect provider for one test, and returns the file of
// whom to trust.
func provider(t *testing.T) (op *optest.Provider, authorities string) {
	t.Helper()
	op, err := optest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(op.Stop)
	authorities = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authorities, op.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return op, authorities
}

// flags are the settings of a realm as a node is given them.
func flags(realm string, settings map[string]string) (all []string) {
	for key, v := range settings {
		all = append(all, "-E", "xpack.security.authc.realms."+realm+"."+key+"="+v)
	}
	return all
}

// idToken is one of the provider, for any audience.
func idToken(op *optest.Provider, user, audience string, more map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": op.URL, "aud": audience, "sub": user, "iat": now, "exp": now + 300}
	for name, v := range more {
		claims[name] = v
	}
	return op.Sign(claims)
}

// mapping gives a role to the users of a realm that are in a group.
func (p *process) mapping(t *testing.T, name, role, realm, group string) {
	t.Helper()
	body := `{"enabled":true,"roles":["` + role + `"],"rules":{"all":[{"field":{"realm.name":"` + realm + `"}},{"field":{"groups":"` + group + `"}}]}}`
	p.want(t, http.StatusOK, "PUT", "/_security/role_mapping/"+name, elastic, body, nil)
}

func TestJSONWebTokens(t *testing.T) {
	op, authorities := provider(t)
	args := flags("jwt.jwt1", map[string]string{
		"order": "1", "allowed_issuer": op.URL, "allowed_audiences": "latchkey", "allowed_signature_algorithms": "ES256,RS256",
		"pkc_jwkset_path": op.URL + "/keys", "ssl.certificate_authorities": authorities, "claims.principal": "sub", "claims.groups": "groups",
		"client_authentication.shared_secret": "shared-secret",
	})
	args = append(args, flags("jwt.jwt2", map[string]string{
		"order": "2", "token_type": "access_token", "allowed_issuer": op.URL, "allowed_audiences": "batch", "allowed_signature_algorithms": "ES256",
		"allowed_subjects": "carol", "pkc_jwkset_path": op.URL + "/keys", "ssl.certificate_authorities": authorities, "claims.principal": "sub",
		"client_authentication.type": "none", "authorization_realms": "default_native", "required_claims.use": "access",
	})...)
	p := node(t, t.TempDir(), append(args, "-E", "latchkey.log.level=debug")...)
	p.want(t, http.StatusOK, "PUT", "/_security/role/keys", elastic, `{"cluster":["manage_own_api_key"],"run_as":["dave"]}`, nil)
	for _, u := range []string{"carol", "dave"} {
		p.want(t, http.StatusOK, "PUT", "/_security/user/"+u, elastic, `{"password":"`+password+`","roles":["keys"],"full_name":"`+u+`"}`, nil)
	}
	const header, secret = "ES-Client-Authentication", "SharedSecret shared-secret"
	alice := idToken(op, "alice", "latchkey", map[string]any{"groups": []string{"staff"}, "city": "X"})
	carol := idToken(op, "carol", "batch", map[string]any{"use": "access"})
	who := func(t *testing.T, token string, more ...string) answer {
		t.Helper()
		return p.ask(t, "GET", "/_security/_authenticate", "Bearer "+token, "", more...)
	}

	t.Run("an ID token", func(t *testing.T) {
		a := who(t, alice, header, secret)
		realm := map[string]any{"name": "jwt1", "type": "jwt"}
		metadata := map[string]any{"jwt_claim_aud": "latchkey", "jwt_claim_city": "X", "jwt_claim_groups": []any{"staff"}, "jwt_claim_iss": op.URL, "jwt_claim_sub": "alice"}
		want := map[string]any{"username": "alice", "roles": []any{}, "full_name": nil, "email": nil, "metadata": metadata, "enabled": true,
			"authentication_realm": realm, "lookup_realm": realm, "authentication_type": "realm"}
		if got, expected := asJSON(t, a.body), asJSON(t, want); a.status != http.StatusOK || got != expected {
			t.Errorf("got %d %s, want %s", a.status, got, expected)
		}
	})
	t.Run("role mappings count from the next request on", func(t *testing.T) {
		p.mapping(t, "m", "keys", "jwt1", "staff")
		if a := who(t, alice, header, secret); asJSON(t, a.body["roles"]) != `["keys"]` {
			t.Errorf("with a mapping: %s", a.text)
		}
		if a := p.ask(t, "POST", "/_security/api_key", "Bearer "+alice, `{"name":"k"}`, header, secret); a.status != http.StatusOK {
			t.Errorf("what the role allows: %d %s", a.status, a.text)
		}
		if a := who(t, alice, header, secret, "es-security-runas-user", "dave"); a.body["username"] != "dave" {
			t.Errorf("run-as: %s", a.text)
		}
		p.want(t, http.StatusOK, "DELETE", "/_security/role_mapping/m", elastic, "", nil)
		if a := p.ask(t, "POST", "/_security/api_key", "Bearer "+alice, `{"name":"k"}`, header, secret); a.status != http.StatusForbidden {
			t.Errorf("the mapping is gone: %d %s", a.status, a.text)
		}
	})
	t.Run("an access token with the roles of a native user", func(t *testing.T) {
		a := who(t, carol)
		if a.status != http.StatusOK || a.body["full_name"] != "carol" || asJSON(t, a.body["roles"]) != `["keys"]` || asJSON(t, a.body["authentication_realm"]) != `{"name":"jwt2","type":"jwt"}` {
			t.Errorf("got %d %s", a.status, a.text)
		}
		p.want(t, http.StatusOK, "PUT", "/_security/user/carol/_disable", elastic, "", nil)
		who(t, carol).refuses(t, kerberosChallenges[1:])
		p.want(t, http.StatusOK, "PUT", "/_security/user/carol/_enable", elastic, "", nil)
		if a := who(t, carol); a.status != http.StatusOK {
			t.Errorf("enabled again: %d %s", a.status, a.text)
		}
		p.want(t, http.StatusOK, "DELETE", "/_security/user/carol", elastic, "", nil)
		who(t, carol).refuses(t, kerberosChallenges[1:])
	})
	t.Run("refusals", func(t *testing.T) {
		other, _ := provider(t)
		parts := strings.Split(alice, ".")
		for name, bad := range map[string][]string{
			"no client authentication":    {alice},
			"a wrong secret":              {alice, header, "SharedSecret wrong"},
			"another scheme":              {alice, header, "Basic shared-secret"},
			"a token of another provider": {idToken(other, "alice", "latchkey", nil), header, secret},
			"one signed by another":       {other.Sign(map[string]any{"iss": op.URL, "aud": "latchkey", "sub": "alice", "iat": 1, "exp": 1e10}), header, secret},
			"another audience":            {idToken(op, "alice", "x", nil), header, secret},
			"an expired one":              {idToken(op, "alice", "latchkey", map[string]any{"exp": 1}), header, secret},
			"an access token of others":   {idToken(op, "mallory", "batch", map[string]any{"use": "access"})},
			"without a claim":             {idToken(op, "carol", "batch", nil)},
			"no signature":                {parts[0] + "." + parts[1] + ".", header, secret},
			"no token":                    {"a.b.c"},
			"unicode":                     {"ä.ö.ü"},
		} {
			t.Run(name, func(t *testing.T) { who(t, bad[0], bad[1:]...).refuses(t, kerberosChallenges[1:]) })
		}
	})
	t.Run("grants", func(t *testing.T) {
		body := func(token, auth string) string {
			return `{"grant_type":"access_token","access_token":"` + token + `","api_key":{"name":"granted"}` + auth + `}`
		}
		const proof = `,"client_authentication":{"scheme":"SharedSecret","value":"shared-secret"}`
		a := p.ask(t, "POST", "/_security/api_key/grant", basic(elastic), body(alice, proof))
		if a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.text)
		}
		owner := p.ask(t, "GET", "/_security/api_key?id="+a.body["id"].(string), basic(elastic), "")
		key := owner.body["api_keys"].([]any)[0].(map[string]any)
		if key["username"] != "alice" || key["realm"] != "jwt1" {
			t.Errorf("the owner is %v of %v", key["username"], key["realm"])
		}
		for name, tt := range map[string]struct {
			body   string
			status int
		}{
			"no client authentication": {body(alice, ""), http.StatusForbidden},
			"a wrong secret":           {body(alice, strings.Replace(proof, "shared-secret", "wrong", 1)), http.StatusForbidden},
			"another scheme":           {body(alice, strings.Replace(proof, "SharedSecret", "Basic", 1)), http.StatusBadRequest},
			"no secret":                {body(alice, `,"client_authentication":{"scheme":"SharedSecret"}`), http.StatusBadRequest},
			"no token":                 {body("a.b.c", proof), http.StatusForbidden},
		} {
			if a := p.ask(t, "POST", "/_security/api_key/grant", basic(elastic), tt.body); a.status != tt.status {
				t.Errorf("%s: %d %s, want %d", name, a.status, a.text, tt.status)
			}
		}
	})
	t.Run("its cache is cleared", func(t *testing.T) {
		if a := p.ask(t, "POST", "/_security/realm/jwt1,jwt2/_clear_cache", basic(elastic), ""); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.text)
		}
		if a := who(t, alice, header, secret); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.text)
		}
	})
	p.stops(t)
	for _, hidden := range []string{alice, carol, "shared-secret"} {
		if strings.Contains(p.err.String(), hidden) {
			t.Errorf("the log holds %q", hidden)
		}
	}
}

// Without access tokens of its own, a node takes those of its realms, and says so.
func TestJSONWebTokensAlone(t *testing.T) {
	op, authorities := provider(t)
	p := node(t, t.TempDir(), append(flags("jwt.jwt1", map[string]string{
		"order": "1", "allowed_issuer": op.URL, "allowed_audiences": "latchkey", "allowed_signature_algorithms": "ES256", "claims.principal": "sub",
		"pkc_jwkset_path": op.URL + "/keys", "ssl.certificate_authorities": authorities, "client_authentication.type": "none",
	}), "-E", "xpack.security.authc.token.enabled=false")...)
	if a := p.ask(t, "GET", "/_security/_authenticate", "Bearer "+idToken(op, "alice", "latchkey", nil), ""); a.status != http.StatusOK || a.body["username"] != "alice" {
		t.Errorf("got %d %s", a.status, a.text)
	}
	p.ask(t, "GET", "/_security/_authenticate", "Bearer "+idToken(op, "alice", "other", nil), "").refuses(t, kerberosChallenges[1:])
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOpenIDConnect(t *testing.T) {
	op, authorities := provider(t)
	dir := t.TempDir()
	args := append(flags("oidc.oidc1", map[string]string{
		"order": "1", "rp.client_id": optest.ClientID, "rp.client_secret": optest.ClientSecret, "rp.response_type": "code", "rp.redirect_uri": optest.RedirectURI,
		"rp.post_logout_redirect_uri": optest.AfterLogout, "rp.signature_algorithm": "ES256", "op.issuer": op.URL,
		"op.authorization_endpoint": op.URL + "/authorize", "op.token_endpoint": op.URL + "/token", "op.userinfo_endpoint": op.URL + "/userinfo",
		"op.endsession_endpoint": op.URL + "/logout", "op.jwkset_path": op.URL + "/keys", "ssl.certificate_authorities": authorities,
		"claims.principal": "email", "claim_patterns.principal": "^([^@]+)@", "claims.groups": "groups", "claims.name": "name",
	}), "-E", "latchkey.log.level=debug")
	p := node(t, dir, args...)
	op.Info = map[string]any{"name": "Alice of the provider"}
	p.want(t, http.StatusOK, "PUT", "/_security/role/app", elastic, `{"cluster":["manage_oidc","manage_token"]}`, nil)
	p.want(t, http.StatusOK, "PUT", "/_security/role/keys", elastic, `{"cluster":["manage_own_api_key"]}`, nil)
	for u, roles := range map[string]string{"app": `["app"]`, "weak": `[]`} {
		p.want(t, http.StatusOK, "PUT", "/_security/user/"+u, elastic, `{"password":"`+password+`","roles":`+roles+`}`, nil)
	}
	p.mapping(t, "m", "keys", "oidc1", "staff")
	app := basic("app:" + password)
	var secrets []string
	logIn := func(t *testing.T) (body string) {
		t.Helper()
		prepared := p.ask(t, "POST", "/_security/oidc/prepare", app, `{"realm":"oidc1"}`)
		if prepared.status != http.StatusOK || prepared.body["realm"] != "oidc1" {
			t.Fatalf("prepare: %d %s", prepared.status, prepared.text)
		}
		back, err := op.LogIn(prepared.body["redirect"].(string), "alice")
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(back)
		secrets = append(secrets, u.Query().Get("code"))
		return asJSON(t, map[string]any{"redirect_uri": back, "state": prepared.body["state"], "nonce": prepared.body["nonce"], "realm": "oidc1"})
	}
	body := logIn(t)
	made := p.ask(t, "POST", "/_security/oidc/authenticate", app, body)
	if made.status != http.StatusOK || made.body["type"] != "Bearer" || made.body["expires_in"] != 1200.0 {
		t.Fatalf("authenticate: %d %s", made.status, made.text)
	}
	access, refresh := made.body["access_token"].(string), made.body["refresh_token"].(string)
	who := p.ask(t, "GET", "/_security/_authenticate", "Bearer "+access, "")
	if who.body["username"] != "alice" || who.body["full_name"] != "Alice of the provider" || asJSON(t, who.body["roles"]) != `["keys"]` ||
		asJSON(t, who.body["authentication_realm"]) != `{"name":"oidc1","type":"oidc"}` || who.body["authentication_type"] != "token" {
		t.Errorf("got %s", who.text)
	}
	if a := p.ask(t, "POST", "/_security/oidc/authenticate", app, body); a.status != http.StatusUnauthorized {
		t.Errorf("the same code again: %d %s", a.status, a.text)
	}
	renewed := p.ask(t, "POST", "/_security/oauth2/token", app, refreshBody(refresh))
	if renewed.status != http.StatusOK {
		t.Fatalf("refresh: %d %s", renewed.status, renewed.text)
	}
	access, refresh = renewed.body["access_token"].(string), renewed.body["refresh_token"].(string)

	p.stops(t)
	p = node(t, dir, args...)
	out := p.ask(t, "POST", "/_security/oidc/logout", app, asJSON(t, map[string]string{"token": access, "refresh_token": refresh}))
	if out.status != http.StatusOK {
		t.Fatalf("logout: %d %s", out.status, out.text)
	}
	if _, err := op.LogIn(out.body["redirect"].(string), ""); err != nil || len(op.LoggedOut) != 1 || op.LoggedOut[0] != "alice" {
		t.Errorf("the provider: %v, %v", err, op.LoggedOut)
	}
	p.wantLogin(t, http.StatusUnauthorized, "Bearer "+access)
	if a := p.ask(t, "POST", "/_security/oauth2/token", app, refreshBody(refresh)); a.status != http.StatusBadRequest {
		t.Errorf("the refresh token after the logout: %d %s", a.status, a.text)
	}

	t.Run("refusals", func(t *testing.T) {
		weak := basic("weak:" + password)
		for _, tt := range []struct {
			name, path, credential, body string
			status                       int
		}{
			{"no credential", "prepare", "", `{"realm":"oidc1"}`, 401},
			{"a revoked credential", "prepare", "Bearer " + access, `{"realm":"oidc1"}`, 401},
			{"no privilege", "prepare", weak, `{"realm":"oidc1"}`, 403},
			{"no privilege", "authenticate", weak, `{"redirect_uri":"x","state":"s","nonce":"n"}`, 403},
			{"no privilege", "logout", weak, `{"token":"x"}`, 403},
			{"no body", "prepare", app, "", 400},
			{"nothing in it", "prepare", app, `{}`, 400},
			{"a wrong type", "prepare", app, `{"realm":["oidc1"]}`, 400},
			{"an unknown field", "prepare", app, `{"realm":"oidc1","x":1}`, 400},
			{"a field twice", "prepare", app, `{"realm":"oidc1","realm":"oidc1"}`, 400},
			{"an unknown realm", "prepare", app, `{"realm":"ü"}`, 400},
			{"an unknown issuer", "prepare", app, `{"iss":"x"}`, 400},
			{"nothing in it", "authenticate", app, `{}`, 400},
			{"no address", "authenticate", app, `{"redirect_uri":":","state":"s","nonce":"n"}`, 400},
			{"another address", "authenticate", app, `{"redirect_uri":"https://evil.example.org/callback?state=s&code=c","state":"s","nonce":"n"}`, 401},
			{"an invented code", "authenticate", app, `{"redirect_uri":"` + optest.RedirectURI + `?state=s&code=c","state":"s","nonce":"n"}`, 401},
			{"another state", "authenticate", app, strings.Replace(logIn(t), `"state":"`, `"state":"x`, 1), 401},
			{"another nonce", "authenticate", app, strings.Replace(logIn(t), `"nonce":"`, `"nonce":"x`, 1), 401},
			{"nothing in it", "logout", app, `{}`, 400},
			{"no token", "logout", app, `{"token":"x"}`, 400},
		} {
			if a := p.ask(t, "POST", "/_security/oidc/"+tt.path, tt.credential, tt.body); a.status != tt.status {
				t.Errorf("%s: %s: %d %s, want %d", tt.path, tt.name, a.status, a.text, tt.status)
			}
		}
	})
	p.stops(t)
	for _, hidden := range append(secrets, optest.ClientSecret, access, refresh, "eyJ") {
		if strings.Contains(p.err.String(), hidden) {
			t.Errorf("the log holds %q", hidden)
		}
	}
}
