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
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"latchkey/internal/apikey"
	"latchkey/internal/authn"
	"latchkey/internal/config"
	"latchkey/internal/httpapi"
	"latchkey/internal/role"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/user"
)

// rooms are the services of a node over its open store.
type rooms struct {
	db    *sqlstore.DB
	users *user.Service
	roles *role.Service
	keys  *apikey.Service
}

// open builds the rooms. The caller holds the data folder.
func open(ctx context.Context, cfg *config.Config) (_ *rooms, err error) {
	db, err := sqlstore.OpenSQLite(ctx, filepath.Join(cfg.DataDir, "latchkey.db"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	hasher, err := secret.NewHasher(cfg.PasswordHashing)
	if err != nil {
		return nil, err
	}
	users, err := user.New(ctx, user.Options{
		Store: db, Hasher: hasher, Now: time.Now,
		Bootstrap: cfg.Reserved.BootstrapPassword, AutoconfigurationHash: cfg.Reserved.PasswordHash.Reveal(),
		ReservedDisabled: !cfg.Reserved.Enabled,
		RealmName:        cfg.Native.Name, NativeDisabled: !cfg.Native.Enabled, LookupOnly: !cfg.Native.LoginsOK,
		CacheTTL: cfg.Native.CacheTTL, CacheMax: cfg.Native.MaxUsers,
	})
	if err != nil {
		return nil, err
	}
	roles := role.New(db, time.Now)
	keys := apikey.New(db, users, roles, apikey.Options{
		Enabled:  cfg.APIKey.Enabled,
		CacheTTL: cfg.APIKey.CacheTTL, CacheMax: cfg.APIKey.MaxKeys, DocumentTTL: cfg.APIKey.DocCacheTTL,
		PurgeInterval: cfg.APIKey.DeleteInterval, PurgeTimeout: cfg.APIKey.DeleteTimeout, Retention: cfg.APIKey.RetentionPeriod,
		Now: time.Now,
	})
	return &rooms{db, users, roles, keys}, nil
}

// Run serves until ctx ends, and then stops in order: listener, requests,
// background work, store. What the operator has to read (the address, a password
// made at the first start) goes to out, the log to log. A nil error means that
// everything was stopped as it should be.
func Run(ctx context.Context, cfg *config.Config, out io.Writer, log *slog.Logger) (err error) {
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	folder, err := hold(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.release()) }()
	r, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	uuid, err := r.db.InitMeta(ctx, "cluster_uuid", newUUID())
	if err != nil {
		return err
	}
	nodeID, err := r.db.InitMeta(ctx, "node_id", newUUID())
	if err != nil {
		return err
	}

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
	// Last of all that can go wrong: the password is shown only once.
	password, err := r.users.Bootstrap(ctx)
	if err != nil {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		return fmt.Errorf("make a password for elastic: %w", err)
	}
	if !password.IsZero() {
		fmt.Fprintf(out, "The password of elastic was made and is shown this once:\n\n  export ELASTIC_PASSWORD=%s\n\n", password.Reveal())
	}
	where := addresses(listeners)
	api := httpapi.New(httpapi.Options{
		ClusterName: cfg.ClusterName, ClusterUUID: uuid, NodeName: cfg.NodeName, NodeID: nodeID, Version: cfg.Version,
		PublishAddress:   func() string { return publishAddress(cfg.HTTP, where) },
		BoundAddresses:   func() []string { return where },
		MaxContentLength: cfg.HTTP.MaxContent, MaxInitialLineLength: cfg.HTTP.MaxInitialLine, MaxHeaderSize: cfg.HTTP.MaxHeader,
		Compression: cfg.HTTP.Compression, BriefErrors: !cfg.HTTP.DetailedErrors, APIKeysDisabled: !cfg.APIKey.Enabled,
		Log: log,
	}, httpapi.Services{Auth: authenticator(cfg, r), APIKeys: r.keys, Users: r.users, Roles: r.roles})

	control := openControl(cfg.DataDir, r.users, log) // before anybody is told that the node runs
	server := api.HTTPServer()
	scheme := "http"
	if certs != nil {
		scheme = "https"
		server.TLSConfig = certs.config()
	} else {
		warnPlain(where, log)
	}
	tell(out, scheme, publishAddress(cfg.HTTP, where))

	// Background work outlives the requests: it ends when quiet does.
	quiet, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	var background errgroup.Group
	background.Go(func() error {
		return r.keys.Purge(quiet, func(removed int, err error) {
			log.Info("purged api keys", "removed", removed, "err", err)
		})
	})
	background.Go(func() error { return control.serve(quiet) })
	if certs != nil {
		background.Go(func() error { return certs.watch(quiet) })
	}
	log.Info("started", "address", strings.Join(where, ","), "cluster_name", cfg.ClusterName, "node_name", cfg.NodeName, "data", cfg.DataDir)
	served := serve(ctx, server, listeners, cfg.ShutdownTimeout, log)
	silence()
	err = errors.Join(served, background.Wait())
	log.Info("stopped")
	return err
}

func authenticator(cfg *config.Config, r *rooms) *authn.Authenticator {
	a := &authn.Authenticator{Users: r.users, Roles: r.roles, RunAs: cfg.RunAs}
	if cfg.APIKey.Enabled {
		a.APIKeys = r.keys
	}
	return a
}

// serve answers requests on all listeners until ctx ends or one of them fails,
// and then waits for those under way.
func serve(ctx context.Context, server *http.Server, listeners []net.Listener, drain time.Duration, log *slog.Logger) error {
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() {
			if server.TLSConfig != nil {
				failed <- server.ServeTLS(l, "", "")
			} else {
				failed <- server.Serve(l)
			}
		}()
	}
	var err error
	waiting := len(listeners)
	select {
	case <-ctx.Done():
		log.Info("stopping: waiting for requests under way", "at_most", drain)
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
func tell(out io.Writer, scheme, address string) {
	trust := ""
	if scheme == "https" {
		trust = " --cacert CA.pem"
	}
	fmt.Fprintf(out, "Listening on %[1]s://%[2]s. Try:\n\n  curl%[3]s -u \"elastic:$ELASTIC_PASSWORD\" '%[1]s://%[2]s/_security/_authenticate?pretty'\n\n", scheme, address, trust)
}

// warnPlain says when credentials would cross a network in clear.
func warnPlain(where []string, log *slog.Logger) {
	for _, address := range where {
		host, _, err := net.SplitHostPort(address)
		if err != nil || !config.Loopback(host) {
			log.Warn("credentials cross the network in clear: set xpack.security.http.ssl.enabled, or listen on loopback and put TLS in front", "address", address)
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

// SetPassword sets the password of a user on a node that does not run. The
// data folder must hold a store already.
func SetPassword(ctx context.Context, cfg *config.Config, username string, password user.Password) (err error) {
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "latchkey.db")); err != nil {
		return fmt.Errorf("there is no store in [%s] yet: start latchkey once, or set path.data", cfg.DataDir)
	}
	folder, err := hold(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.release()) }()
	r, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	return r.users.SetPassword(ctx, username, password)
}
