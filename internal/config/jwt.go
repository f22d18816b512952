package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"latchkey/internal/pattern"
)

const jwtType = "jwt"

func init() { realmChecks[jwtType] = checkJWT }

var jwtSettings = realmSettings(jwtType, slices.Concat([]realmSetting{
	{"token_type", "id_token", "", "id_token or access_token", "What tokens are: those of OpenID Connect, which tell who somebody is, or those of OAuth2, which an application shows in its own name or somebody's.", asOneOf("id_token", "access_token")},
	{"allowed_issuer", "", "none; must be given", "text", "Who issues the tokens: the claim `iss`, character by character.", asText},
	{"allowed_audiences", "", "none; must be given", "list", "Whom tokens are for: one of these has to be in the claim `aud`.", asList(nil)},
	{"allowed_signature_algorithms", "RS256", "", "list of HS, RS, PS or ES with 256, 384 or 512", "How tokens may be signed.", asList(signatureOK)},
	{"allowed_clock_skew", "60s", "", "duration; 0 is none", "How far the clock of the issuer may be off.", asDuration(zeroIsOff)},
	{"allowed_subjects", "", "", "list", "Whom tokens may be about: the claim `sub`. An access token needs this or `allowed_subject_patterns`.", asList(nil)},
	{"allowed_subject_patterns", "", "", "list of patterns", "The same with wildcards, or regular expressions between slashes.", asList(subjectOK)},
	{"pkc_jwkset_path", "", "needed for RS, PS and ES", "file or https address", "The public keys of the issuer, as a JWK set. A relative path begins at the folder of `latchkey.yml`. It is read again when a signature fits no key, and now and then: a file after seconds, an address after five minutes.", asText},
	{"hmac_jwkset", "", "one of the two is needed for HS", "secret", "The keys shared with the issuer, as a JWK set.", asSecret},
	{"hmac_key", "", "", "secret", "The key shared with the issuer, as a text of at least 32 bytes for HS256, 48 for HS384, 64 for HS512.", asSecret},
	{"fallback_claims.sub", "", "`sub`", "name of a claim", "For access tokens: the claim that counts where there is no `sub`.", asText},
	{"fallback_claims.aud", "", "`aud`", "name of a claim", "For access tokens: the claim that counts where there is no `aud`.", asText},
	{"required_claims.*", "", "", "list", "The values of which the claim `*` must have one. Not for `iss`, `sub`, `aud`, `exp`, `nbf` and `iat`.", asList(nil)},
	{"client_authentication.type", "shared_secret", "", "shared_secret or none", "Whether clients prove themselves, beside the token, with the header `ES-Client-Authentication: SharedSecret ...`.", asOneOf("shared_secret", "none")},
	{"client_authentication.shared_secret", "", "", "secret", "What they have to say.", asSecret},
	{"client_authentication.rotation_grace_period", "1m", "", "duration", "Accepted without effect: the secret is read at the start, and there is one.", asDuration(zeroIsOff)},
	{"jwt.cache.ttl", "20m", "", "duration; 0 is off", "How long after its last use a token is not verified again. It counts no longer than it is valid, and roles are those of the moment in any case.", asDuration(zeroIsOff)},
	{"jwt.cache.size", "100000", "", "whole number above 0", "How many tokens are kept like that.", asNumber(1, 100_000_000)},
}, claimSettings, issuerSettings))

// claimSettings are of all realms of signed tokens.
var claimSettings = []realmSetting{
	{"claims.principal", "", "none; must be given", "name of a claim", "The claim that is the username.", asText},
	{"claims.groups", "", "", "name of a claim", "The claim that holds the user's groups, for role mappings.", asText},
	{"claims.dn", "", "", "name of a claim", "The claim that holds the user's distinguished name, for role mappings.", asText},
	{"claims.mail", "", "", "name of a claim", "The claim that is the e-mail address.", asText},
	{"claims.name", "", "", "name of a claim", "The claim that is the full name.", asText},
	{"claim_patterns.principal", "", "", "regular expression (RE2) with a group", "What its first group matches in the claim is the username; without a match, there is none.", asPattern},
	{"claim_patterns.groups", "", "", "as `claim_patterns.principal`", "The same for each group.", asPattern},
	{"claim_patterns.dn", "", "", "as `claim_patterns.principal`", "The same for the distinguished name.", asPattern},
	{"claim_patterns.mail", "", "", "as `claim_patterns.principal`", "The same for the e-mail address.", asPattern},
	{"claim_patterns.name", "", "", "as `claim_patterns.principal`", "The same for the full name.", asPattern},
	{"populate_user_metadata", "true", "", "boolean", "Whether the claims become metadata of the user, for role mappings and for all to see who see the user.", asBool},
	{"authorization_realms", "", "", "list of names of realms", "Where the roles come from: the user has to have the same name in one of these realms, and has that user's roles, full name, e-mail and metadata. Without it, role mappings say what the user may do.", asList(nil)},
}

// issuerSettings say how an issuer is spoken to.
var issuerSettings = []realmSetting{
	{"http.connect_timeout", "5s", "", "duration above 0", "How long a connection to the issuer may take to open.", asDuration(aboveZero)},
	{"http.connection_read_timeout", "5s", "", "duration above 0", "How long the beginning of an answer may take.", asDuration(aboveZero)},
	{"http.socket_timeout", "5s", "", "duration above 0", "How long the rest of it may take.", asDuration(aboveZero)},
	{"http.max_connections", "200", "", "whole number above 0", "How many connections are kept open.", asNumber(1, 100_000)},
	{"http.max_endpoint_connections", "200", "", "whole number above 0", "How many connections there may be to one host.", asNumber(1, 100_000)},
	{"ssl.certificate_authorities", "", "those of the system", "list of PEM files", "Whom to trust when the issuer shows its certificate. Relative paths begin at the folder of `latchkey.yml`.", asList(nil)},
}

// Pattern is [Realm.Text] for regular expressions; nil if there is none.
func (r *Realm) Pattern(key string) *regexp.Regexp { return valueOf[*regexp.Regexp](r, key) }

func asPattern(v value) (any, error) {
	s, err := asText(v)
	if err != nil {
		return nil, err
	}
	p, err := regexp.Compile(s.(string))
	if err == nil && p.NumSubexp() == 0 {
		err = fmt.Errorf("%q has no group in parentheses, which says what part counts", s)
	}
	return p, err
}

func subjectOK(s string) error {
	_, err := pattern.Parse(s)
	return err
}

func signatureOK(s string) error {
	kinds, sizes := []string{"HS", "RS", "PS", "ES"}, []string{"256", "384", "512"}
	if len(s) == 5 && slices.Contains(kinds, s[:2]) && slices.Contains(sizes, s[2:]) {
		return nil
	}
	return fmt.Errorf("%q is no way to sign a token; write one of HS, RS, PS, ES, followed by one of 256, 384, 512", s)
}

// asAddress is an address whose answers decide who gets in: HTTPS, or one that
// does not leave the machine.
func asAddress(v value) (any, error) {
	s, err := asText(v)
	if err == nil {
		err = addressOK(s.(string))
	}
	return s, err
}

func addressOK(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is no address; write it as in https://issuer.example.org/keys", s)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && here {
		return nil
	}
	return fmt.Errorf("%q is not safe; write an address that begins with https://", s)
}

// isAddress tells an address from a file.
func isAddress(s string) bool { return strings.Contains(s, "://") }

// checkIssuer looks at what all realms of signed tokens have.
func (k realmCheck) checkIssuer(keys string) {
	k.need("claims.principal")
	for _, s := range claimSettings {
		if name, ok := strings.CutPrefix(s.key, "claim_patterns."); ok && k.r.Has(s.key) && !k.r.Has("claims."+name) {
			k.complain(s.key, "needs claims.%s beside it", name)
		}
	}
	switch path := k.r.Text(keys); {
	case isAddress(path):
		if err := addressOK(path); err != nil {
			k.complain(keys, "%v", err)
		}
	case path != "":
		k.r.values[keys] = k.locate(path)
	}
	for i, path := range k.r.List("ssl.certificate_authorities") {
		k.r.List("ssl.certificate_authorities")[i] = k.locate(path)
	}
}

func (k realmCheck) locate(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(k.c.Dir, path)
}

func checkJWT(k realmCheck) {
	k.need("allowed_issuer", "allowed_audiences")
	k.checkIssuer("pkc_jwkset_path")
	k.checkSignatures("allowed_signature_algorithms", "pkc_jwkset_path")
	if k.r.Has("hmac_key") && k.r.Has("hmac_jwkset") {
		k.complain("hmac_key", "cannot stand beside hmac_jwkset; write one of the two")
	}
	access := k.r.Text("token_type") == "access_token"
	if access && !k.r.Has("allowed_subjects") && !k.r.Has("allowed_subject_patterns") {
		k.complain("allowed_subjects", "or allowed_subject_patterns must be given with the token_type access_token; write whom tokens may be about")
	}
	for _, key := range []string{"fallback_claims.sub", "fallback_claims.aud"} {
		if !access && k.r.Has(key) {
			k.complain(key, "is for the token_type access_token only")
		}
	}
	for claim := range k.r.Below("required_claims") {
		if slices.Contains([]string{"iss", "sub", "aud", "exp", "nbf", "iat"}, claim) {
			k.complain("required_claims."+claim, "is checked by other settings; remove it")
		}
	}
	shared := k.r.Text("client_authentication.type") == "shared_secret"
	if given := k.r.Has("client_authentication.shared_secret"); shared && !given {
		k.complain("client_authentication.shared_secret", "must be given; write what clients have to say, or none for client_authentication.type")
	} else if given && !shared {
		k.complain("client_authentication.shared_secret", "has no effect with the client_authentication.type none; remove one of the two")
	}
}

// checkSignatures compares the algorithms with the keys that there are.
func (k realmCheck) checkSignatures(algorithms, public string) {
	var hmac, pkc bool
	for _, a := range k.r.List(algorithms) {
		if !strings.HasPrefix(a, "HS") {
			pkc = true
			continue
		}
		hmac = true
		bits, _ := strconv.Atoi(a[2:])
		if key := k.r.Secret("hmac_key"); !key.IsZero() && len(key.Reveal()) < bits/8 {
			k.complain("hmac_key", "is too short for %s, which needs %d bytes", a, bits/8)
		}
	}
	has := k.r.Has("hmac_key") || k.r.Has("hmac_jwkset")
	switch {
	case hmac && !has:
		k.complain("hmac_key", "or hmac_jwkset must be given, since tokens may be signed with HS")
	case !hmac && has:
		k.complain(algorithms, "holds no HS, for which there is a shared key; add one, or remove the key")
	}
	switch {
	case pkc && !k.r.Has(public):
		k.complain(public, "must be given, since tokens may be signed with RS, PS or ES")
	case !pkc && k.r.Has(public):
		k.complain(algorithms, "holds no RS, PS or ES, for which there are public keys; add one, or remove the keys")
	}
}
