package user

import (
	"encoding/json"
	"slices"

	"latchkey/internal/access"
)

// Elastic is the built-in user that may do everything.
const Elastic = "elastic"

// ReservedRealm is the realm of the built-in users.
var ReservedRealm = access.Realm{Name: "reserved", Type: "reserved"}

const nativeType = "native"

// reserved are the built-in users (spec/identity.md 1.2), in order of their names.
var reserved = []User{
	builtIn("apm_system", "apm_system"),
	builtIn("beats_system", "beats_system"),
	builtIn(Elastic, access.SuperuserName),
	{
		Username: "kibana", Roles: []string{"kibana_system"}, Enabled: true,
		Metadata: json.RawMessage(`{"_reserved":true,"_deprecated":true,"_deprecated_reason":"use the user [kibana_system] instead"}`),
	},
	builtIn("kibana_system", "kibana_system"),
	builtIn("logstash_system", "logstash_system"),
	builtIn("remote_monitoring_user", "remote_monitoring_collector", "remote_monitoring_agent"),
}

func builtIn(username string, roles ...string) User {
	return User{Username: username, Roles: roles, Metadata: json.RawMessage(`{"_reserved":true}`), Enabled: true}
}

func reservedUser(username string) (User, bool) {
	i := slices.IndexFunc(reserved, func(u User) bool { return u.Username == username })
	if i < 0 {
		return User{}, false
	}
	return reserved[i], true
}

func (s *Service) isReserved(username string) bool {
	if s.reservedOff {
		return false
	}
	_, ok := reservedUser(username)
	return ok
}

func (s *Service) hasAnonymous() bool { return len(s.anonymous.Roles) > 0 }

func (s *Service) isAnonymous(username string) bool {
	return s.hasAnonymous() && s.anonymous.Username == username
}

// Anonymous returns who makes the requests without a credential; ok is false if
// such requests are refused. The subject's permissions are not filled in.
func (s *Service) Anonymous() (a access.Subject, ok bool) {
	return s.anonymous.subject(access.AnonymousRealm), s.hasAnonymous()
}

// WithAnonymous returns the roles of somebody who was assigned the given ones:
// what requests without a credential may do, everybody may who logs in.
func (s *Service) WithAnonymous(roles []string) []string {
	all := slices.Clip(roles)
	for _, r := range s.anonymous.Roles {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// internal are names that the original uses for itself. Nobody logs in as one
// of them, and no user can be made with such a name.
var internal = []string{"_system", "_xpack", "_xpack_security"}

func isInternal(username string) bool { return slices.Contains(internal, username) }

// IsBuiltIn reports whether a name is that of a built-in user, or one that the
// original uses for itself.
func IsBuiltIn(username string) bool {
	_, ok := reservedUser(username)
	return ok || isInternal(username)
}
