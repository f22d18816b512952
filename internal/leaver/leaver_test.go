package leaver_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/leaver"
)

// realms is a chain of default_native, which knows u and the disabled d, and oidc1,
// which knows nobody by name alone.
type realms struct{ err error }

func (realms) Realms() []access.Realm {
	return []access.Realm{{Name: "default_native", Type: "native"}, {Name: "oidc1", Type: "oidc"}}
}

func (realms) CanLookup(realm string) bool { return realm == "default_native" }

func (r realms) LookupIn(_ context.Context, realms []string, username string) (access.Subject, error) {
	switch {
	case r.err != nil:
		return access.Subject{}, r.err
	case !slices.Equal(realms, []string{"default_native"}):
		panic("asked for other realms")
	case username == "u":
		return access.Subject{Username: "u"}, nil
	case username == "d":
		return access.Subject{}, fault.New(fault.Unauthenticated, "disabled")
	}
	return access.Subject{}, fault.New(fault.NotFound, "unknown")
}

type store []leaver.Owner

func (s store) Owners(context.Context, leaver.Live) ([]leaver.Owner, error) {
	return slices.Clone(s), nil
}

func (s store) OwnerKeys(_ context.Context, username, realm string, _ leaver.Live, _ int) ([]string, error) {
	return []string{"key of " + username + " in " + realm}, nil
}

func caller(cluster ...string) *access.Caller {
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{
		Username: "root", Permissions: access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: cluster})),
	}}
}

func TestReasons(t *testing.T) {
	for _, tt := range []struct {
		name, username, realm string
		want                  leaver.Reason
	}{
		{"a user who is there", "u", "default_native", ""},
		{"a disabled one", "d", "default_native", leaver.Disabled},
		{"a deleted one", "x", "default_native", leaver.Deleted},
		{"one of a realm that is no more", "u", "ldap1", leaver.NoRealm},
		{"one of a realm that knows nobody by name", "x", "oidc1", ""},
		{"a service account", "elastic/kibana", "_service_account", ""},
		{"nobody in particular", "_anonymous", "__anonymous", ""},
		{"an owner of a key that made a key, while some realm may know it", "x", "_es_api_key", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := leaver.New(store{{Username: tt.username, Realm: access.Realm{Name: tt.realm}, APIKeys: 1}}, realms{}, time.Now)
			got, err := s.List(t.Context(), caller("read_security"))
			if err != nil || len(got) > 1 || (len(got) == 1) != (tt.want != "") {
				t.Fatalf("List = %+v, %v; want reason %q", got, err, tt.want)
			}
			if len(got) == 1 && (got[0].Reason != tt.want || len(got[0].KeyIDs) != 1) {
				t.Errorf("List = %+v; want reason %q and one key", got, tt.want)
			}
		})
	}
}

func TestAnOutageIsNoLeaver(t *testing.T) {
	down := fault.New(fault.Unavailable, "down")
	s := leaver.New(store{{Username: "u", Realm: access.Realm{Name: "default_native"}}}, realms{down}, time.Now)
	if got, err := s.List(t.Context(), caller("read_security")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("List = %v, %v; want fault.Unavailable", got, err)
	}
}

func TestListNeedsItsRights(t *testing.T) {
	s := leaver.New(store{}, realms{}, time.Now)
	for right, want := range map[string]bool{"read_security": true, "manage_security": true, "manage_api_key": false, "manage_own_api_key": false, "monitor": false} {
		if _, err := s.List(t.Context(), caller(right)); (err == nil) != want || err != nil && fault.KindOf(err) != fault.Forbidden {
			t.Errorf("List with %s = %v; want it allowed: %v", right, err, want)
		}
	}
}
