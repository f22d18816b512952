package node

import (
	"fmt"
	"log/slog"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/kerberos"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// openKerberos returns the realm of those who show tickets, or nil if there is none.
func openKerberos(cfg config.Kerberos, users *user.Service, log *slog.Logger) (token.Tickets, error) {
	if !cfg.Enabled {
		return nil, nil
	}
	realm, err := kerberos.New(kerberos.Options{
		Name: cfg.Name, Keytab: cfg.Keytab, RemoveRealmName: cfg.RemoveRealmName, AuthorizationRealms: cfg.AuthorizationRealms,
		Users: users, Now: time.Now, Log: log, Debug: cfg.Debug,
	})
	if err != nil {
		return nil, fmt.Errorf("xpack.security.authc.realms.kerberos.%s.keytab.path: %w", cfg.Name, err)
	}
	log.Info("kerberos tickets are accepted", "realm", cfg.Name, "services", realm.Principals())
	return realm, nil
}
