package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	jwt1  = "xpack.security.authc.realms.jwt.jwt1."
	oidc1 = "xpack.security.authc.realms.oidc.oidc1."
)

var (
	goodJWT = map[string]string{"order": "7", "allowed_issuer": "https://i", "allowed_audiences": "a,b", "pkc_jwkset_path": "keys.json",
		"claims.principal": "sub", "client_authentication.shared_secret": "s"}
	goodOIDC = map[string]string{"order": "8", "rp.client_id": "c", "rp.client_secret": "s", "rp.response_type": "code", "rp.redirect_uri": "https://app/cb",
		"op.issuer": "https://i", "op.authorization_endpoint": "https://i/a", "op.token_endpoint": "https://i/t", "op.jwkset_path": "https://i/keys", "claims.principal": "sub"}
)

// settings are those of a good realm, some of them changed; "-" removes.
func settings(prefix string, good map[string]string, change ...string) (all []string) {
	for key, v := range good {
		if !slices.ContainsFunc(change, func(c string) bool { return strings.HasPrefix(c, key+"=") }) {
			all = append(all, prefix+key+"="+v)
		}
	}
	for _, c := range change {
		if !strings.HasSuffix(c, "=-") {
			all = append(all, prefix+c)
		}
	}
	return all
}

func realmOf(t *testing.T, c *Config, kind string) *Realm {
	t.Helper()
	at := slices.IndexFunc(c.Realms, func(r *Realm) bool { return r.Type == kind })
	if at < 0 {
		t.Fatalf("there is no realm of type %s", kind)
	}
	return c.Realms[at]
}

func TestRealmsOfSignedTokens(t *testing.T) {
	c := mustLoad(t, "", nil, slices.Concat(settings(jwt1, goodJWT, "claim_patterns.principal=^(.*)@x$", "required_claims.a.b=1,2", "required_claims.c=3"), settings(oidc1, goodOIDC)))
	r := realmOf(t, c, "jwt")
	if r.Name != "jwt1" || r.Order != 7 || !r.Enabled || r.Text("token_type") != "id_token" || r.Duration("allowed_clock_skew") != time.Minute ||
		!slices.Equal(r.List("allowed_signature_algorithms"), []string{"RS256"}) || !strings.HasSuffix(r.Text("pkc_jwkset_path"), "/keys.json") ||
		r.Pattern("claim_patterns.principal").String() != "^(.*)@x$" || r.Pattern("claim_patterns.groups") != nil ||
		r.Duration("http.connect_timeout") != 5*time.Second || r.Number("jwt.cache.size") != 100_000 || r.Secret("client_authentication.shared_secret").Reveal() != "s" {
		t.Errorf("got %+v", r)
	}
	if got := fmt.Sprint(r.Below("required_claims")); got != "map[a.b:[1 2] c:[3]]" {
		t.Errorf("required claims: %s", got)
	}
	o := realmOf(t, c, "oidc")
	if o.Text("rp.signature_algorithm") != "RS256" || o.Text("op.jwkset_path") != "https://i/keys" || !o.Bool("populate_user_metadata") {
		t.Errorf("got %+v", o)
	}
	if text := fmt.Sprintf("%+v %v %#v", *r, *o, r.values); strings.Contains(text, "shared_secret:s") {
		t.Errorf("a secret prints: %s", text)
	}
}

func TestMistakesOfRealmsOfSignedTokens(t *testing.T) {
	tests := []struct {
		prefix string
		set    []string
		want   string // "" is no mistake
	}{
		{jwt1, []string{"allowed_issuer=-"}, jwt1 + "allowed_issuer: must be given"},
		{jwt1, []string{"allowed_audiences=-"}, jwt1 + "allowed_audiences: must be given"},
		{jwt1, []string{"claims.principal=-"}, jwt1 + "claims.principal: must be given"},
		{jwt1, []string{"order=-"}, jwt1 + "order: must be given"},
		{jwt1, []string{"token_type=jwt"}, `"jwt" is none of id_token, access_token`},
		{jwt1, []string{"token_type=access_token"}, jwt1 + "allowed_subjects: or allowed_subject_patterns must be given"},
		{jwt1, []string{"token_type=access_token", "allowed_subject_patterns=a*", "fallback_claims.sub=client_id"}, ""},
		{jwt1, []string{"allowed_subject_patterns=/a("}, "/a("},
		{jwt1, []string{"fallback_claims.aud=scope"}, "is for the token_type access_token only"},
		{jwt1, []string{"allowed_signature_algorithms=none"}, `"none" is no way to sign a token`},
		{jwt1, []string{"allowed_signature_algorithms=HS256"}, jwt1 + "hmac_key: or hmac_jwkset must be given"},
		{jwt1, []string{"allowed_signature_algorithms=HS256", "pkc_jwkset_path=-", "hmac_key=short"}, "is too short for HS256, which needs 32 bytes"},
		{jwt1, []string{"allowed_signature_algorithms=HS256", "pkc_jwkset_path=-", "hmac_key=" + strings.Repeat("k", 32)}, ""},
		{jwt1, []string{"allowed_signature_algorithms=HS256", "hmac_key=" + strings.Repeat("k", 32)}, "holds no RS, PS or ES"},
		{jwt1, []string{"hmac_key=" + strings.Repeat("k", 32)}, "holds no HS"},
		{jwt1, []string{"allowed_signature_algorithms=HS256,RS256", "hmac_key=" + strings.Repeat("k", 32), "hmac_jwkset={}"}, "cannot stand beside hmac_jwkset"},
		{jwt1, []string{"pkc_jwkset_path=-"}, jwt1 + "pkc_jwkset_path: must be given"},
		{jwt1, []string{"pkc_jwkset_path=http://issuer/keys"}, "is not safe; write an address that begins with https://"},
		{jwt1, []string{"pkc_jwkset_path=http://127.0.0.1/keys"}, ""},
		{jwt1, []string{"pkc_jwkset_path=https:///keys"}, "is no address"},
		{jwt1, []string{"required_claims.exp=1"}, jwt1 + "required_claims.exp: is checked by other settings"},
		{jwt1, []string{"required_claims.=1"}, `a jwt realm has no "required_claims."`},
		{jwt1, []string{"claim_patterns.principal=("}, "error parsing regexp"},
		{jwt1, []string{"claim_patterns.principal=.*"}, "has no group in parentheses"},
		{jwt1, []string{"claim_patterns.groups=(.*)"}, "needs claims.groups beside it"},
		{jwt1, []string{"client_authentication.shared_secret=-"}, jwt1 + "client_authentication.shared_secret: must be given"},
		{jwt1, []string{"client_authentication.type=none"}, "has no effect with the client_authentication.type none"},
		{jwt1, []string{"client_authentication.type=none", "client_authentication.shared_secret=-"}, ""},
		{jwt1, []string{"authorization_realms=corp"}, `there is no realm "corp" whose users could be looked up`},
		{jwt1, []string{"allowed_clock_skew=5"}, `"5" has no unit`},
		{jwt1, []string{"clams.principal=sub"}, `a jwt realm has no "clams.principal"; did you mean [claims.principal]?`},
		{jwt1, []string{"allowed_issuer=-", "enabled=false"}, ""},
		{oidc1, nil, ""},
		{oidc1, []string{"rp.client_id=-"}, oidc1 + "rp.client_id: must be given"},
		{oidc1, []string{"rp.client_secret=-"}, oidc1 + "rp.client_secret: must be given"},
		{oidc1, []string{"rp.client_secret=-", "rp.response_type=id_token"}, ""},
		{oidc1, []string{"rp.response_type=token id_token"}, ""},
		{oidc1, []string{"rp.response_type=token"}, `"token" is none of code, id_token, id_token token`},
		{oidc1, []string{"op.token_endpoint=-"}, oidc1 + "op.token_endpoint: must be given"},
		{oidc1, []string{"op.jwkset_path=-"}, oidc1 + "op.jwkset_path: must be given"},
		{oidc1, []string{"op.jwkset_path=-", "rp.signature_algorithm=HS256"}, ""},
		{oidc1, []string{"rp.signature_algorithm=XS256"}, `"XS256" is no way to sign a token`},
		{oidc1, []string{"op.token_endpoint=http://i/t"}, "is not safe"},
		{oidc1, []string{"rp.redirect_uri=callback"}, "is no address"},
		{oidc1, []string{"order=-"}, oidc1 + "order: must be given"},
	}
	for _, tt := range tests {
		good := goodJWT
		if tt.prefix == oidc1 {
			good = goodOIDC
		}
		_, err := load(t, "", nil, settings(tt.prefix, good, tt.set...))
		mistakes, ok := errors.AsType[Mistakes](err)
		if tt.want == "" && err != nil || tt.want != "" && (!ok || !strings.Contains(mistakes.Error(), tt.want)) {
			t.Errorf("%q: got %v, want %q", tt.set, err, tt.want)
		}
	}
	_, err := load(t, "", nil, append(settings(oidc1, goodOIDC), "xpack.security.authc.token.enabled=false"))
	if err == nil || !strings.Contains(err.Error(), "needs xpack.security.authc.token.enabled") {
		t.Errorf("without tokens: %v", err)
	}
}
