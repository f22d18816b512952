package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/dnroles"
	"latchkey/internal/file"
	"latchkey/internal/kerberos"
	"latchkey/internal/ldap"
	"latchkey/internal/oidc"
	"latchkey/internal/pki"
	"latchkey/internal/realm"
	"latchkey/internal/role"
	"latchkey/internal/rolemapping"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
	"latchkey/internal/user"
	"latchkey/internal/watch"
)

// realms is the chain, and those in it that more is asked of than who somebody is.
type realms struct {
	chain     *realm.Chain
	files     *file.Realm   // nil: it is switched off
	tickets   token.Tickets // nil without a Kerberos realm
	providers []*oidc.Realm // of OpenID Connect

	directories  []*ldap.Realm
	certificates []*pki.Realm
	dnFiles      map[string]*dnroles.File // by path
	lease        func() error
}

// openRealms makes the realms that the settings name, and puts them in order: the
// built-in users first, then by order. lease is as of cache.Options.
func openRealms(cfg *config.Config, db *sqlstore.DB, lease func() error, users *user.Service, mappings *rolemapping.Service, log *slog.Logger) (*realms, error) {
	r := &realms{dnFiles: map[string]*dnroles.File{}, lease: lease}
	o := realm.Options{Refuse: users.Refuse, Forget: db.ForgetLogins}
	if who, ok := users.Anonymous(); ok {
		o.Everybody = who.Roles
	}
	r.chain = realm.NewChain(o)
	type link struct {
		order int
		realm realm.Realm
	}
	var links []link
	if cfg.Native.Enabled {
		links = append(links, link{cfg.Native.Order, users.Native()})
	}
	if cfg.Kerberos.Enabled {
		tickets, err := openKerberos(cfg.Kerberos, r.chain, mappings, log)
		if err != nil {
			return nil, err
		}
		r.tickets = tickets
		links = append(links, link{cfg.Kerberos.Order, tickets})
	}
	for _, c := range cfg.Realms {
		if !c.Enabled {
			continue
		}
		made, err := r.open(cfg, c, users, mappings, log)
		if err != nil {
			return nil, err
		}
		links = append(links, link{c.Order, made})
	}
	slices.SortStableFunc(links, func(a, b link) int { return cmp.Compare(a.order, b.order) })
	r.chain.Add(users.Reserved())
	for _, l := range links {
		r.chain.Add(l.realm)
	}
	return r, nil
}

// open makes one realm of the types that there may be several of, and the file realm.
func (r *realms) open(cfg *config.Config, c *config.Realm, users *user.Service, mappings *rolemapping.Service, log *slog.Logger) (realm.Realm, error) {
	switch c.Type {
	case file.Type:
		r.files = file.New(file.Options{
			Name: c.Name, Dir: cfg.Dir, Reserved: users.Reserved().Owns, LookupOnly: !c.Bool("authentication.enabled"),
		})
		return r.files, nil
	case ldap.Type, ldap.TypeActiveDirectory:
		return r.openLDAP(c, mappings, log)
	case pki.Type:
		return r.openPKI(c, mappings, log)
	case "jwt":
		return r.openJWT(c, mappings, log)
	case "oidc":
		p, err := openOIDC(c, r.chain, mappings, log)
		if err == nil {
			r.providers = append(r.providers, p)
		}
		return p, err
	}
	return nil, fmt.Errorf("there are no realms of type %s", c.Type) // config knows them
}

// forget drops what realms keep of users, as sqlstore.EndedLogins names them; without
// names, all of it.
func (r *realms) forget(names []string) {
	at := slices.Index(names, "")
	if at >= 0 {
		r.chain.Forget(names[:at], names[at+1:])
		return
	}
	var all []string
	for _, id := range r.chain.Realms() {
		all = append(all, id.Name)
	}
	r.chain.Forget(all, nil)
}

// operatorFiles is the files of users and roles.
type operatorFiles struct {
	users *file.Realm // nil: its realm is switched off
	roles *role.Service
	log   *slog.Logger
	mu    sync.Mutex // one look at a time
}

// watch reads the files again when they change, until ctx ends.
func (f *operatorFiles) watch(ctx context.Context) error { return watch.Every(ctx, f.read) }

// read reads the files if they have changed.
func (f *operatorFiles) read() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readUsers()
	f.readRoles()
}

func (f *operatorFiles) readUsers() {
	if f.users == nil {
		return
	}
	news, err := f.users.Read()
	if err != nil {
		f.log.Error("a file of users cannot be used; nothing in it counts", "err", err)
	}
	if news != nil {
		f.log.Info("the files of users were read", "users", news.Users)
		for _, why := range news.Skipped {
			f.log.Warn("a line of the files of users is skipped", "why", why)
		}
	}
}

func (f *operatorFiles) readRoles() {
	news, err := f.roles.ReadFile()
	if err != nil {
		f.log.Error("the file of roles cannot be used; none of its roles counts", "err", err)
	}
	if news != nil {
		f.log.Info("the file of roles was read", "roles", news.Roles)
		for _, why := range news.Skipped {
			f.log.Warn("a role of the file of roles is skipped", "why", why)
		}
	}
}

// openKerberos returns the realm of those who show tickets.
func openKerberos(cfg config.Kerberos, users *realm.Chain, mappings *rolemapping.Service, log *slog.Logger) (*kerberos.Realm, error) {
	made, err := kerberos.New(kerberos.Options{
		Name: cfg.Name, Keytab: cfg.Keytab, RemoveRealmName: cfg.RemoveRealmName, AuthorizationRealms: cfg.AuthorizationRealms,
		Users: users, Roles: mappings, Now: time.Now, Log: log, Debug: cfg.Debug,
	})
	if err != nil {
		return nil, fmt.Errorf("xpack.security.authc.realms.kerberos.%s.keytab.path: %w", cfg.Name, err)
	}
	log.Info("kerberos tickets are accepted", "realm", cfg.Name, "services", made.Principals())
	return made, nil
}
