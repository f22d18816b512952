// Package node is one running latchkey: it builds the rooms, introduces them to
// each other, owns every goroutine, and starts and stops them in order.
package node

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"latchkey/internal/apikey"
	"latchkey/internal/application"
	"latchkey/internal/authn"
	"latchkey/internal/config"
	"latchkey/internal/dnroles"
	"latchkey/internal/fleet"
	"latchkey/internal/httpapi"
	"latchkey/internal/leak"
	"latchkey/internal/leaver"
	"latchkey/internal/oidc"
	"latchkey/internal/pattern"
	"latchkey/internal/pki"
	"latchkey/internal/profile"
	"latchkey/internal/role"
	"latchkey/internal/rolemapping"
	"latchkey/internal/secret"
	"latchkey/internal/serviceaccount"
	"latchkey/internal/settings"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// rooms are the services of a node over its open store.
type rooms struct {
	db     *sqlstore.DB
	users  *user.Service
	roles  *role.Service
	keys   *apikey.Service
	tokens *token.Service

	accounts *serviceaccount.Service
	mappings *rolemapping.Service
	realms   *realms

	applications *application.Service
	fleet        *membership // nil: nobody else has the store
}

// Tokens in memory: how many, and how long after their last use.
const (
	maxTokens = 50_000
	tokenTTL  = 20 * time.Minute
)

// serviceTokensFile holds tokens of service accounts, in the folder of the settings.
const serviceTokensFile = "service_tokens"

// rolesFile holds roles, in the folder of the settings.
const rolesFile = "roles.yml"

// open builds the rooms. The caller holds the data folder, and starts the
// membership before anything else.
func open(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *rooms, err error) {
	db, err := openStore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	lease := fleet.Endless().Check
	var member *membership
	if db.Fleet() != nil {
		if member, err = newMembership(cfg, db, log); err != nil {
			return nil, err
		}
		lease = member.Lease().Check
	}
	hasher, err := secret.NewHasher(cfg.PasswordHashing)
	if err != nil {
		return nil, err
	}
	users, err := user.New(user.Options{
		Store: db, Hasher: hasher, Now: time.Now,
		Bootstrap: cfg.Reserved.BootstrapPassword, AutoconfigurationHash: cfg.Reserved.PasswordHash.Reveal(),
		ReservedDisabled: !cfg.Reserved.Enabled,
		RealmName:        cfg.Native.Name, NativeDisabled: !cfg.Native.Enabled, LookupOnly: !cfg.Native.LoginsOK,
		Anonymous: cfg.Anonymous.Username, AnonymousRoles: cfg.Anonymous.Roles,
		CacheTTL: cfg.Native.CacheTTL, CacheMax: cfg.Native.MaxUsers, Lease: lease,
	})
	if err != nil {
		return nil, err
	}
	mappings := rolemapping.New(db, time.Now, lease, log)
	realms, err := openRealms(cfg, db, lease, users, mappings, log)
	if err != nil {
		return nil, err
	}
	users.LookElsewhere(realms.chain)
	roles := role.New(db, time.Now, lease)
	roles.UseFile(filepath.Join(cfg.Dir, rolesFile))
	rules, err := policies(cfg.APIKey.Policies)
	if err != nil {
		return nil, err
	}
	keys := apikey.New(db, realms.chain, roles, apikey.Options{
		Enabled: cfg.APIKey.Enabled, RunAs: cfg.RunAs,
		CacheTTL: cfg.APIKey.CacheTTL, CacheMax: cfg.APIKey.MaxKeys, DocumentTTL: cfg.APIKey.DocCacheTTL,
		PurgeInterval: cfg.APIKey.DeleteInterval, PurgeTimeout: cfg.APIKey.DeleteTimeout, Retention: cfg.APIKey.RetentionPeriod,
		Policies: rules, Notice: cfg.APIKey.ExpiryNotice, Now: time.Now, Lease: lease,
	})
	tokens := token.New(db, realms.chain, realms.tickets, roles, keys, token.Options{
		Enabled: cfg.Token.Enabled, Timeout: cfg.Token.Timeout, KeepFamily: !cfg.Token.ReuseRevokesFamily,
		PurgeInterval: cfg.Token.DeleteInterval, PurgeTimeout: cfg.Token.DeleteTimeout,
		CacheTTL: tokenTTL, CacheMax: maxTokens, Now: time.Now, Lease: lease, Log: log,
	})
	users.OnRevoked(user.Ended{Keys: keys.Ended, Tokens: tokens.Ended})
	keys.GrantBySigned(realms.chain)
	serviceHasher, err := secret.NewHasher(cfg.ServiceToken.Hashing)
	if err != nil {
		return nil, err
	}
	accounts := serviceaccount.New(db, serviceaccount.Options{
		Hasher: serviceHasher, File: filepath.Join(cfg.Dir, serviceTokensFile),
		CacheTTL: cfg.ServiceToken.CacheTTL, CacheMax: cfg.ServiceToken.MaxTokens, Now: time.Now, Lease: lease,
	})
	bearers := authn.Bearers{Services: accounts}
	if cfg.Token.Enabled {
		bearers.Tokens = tokens
	}
	keys.GrantBy(bearers)
	applications := application.New(db, time.Now, lease)
	if member != nil {
		member.forgets(map[string]func([]string){
			sqlstore.EndedAPIKeys: keys.Forget, sqlstore.EndedTokens: tokens.Forget, sqlstore.EndedUsers: users.Forget,
			sqlstore.EndedRoles: roles.Forget, sqlstore.EndedRoleMappings: mappings.Forget,
			sqlstore.EndedServiceTokens: accounts.Forget, sqlstore.EndedApplicationPrivileges: applications.Forget,
			sqlstore.EndedLogins: realms.forget,
		})
		member.forgetsMasses(map[string]masses{sqlstore.EndedAPIKeys: keys, sqlstore.EndedTokens: tokens})
	}
	return &rooms{db, users, roles, keys, tokens, accounts, mappings, realms, applications, member}, nil
}

// Run serves until ctx ends, and then stops in order: listener, requests,
// background work, store. What the operator has to read (the address, a password
// made at the first start) goes to out, the log to log. A nil error means that
// everything was stopped as it should be.
func Run(ctx context.Context, cfg *config.Config, out io.Writer, log *slog.Logger) (err error) {
	defer tuneCollector()()
	defer tuneProcessors()()
	if cfg.File == "" {
		log.Info("there is no settings file", "looked_in", absolute(cfg.Dir))
	} else {
		log.Info("settings were read", "file", absolute(cfg.File))
	}
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	folder, err := hold(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.release()) }()
	if err := folder.guard(log); err != nil {
		return err
	}
	r, err := open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	leave, err := r.fleet.start(ctx)
	if err != nil {
		return err
	}
	defer leave()
	uuid, err := r.db.InitMeta(ctx, "cluster_uuid", newUUID())
	if err != nil {
		return err
	}
	id, err := nodeID(ctx, cfg, r.db)
	if err != nil {
		return err
	}

	if news, err := r.accounts.ReadFile(); news != nil || err != nil {
		logServiceTokens(log, news, err)
	}
	files := &operatorFiles{users: r.realms.files, roles: r.roles, log: log}
	files.read()

	var certs *certificates
	if cfg.TLS.Enabled {
		if certs, err = newTLS(cfg.TLS, log); err != nil {
			return err
		}
	}
	listeners, err := listen(cfg.HTTP)
	if err != nil {
		return err
	}
	// Last of all that can go wrong: a password that is made is shown only once.
	if err := settleElastic(ctx, cfg.Reserved, r, out, log); err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		return fmt.Errorf("settle the password of elastic: %w", err)
	}
	where := addresses(listeners)
	api := httpapi.New(httpapi.Options{
		ClusterName: cfg.ClusterName, ClusterUUID: uuid, NodeName: cfg.NodeName, NodeID: id, Version: cfg.Version,
		PublishAddress:   func() string { return publishAddress(cfg.HTTP, where) },
		BoundAddresses:   func() []string { return where },
		MaxContentLength: cfg.HTTP.MaxContent, MaxInitialLineLength: cfg.HTTP.MaxInitialLine, MaxHeaderSize: cfg.HTTP.MaxHeader,
		Compression: cfg.HTTP.Compression, BriefErrors: !cfg.HTTP.DetailedErrors, APIKeysDisabled: !cfg.APIKey.Enabled, TokensDisabled: !bearers(cfg), Kerberos: cfg.Kerberos.Enabled,
		FleetSecret: cfg.Fleet.Secret, ReadIndex: cfg.Fleet.ReadIndex,
		Log: log,
	}, httpapi.Services{Applications: r.applications, Auth: authenticator(cfg, r), APIKeys: r.keys, Tokens: r.tokens, Users: r.users, Roles: r.roles, ServiceAccounts: r.accounts, Profiles: profiles(cfg, r), Settings: settings.New(r.db), Leavers: leaver.New(r.db, r.realms.chain, time.Now), Realms: r.realms.chain, RoleMappings: r.mappings,
		OIDC: oidc.NewService(r.realms.providers, r.tokens, r.realms.chain.WithAnonymous),
		PKI:  pki.NewService(r.realms.certificates, r.tokens, r.realms.chain.WithAnonymous), Leaks: leak.New(r.keys, r.tokens), Fleet: r.fleet.node(), BarrierTimes: r.fleet.waits()})

	control := openControl(cfg.DataDir, r.users, files.read, log) // before anybody is told that the node runs
	server := api.HTTPServer()
	if certs != nil {
		server.TLSConfig = certs.config()
	} else {
		warnPlain(where, log)
	}
	tell(out, cfg.TLS, publishAddress(cfg.HTTP, where))

	// Background work outlives the requests: it ends when quiet does.
	quiet, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	var background errgroup.Group
	background.Go(func() error {
		return r.keys.Purge(quiet, func(removed int, err error) { logPurge(log, "api keys", removed, err) })
	})
	background.Go(func() error {
		return r.keys.RecordUses(quiet, func(err error) {
			log.Warn("the last uses of api keys could not be written; they are kept for the next time", "err", err)
		})
	})
	background.Go(func() error {
		return r.tokens.Purge(quiet, func(removed int, err error) { logPurge(log, "tokens", removed, err) })
	})
	if !cfg.APIKey.ExpiryWebhook.IsZero() {
		background.Go(func() error { return warnOfExpiry(quiet, cfg, r.keys, r.db, uuid, log) })
	}
	background.Go(func() error {
		return r.accounts.WatchFile(quiet, func(news *serviceaccount.FileNews, err error) { logServiceTokens(log, news, err) })
	})
	background.Go(func() error { return files.watch(quiet) })
	for _, f := range r.realms.dnFiles {
		background.Go(func() error {
			return f.Watch(quiet, func(news *dnroles.News, err error) { logDNRoles(log, news, err) })
		})
	}
	background.Go(func() error { return control.serve(quiet) })
	if certs != nil {
		background.Go(func() error { return certs.watch(quiet) })
	}
	log.Info("started", "version", Version(), "address", strings.Join(where, ","), "cluster_name", cfg.ClusterName, "node_name", cfg.NodeName, "data", absolute(cfg.DataDir))
	served := serve(ctx, server, listeners, cfg.ShutdownTimeout, log)
	silence()
	err = errors.Join(served, background.Wait())
	for _, d := range r.realms.directories {
		d.Close()
	}
	log.Info("stopped")
	return err
}

func authenticator(cfg *config.Config, r *rooms) *authn.Authenticator {
	a := &authn.Authenticator{ServiceTokens: r.accounts, Tickets: r.realms.tickets, Signed: r.realms.chain, Certificates: r.realms.chain, Users: r.realms.chain, Roles: r.roles, RunAs: cfg.RunAs}
	if cfg.APIKey.Enabled {
		a.APIKeys = r.keys
	}
	if cfg.Token.Enabled {
		a.Tokens = r.tokens
	}
	if who, ok := r.users.Anonymous(); ok {
		a.Anonymous, a.Challenge = &who, !cfg.Anonymous.Forbidden
	}
	return a
}

func policies(of []config.KeyPolicy) (rules []apikey.Policy, err error) {
	for _, p := range of {
		r := apikey.Policy{Role: p.Role, MaxLifetime: p.MaxLifetime, RequiredMetadata: p.RequiredMetadata, NamePattern: p.NamePattern}
		if r.NamePattern != "" {
			if r.Names, err = pattern.Parse("/" + r.NamePattern + "/"); err != nil {
				return nil, err
			}
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// profiles are activated by passwords and, unless they are switched off, access tokens.
func profiles(cfg *config.Config, r *rooms) *profile.Service {
	var tokens profile.Tokens
	if cfg.Token.Enabled {
		tokens = r.tokens
	}
	return profile.New(r.db, r.realms.chain, tokens, r.roles, time.Now)
}

func logPurge(log *slog.Logger, of string, removed int, err error) {
	if err != nil {
		log.Warn("a purge failed; the next one makes up for it", "of", of, "removed", removed, "err", err)
		return
	}
	log.Info("purged", "of", of, "removed", removed)
}

func logServiceTokens(log *slog.Logger, news *serviceaccount.FileNews, err error) {
	if err != nil {
		log.Error("the file of service tokens cannot be used; all tokens in it are off", "err", err)
		return
	}
	log.Info("the file of service tokens was read", "tokens", news.Tokens)
	for _, why := range news.Skipped {
		log.Warn("a line of the file of service tokens is skipped", "why", why)
	}
}

// serve answers requests on all listeners until ctx ends or one of them fails,
// and then waits for those under way.
func serve(ctx context.Context, server *httpapi.Edge, listeners []net.Listener, drain time.Duration, log *slog.Logger) error {
	failed := make(chan error, len(listeners))
	answer := server.Serve
	if server.TLSConfig != nil { // asked once: Serve gives a server without TLS a TLSConfig, too
		answer = server.ServeTLS
	}
	for _, l := range listeners {
		go func() { failed <- answer(l) }()
	}
	var err error
	waiting := len(listeners)
	select {
	case <-ctx.Done():
		log.Info("stopping: waiting for requests under way", "at_most", drain.String())
	case err = <-failed:
		waiting--
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if late := server.Shutdown(deadline); late != nil {
		log.Warn("some requests did not end in time and were cut off")
		err = errors.Join(err, server.Close())
	}
	for range waiting {
		if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// tell prints the first request that a newcomer can make.
func tell(out io.Writer, tls config.TLS, address string) {
	scheme, trust := "http", ""
	if tls.Enabled {
		scheme, trust = "https", " --cacert CA.pem" // of which only the operator knows where it lies
		if len(tls.CertificateAuthorities) > 0 {
			trust = " --cacert " + shellWord(absolute(tls.CertificateAuthorities[0]))
		}
	}
	fmt.Fprintf(out, "Listening on %[1]s://%[2]s. Try:\n\n  curl%[3]s -u \"elastic:$ELASTIC_PASSWORD\" '%[1]s://%[2]s/_security/_authenticate?pretty'\n\n", scheme, address, trust)
}

// shellWord is s as one word of a shell's line.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+@%:,=", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// absolute is path for people who do not know the working directory.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// warnPlain says when credentials would cross a network in clear.
func warnPlain(where []string, log *slog.Logger) {
	for _, address := range where {
		host, _, err := net.SplitHostPort(address)
		if err != nil || !config.Loopback(host) {
			log.Warn("credentials (passwords, API keys, access tokens) cross the network in clear: set xpack.security.http.ssl.enabled, or listen on loopback and put TLS in front", "address", address)
			return
		}
	}
}

// newUUID returns 22 URL-safe characters.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
