package node

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/config"
	"latchkey/internal/jwt"
	"latchkey/internal/oidc"
)

// issuer is what the realms of signed tokens have of their settings.
type issuer struct {
	http      *http.Client
	directory jwt.Directory
	mapping   jwt.Mapping
	public    *jwt.Keys // nil if there are none
}

// openIssuer reads what a realm of signed tokens needs. keys is the setting that
// says where the issuer's keys are; metadata names claims in the metadata of users.
func openIssuer(cfg *config.Realm, keys string, metadata func(string) string, users jwt.Users, roles jwt.Roles, log *slog.Logger) (issuer, error) {
	roots, err := authorities(cfg.List("ssl.certificate_authorities"))
	if err != nil {
		return issuer{}, fmt.Errorf("%s: %w", settingOf(cfg, "ssl.certificate_authorities"), err)
	}
	claim := func(name string) jwt.Claim {
		return jwt.Claim{Name: cfg.Text("claims." + name), Pattern: cfg.Pattern("claim_patterns." + name)}
	}
	i := issuer{
		http: jwt.NewClient(jwt.ClientOptions{
			ConnectTimeout: cfg.Duration("http.connect_timeout"), ReadTimeout: cfg.Duration("http.connection_read_timeout"),
			SocketTimeout: cfg.Duration("http.socket_timeout"), MaxIdle: cfg.Number("http.max_connections"),
			MaxPerHost: cfg.Number("http.max_endpoint_connections"), Roots: roots,
		}),
		directory: jwt.Directory{Realm: access.Realm{Name: cfg.Name, Type: cfg.Type}, Lenders: cfg.List("authorization_realms"), Users: users, Roles: roles},
		mapping:   jwt.Mapping{Principal: claim("principal"), Groups: claim("groups"), DN: claim("dn"), Mail: claim("mail"), Name: claim("name")},
	}
	if cfg.Bool("populate_user_metadata") {
		i.mapping.Metadata = metadata
	}
	switch path := cfg.Text(keys); {
	case strings.Contains(path, "://"):
		i.public = jwt.PublicKeys(path, jwt.FromURL(i.http, path), jwt.OfAddress, time.Now, log)
	case path != "":
		i.public = jwt.PublicKeys(path, jwt.FromFile(path), jwt.OfFile, time.Now, log)
		if err := i.public.Read(context.Background()); err != nil { // an issuer may be down at the start; a file is there
			return issuer{}, fmt.Errorf("%s: %w", settingOf(cfg, keys), err)
		}
	}
	return i, nil
}

func settingOf(cfg *config.Realm, key string) string {
	return "xpack.security.authc.realms." + cfg.Type + "." + cfg.Name + "." + key
}

// authorities reads PEM files; without any it is those that the system trusts.
func authorities(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there is no certificate in %s", file)
		}
	}
	return pool, nil
}

// bearers reports whether there are tokens that clients could show.
func bearers(cfg *config.Config) bool {
	return cfg.Token.Enabled || slices.ContainsFunc(cfg.Realms, func(r *config.Realm) bool { return r.Enabled && r.Type == jwt.Type })
}

// openJWT returns a realm of JSON Web Tokens.
func (r *realms) openJWT(cfg *config.Realm, roles jwt.Roles, log *slog.Logger) (*jwt.Realm, error) {
	i, err := openIssuer(cfg, "pkc_jwkset_path", func(claim string) string { return "jwt_claim_" + claim }, r.chain, roles, log)
	if err != nil {
		return nil, err
	}
	o := jwt.Options{
		Directory: i.directory, Mapping: i.mapping,
		Verifier: jwt.Verifier{
			Issuer: cfg.Text("allowed_issuer"), Audiences: cfg.List("allowed_audiences"), Algorithms: cfg.List("allowed_signature_algorithms"),
			Skew: cfg.Duration("allowed_clock_skew"), Types: []string{"JWT"}, Public: i.public, Now: time.Now,
			SubjectClaim: cfg.Text("fallback_claims.sub"), AudienceClaim: cfg.Text("fallback_claims.aud"),
		},
		Subjects: cfg.List("allowed_subjects"), SubjectPatterns: cfg.List("allowed_subject_patterns"), Required: map[string][]string{},
		ClientSecret: cfg.Secret("client_authentication.shared_secret"),
		CacheTTL:     cfg.Duration("jwt.cache.ttl"), CacheMax: cfg.Number("jwt.cache.size"), Lease: r.lease, Log: log,
	}
	if cfg.Text("token_type") == "access_token" {
		o.Verifier.Types = append(o.Verifier.Types, "at+jwt", "application/at+jwt")
	}
	for claim, values := range cfg.Below("required_claims") {
		o.Required[claim], _ = values.([]string)
	}
	if key := cfg.Secret("hmac_key"); !key.IsZero() {
		o.Verifier.Shared = jwt.SharedKey(key.Reveal())
	} else if keys := cfg.Secret("hmac_jwkset"); !keys.IsZero() {
		if o.Verifier.Shared, err = jwt.SharedKeys(keys.Reveal()); err != nil {
			return nil, fmt.Errorf("%s: %w", settingOf(cfg, "hmac_jwkset"), err)
		}
	}
	return jwt.New(o)
}

// openOIDC returns a realm of an OpenID Connect provider.
func openOIDC(cfg *config.Realm, users jwt.Users, roles jwt.Roles, log *slog.Logger) (*oidc.Realm, error) {
	i, err := openIssuer(cfg, "op.jwkset_path", func(claim string) string { return "oidc(" + claim + ")" }, users, roles, log)
	if err != nil {
		return nil, err
	}
	id, secret := cfg.Text("rp.client_id"), cfg.Secret("rp.client_secret")
	o := oidc.Options{
		Directory: i.directory, Mapping: i.mapping,
		Verifier: jwt.Verifier{
			Issuer: cfg.Text("op.issuer"), Audiences: []string{id}, Algorithms: []string{cfg.Text("rp.signature_algorithm")},
			Skew: cfg.Duration("rp.allowed_clock_skew"), Types: []string{"JWT"}, Public: i.public, Now: time.Now,
		},
		ClientID: id, ClientSecret: secret, AuthMethod: cfg.Text("rp.client_auth_method"), AuthAlgorithm: cfg.Text("rp.client_auth_jwt_signature_algorithm"),
		ResponseType: cfg.Text("rp.response_type"), RedirectURI: cfg.Text("rp.redirect_uri"), PostLogout: cfg.Text("rp.post_logout_redirect_uri"),
		Scopes:        cfg.List("rp.requested_scopes"),
		Authorization: cfg.Text("op.authorization_endpoint"), Token: cfg.Text("op.token_endpoint"),
		UserInfo: cfg.Text("op.userinfo_endpoint"), EndSession: cfg.Text("op.endsession_endpoint"),
		HTTP: i.http, Now: time.Now, Log: log,
	}
	if !secret.IsZero() {
		o.Verifier.Shared = jwt.SharedKey(secret.Reveal())
	}
	return oidc.New(o), nil
}
