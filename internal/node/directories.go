package node

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/dnroles"
	"latchkey/internal/ldap"
	"latchkey/internal/pki"
	"latchkey/internal/rolemapping"
)

// openLDAP returns a realm of a directory.
func (r *realms) openLDAP(c *config.Realm, mappings *rolemapping.Service, log *slog.Logger) (*ldap.Realm, error) {
	trust, err := follow(c.TLS("ssl."), settingOf(c, "ssl."), log, func(cfg config.TLS, files tlsFiles) (*tls.Config, error) {
		return clientTLS(cfg, files, c.Text("ssl.verification_mode"))
	})
	if err != nil {
		return nil, err
	}
	search := func(key string) ldap.Search {
		return ldap.Search{Base: c.Text(key + ".base_dn"), Scope: ldap.Scope(c.Text(key + ".scope")), Filter: c.Text(key + ".filter")}
	}
	pool := ldap.Pool{
		Check: c.Bool("user_search.pool.health_check.enabled"), CheckEvery: c.Duration("user_search.pool.health_check.interval"),
		CheckDN: c.Text("user_search.pool.health_check.dn"),
	}
	if c.Bool("user_search.pool.enabled") {
		pool.Size = c.Number("user_search.pool.size")
	}
	made := ldap.New(ldap.Options{
		Name: c.Name, ActiveDirectory: c.Type == ldap.TypeActiveDirectory, LookupOnly: !c.Bool("authentication.enabled"),
		URLs: c.List("url"), Balance: ldap.Balance(c.Text("load_balance.type")), BalanceTTL: c.Duration("load_balance.cache_ttl"),
		TLS: trust.get, Connect: c.Duration("timeout.tcp_connect"), Response: c.Duration("timeout.response"), SearchTime: c.Duration("timeout.ldap_search"),
		Referrals: c.Bool("follow_referrals"), BindDN: c.Text("bind_dn"), BindPassword: c.Secret("secure_bind_password"), Pool: pool,
		UserSearch: search("user_search"), UserDNTemplates: c.List("user_dn_templates"),
		GroupSearch: search("group_search"), GroupUserAttribute: c.Text("group_search.user_attribute"), GroupAttribute: c.Text("user_group_attribute"),
		FullNameAttribute: c.Text("user_full_name_attribute"), EmailAttribute: c.Text("user_email_attribute"), Metadata: c.List("metadata"),
		Domain: c.Text("domain_name"), UPNFilter: c.Text("user_search.upn_filter"), DownLevelFilter: c.Text("user_search.down_level_filter"),
		UnmappedGroupsAsRoles: c.Bool("unmapped_groups_as_roles"), FileRoles: r.dnFile(c, log), Mapper: mappings,
		AuthorizationRealms: c.List("authorization_realms"), Others: r.chain,
		CacheTTL: c.Duration("cache.ttl"), CacheMax: c.Number("cache.max_users"), Lease: r.lease, Now: time.Now, Log: log,
	})
	r.directories = append(r.directories, made)
	return made, nil
}

// openPKI returns a realm of certificates.
func (r *realms) openPKI(c *config.Realm, mappings *rolemapping.Service, log *slog.Logger) (*pki.Realm, error) {
	o := pki.Options{
		Name: c.Name, Username: c.Pattern("username_pattern"), RDN: c.OID("username_rdn_oid"), Delegation: c.Bool("delegation.enabled"),
		FileRoles: r.dnFile(c, log), Mapper: mappings, AuthorizationRealms: c.List("authorization_realms"), Others: r.chain,
		CacheTTL: c.Duration("cache.ttl"), CacheMax: c.Number("cache.max_users"), Lease: r.lease, Now: time.Now,
	}
	if name := c.Text("username_rdn_name"); name != "" {
		id, ok := pki.Attribute(name)
		if !ok {
			return nil, fmt.Errorf("%s: %q is unknown; give its number in username_rdn_oid", settingOf(c, "username_rdn_name"), name)
		}
		o.RDN = id
	}
	if cfg := c.TLS(""); cfg.Truststore.Path != "" || len(cfg.CertificateAuthorities) > 0 {
		trust, err := follow(cfg, settingOf(c, ""), log, func(cfg config.TLS, files tlsFiles) (*x509.CertPool, error) {
			authorities, err := readAuthorities(cfg, files)
			return poolOf(authorities), err
		})
		if err != nil {
			return nil, err
		}
		o.Authorities = trust.get
	}
	made := pki.New(o)
	r.certificates = append(r.certificates, made)
	return made, nil
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// dnFile is the file of roles that a realm names. Realms that name the same share it.
func (r *realms) dnFile(c *config.Realm, log *slog.Logger) *dnroles.File {
	path := c.Text("files.role_mapping")
	if f := r.dnFiles[path]; f != nil {
		return f
	}
	f := dnroles.New(path)
	r.dnFiles[path] = f
	if news, err := f.Read(); news != nil || err != nil {
		logDNRoles(log, news, err)
	}
	return f
}

func logDNRoles(log *slog.Logger, news *dnroles.News, err error) {
	if err != nil {
		log.Error("a file of roles by distinguished names cannot be used; none of its roles counts", "err", err)
		return
	}
	log.Info("a file of roles by distinguished names was read", "file", news.Path, "names", news.Names)
	for _, why := range news.Skipped {
		log.Warn("an entry of a file of roles is skipped", "file", news.Path, "why", why)
	}
}

// clientTLS is for connections to servers.
func clientTLS(cfg config.TLS, files tlsFiles, verification string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: cfg.MinVersion, MaxVersion: cfg.MaxVersion, CipherSuites: cfg.CipherSuites}
	authorities, err := readAuthorities(cfg, files)
	if err != nil {
		return nil, err
	}
	if len(authorities) > 0 {
		t.RootCAs = poolOf(authorities)
	}
	if cfg.Certificate != "" || cfg.Keystore.Path != "" {
		id, err := readIdentity(cfg, files)
		if err != nil {
			return nil, err
		}
		id.chain = complete(id.chain, id.others)
		t.Certificates = []tls.Certificate{id.certificate()}
	}
	t.InsecureSkipVerify = verification != "full" // then what is to be checked is checked below
	if verification == "certificate" {
		t.VerifyConnection = func(s tls.ConnectionState) error {
			between := poolOf(s.PeerCertificates[1:])
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: t.RootCAs, Intermediates: between})
			return err
		}
	}
	return t, nil
}

// followed is something that is made of the files of TLS settings, and made again
// when they change.
type followed[T any] struct {
	cfg  config.TLS
	what string // the settings, for the log
	make func(config.TLS, tlsFiles) (T, error)
	log  *slog.Logger

	mu      sync.Mutex // guards the rest
	looked  time.Time
	seen    [sha256.Size]byte
	current T
}

// follow returns what cfg says; what names the settings.
func follow[T any](cfg config.TLS, what string, log *slog.Logger, make func(config.TLS, tlsFiles) (T, error)) (*followed[T], error) {
	f := &followed[T]{cfg: cfg, what: what, make: make, log: log, looked: time.Now()}
	files := readTLSFiles(f.cfg)
	f.seen = files.digest()
	var err error
	if f.current, err = f.make(f.cfg, files); err != nil {
		return nil, fmt.Errorf("%s%w", f.what, err)
	}
	return f, nil
}

// get returns the newest that could be made. It looks at the files when somebody
// asks and the last look is a while ago.
func (f *followed[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < reloadEvery {
		return f.current
	}
	f.looked = time.Now()
	files := readTLSFiles(f.cfg)
	if files.digest() == f.seen {
		return f.current
	}
	f.seen = files.digest()
	if made, err := f.make(f.cfg, files); err != nil {
		f.log.Error("new TLS files cannot be used; what was in the old ones stays", "settings", f.what, "err", err)
	} else {
		f.current = made
		f.log.Info("TLS files changed and are in use", "settings", f.what)
	}
	return f.current
}
