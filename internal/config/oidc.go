package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const oidcType = "oidc"

func init() { realmChecks[oidcType] = checkOIDC }

var oidcSettings = realmSettings(oidcType, slices.Concat([]realmSetting{
	{"rp.client_id", "", "none; must be given", "text", "As whom the provider knows latchkey.", asText},
	{"rp.client_secret", "", "none; must be given, but for `id_token` with public keys", "secret", "How latchkey proves itself to the provider.", asSecret},
	{"rp.client_auth_method", "client_secret_basic", "", "client_secret_basic, client_secret_post or client_secret_jwt", "In which way.", asOneOf("client_secret_basic", "client_secret_post", "client_secret_jwt")},
	{"rp.client_auth_jwt_signature_algorithm", "HS384", "", "HS256, HS384 or HS512", "How the proof of `client_secret_jwt` is signed.", asOneOf("HS256", "HS384", "HS512")},
	{"rp.response_type", "", "none; must be given", "code, id_token or id_token token", "What the provider sends along with the user who comes back: a code, which latchkey redeems, or the tokens.", asResponseType},
	{"rp.redirect_uri", "", "none; must be given", "address", "Where the provider sends the user back to: the address of the application that calls latchkey, as the provider has it registered.", asURI},
	{"rp.post_logout_redirect_uri", "", "", "address", "Where the provider sends the user after a logout.", asURI},
	{"rp.requested_scopes", "openid", "", "list of scopes", "What is asked for. `openid` is always among it.", asList(nil)},
	{"rp.signature_algorithm", "RS256", "", "HS, RS, PS or ES with 256, 384 or 512", "How the provider signs ID tokens. With HS, `rp.client_secret` is the key.", asSignature},
	{"rp.allowed_clock_skew", "60s", "", "duration; 0 is none", "How far the clock of the provider may be off.", asDuration(zeroIsOff)},
	{"op.issuer", "", "none; must be given", "text", "The provider as its tokens call it: the claim `iss`, character by character.", asText},
	{"op.authorization_endpoint", "", "none; must be given", "https address", "Where users log in.", asAddress},
	{"op.token_endpoint", "", "needed for `code`", "https address", "Where codes are redeemed.", asAddress},
	{"op.userinfo_endpoint", "", "", "https address", "Where more claims about a user come from; those of the ID token win.", asAddress},
	{"op.endsession_endpoint", "", "", "https address", "Where users log out of the provider.", asAddress},
	{"op.jwkset_path", "", "none; must be given, but for HS", "file or https address", "The public keys of the provider, as a JWK set. A relative path begins at the folder of `latchkey.yml`. It is read again when a signature fits no key, and now and then: a file after seconds, an address after five minutes.", asText},
}, claimSettings, issuerSettings))

func asResponseType(v value) (any, error) {
	s, err := asText(v)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(s.(string))
	slices.Sort(words)
	return oneOf(strings.Join(words, " "), "code", "id_token", "id_token token")
}

func asSignature(v value) (any, error) {
	s, err := asText(v)
	if err == nil {
		err = signatureOK(s.(string))
	}
	return s, err
}

func asURI(v value) (any, error) {
	s, err := asText(v)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.(string))
	if err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address; write it as in https://app.example.org/callback", s)
	}
	return s, nil
}

func checkOIDC(k realmCheck) {
	k.need("rp.client_id", "rp.response_type", "rp.redirect_uri", "op.issuer", "op.authorization_endpoint")
	k.checkIssuer("op.jwkset_path")
	code, hmac := k.r.Text("rp.response_type") == "code", strings.HasPrefix(k.r.Text("rp.signature_algorithm"), "HS")
	if code {
		k.need("op.token_endpoint")
	}
	if code || hmac {
		k.need("rp.client_secret")
	}
	if !hmac {
		k.need("op.jwkset_path")
	}
	if !k.c.Token.Enabled {
		k.complain("enabled", "needs xpack.security.authc.token.enabled: whoever logs in gets a token")
	}
}
