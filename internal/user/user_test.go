package user_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/user"
	"latchkey/internal/xcontent"
)

func open(t testing.TB) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func newService(t testing.TB, store user.Store, change func(*user.Options)) *user.Service {
	t.Helper()
	o := user.Options{Store: store, Hasher: hasher(t, "bcrypt4"), Now: time.Now, CacheTTL: time.Hour, CacheMax: 100}
	if change != nil {
		change(&o)
	}
	s, err := user.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hasher(t testing.TB, algorithm string) *secret.Hasher {
	t.Helper()
	h, err := secret.NewHasher(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func caller(username string, realm access.Realm, cluster ...string) *access.Caller {
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{
		Username: username, Realm: realm,
		Permissions: access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: cluster})),
	}}
}

var (
	native = access.Realm{Name: "default_native", Type: "native"}
	admin  = caller("root", native, "manage_security")
)

func password(t testing.TB, text string) user.Password {
	t.Helper()
	p, err := user.NewPassword(&text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t testing.TB, s *user.Service, username, pw string, roles ...string) {
	t.Helper()
	d := user.Draft{Username: username, Password: password(t, pw), Roles: append([]string{}, roles...), Enabled: true}
	if _, err := s.Put(t.Context(), admin, d); err != nil {
		t.Fatalf("Put(%s): %v", username, err)
	}
}

func change(t testing.TB, s *user.Service, username, pw string) {
	t.Helper()
	if err := s.ChangePassword(t.Context(), admin, username, password(t, pw)); err != nil {
		t.Fatalf("ChangePassword(%s): %v", username, err)
	}
}

// logsIn tries a login and says what was expected of it.
func logsIn(t testing.TB, s *user.Service, username, pw string, want bool) access.Subject {
	t.Helper()
	u, err := s.Authenticate(t.Context(), username, pw)
	switch {
	case want && err != nil:
		t.Errorf("Authenticate(%s, %s) = %v; want success", username, pw, err)
	case !want && fault.KindOf(err) != fault.Unauthenticated:
		t.Errorf("Authenticate(%s, %s) = %v; want fault.Unauthenticated", username, pw, err)
	}
	return u
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestPut(t *testing.T) {
	object := func(body string) xcontent.Value {
		v, err := xcontent.ParseJSON([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	stranger := caller("s", native)
	tests := []struct {
		name   string
		by     *access.Caller
		d      user.Draft
		kind   fault.Kind
		reason string
	}{
		{"ID-19 a new user needs a password", admin, user.Draft{Username: "new", Roles: []string{}}, fault.Refused, "1: a password must be given"},
		{"ID-23 roles are required", stranger, user.Draft{Username: "jo"}, fault.Invalid, "roles are missing"},
		{"ID-29 a metadata key with _ is refused", stranger, user.Draft{Username: "jo", Roles: []string{}, Metadata: object(`{"a":1,"_x":1}`)}, fault.Invalid, "[_x]"},
		{"both problems are told together", stranger, user.Draft{Username: "jo", Metadata: object(`{"_x":1}`)}, fault.Invalid, "2: "},
		{"ID-31 a reserved name is told to those who may put users", admin, user.Draft{Username: "elastic", Roles: []string{}}, fault.Invalid, "user [elastic] is reserved and only its password can be changed"},
		{"ID-31 and not to others", stranger, user.Draft{Username: "elastic", Roles: []string{}}, fault.Forbidden, "[manage_security,all]"},
		{"an internal name", admin, user.Draft{Username: "_xpack_security", Roles: []string{}}, fault.Invalid, "is internal"},
		{"ID-30 a name of 508 characters", admin, user.Draft{Username: strings.Repeat("x", 508), Roles: []string{}}, fault.Invalid, "507"},
		{"ID-30 a name that begins with a space", admin, user.Draft{Username: " x", Roles: []string{}}, fault.Invalid, "space"},
		{"ID-30 a name beyond Basic Latin", admin, user.Draft{Username: "ü", Roles: []string{}}, fault.Invalid, "Basic Latin"},
		{"role names follow the same rule", admin, user.Draft{Username: "x", Roles: []string{"ok", ""}}, fault.Invalid, "role name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, open(t), nil)
			_, err := s.Put(t.Context(), tt.by, tt.d)
			if fault.KindOf(err) != tt.kind || err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("Put(%+v) = %v; want kind %v with %q", tt.d, err, tt.kind, tt.reason)
			}
			if users, err := s.Get(t.Context(), admin, []string{tt.d.Username}); err != nil || len(users) > 0 && tt.d.Username != "elastic" {
				t.Errorf("Get(%s) = %+v, %v; want no such user", tt.d.Username, users, err)
			}
		})
	}
	t.Run("ID-30 a name of 507 characters is accepted", func(t *testing.T) {
		put(t, newService(t, open(t), nil), strings.Repeat("x", 507), "a-password")
	})
}

func TestChangePassword(t *testing.T) {
	as := func(username string, realm access.Realm, change func(*access.Caller)) *access.Caller {
		c := caller(username, realm)
		if change != nil {
			change(c)
		}
		return c
	}
	file := access.Realm{Name: "default_file", Type: "file"}
	tests := []struct {
		name   string
		by     *access.Caller
		target string
		want   fault.Kind // Internal: it succeeds
	}{
		{"ID-35 one's own, without any privilege", as("jo", native, nil), "jo", fault.Internal},
		{"ID-35 one's own, without naming oneself", as("jo", native, nil), "", fault.Internal},
		{"a reserved user's own", as("kibana", user.ReservedRealm, nil), "", fault.Internal},
		{"one's own, by a token", as("jo", native, func(c *access.Caller) { c.Type = access.ByToken }), "jo", fault.Forbidden},
		{"one's own, by an API key", as("jo", native, func(c *access.Caller) {
			c.Type, c.APIKey = access.ByAPIKey, &access.APIKey{ID: "k"}
		}), "jo", fault.Forbidden},
		{"a user of another realm with the same name", as("jo", file, nil), "jo", fault.Forbidden},
		{"one's own after a permitted run-as", as("jo", native, func(c *access.Caller) {
			c.By = &access.Subject{Username: "root", Realm: file,
				Permissions: access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{RunAs: []string{"*"}}))}
		}), "jo", fault.Internal},
		{"one's own after a run-as that is not permitted", as("jo", native, func(c *access.Caller) {
			c.By = &access.Subject{Username: "root", Realm: native}
		}), "jo", fault.Forbidden},
		{"ID-37 another's, without a privilege", as("x", native, nil), "jo", fault.Forbidden},
		{"ID-37 an unknown user's, without a privilege", as("x", native, nil), "nobody", fault.Forbidden},
		{"another's, with manage_security", admin, "jo", fault.Internal},
		{"ID-38 an unknown user's, with manage_security", admin, "nobody", fault.Refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, open(t), nil)
			put(t, s, "jo", "old-password")
			err := s.ChangePassword(t.Context(), tt.by, tt.target, password(t, "new-password"))
			if fault.KindOf(err) != tt.want || err == nil != (tt.want == fault.Internal) {
				t.Errorf("ChangePassword(%s) by %s = %v; want kind %v", tt.target, tt.by.Username, err, tt.want)
			}
			if tt.by.Username == "jo" || tt.target == "jo" {
				logsIn(t, s, "jo", "new-password", tt.want == fault.Internal)
			}
		})
	}
	t.Run("a change without a password is told before 403", func(t *testing.T) {
		err := newService(t, open(t), nil).ChangePassword(t.Context(), caller("x", native), "jo", user.Password{})
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("ChangePassword = %v; want fault.Invalid", err)
		}
	})
}

func TestSetEnabled(t *testing.T) {
	tests := []struct {
		name, target string
		by           *access.Caller
		want         fault.Kind // Internal: it succeeds
	}{
		{"ID-39 oneself", "root", admin, fault.Argument},
		{"another", "jo", admin, fault.Internal},
		{"a namesake of another realm", "jo", caller("jo", access.Realm{Name: "default_file", Type: "file"}, "manage_security"), fault.Internal},
		{"a reserved user", "kibana", admin, fault.Internal},
		{"an unknown user", "nobody", admin, fault.Refused},
		{"without a privilege", "jo", caller("x", native), fault.Forbidden},
		{"oneself without a privilege", "x", caller("x", native), fault.Forbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, open(t), nil)
			put(t, s, "jo", "jo-password")
			put(t, s, "root", "root-password")
			err := s.SetEnabled(t.Context(), tt.by, tt.target, false)
			if fault.KindOf(err) != tt.want || err == nil != (tt.want == fault.Internal) {
				t.Errorf("SetEnabled(%s) by %s = %v; want kind %v", tt.target, tt.by.Username, err, tt.want)
			}
			for _, u := range must(s.Get(t.Context(), admin, []string{"jo", "root", "kibana"})) {
				if want := u.Username != tt.target || err != nil; u.Enabled != want {
					t.Errorf("%s is enabled: %v; want %v", u.Username, u.Enabled, want)
				}
			}
		})
	}
}

func TestGetAndDelete(t *testing.T) {
	s := newService(t, open(t), nil)
	put(t, s, "zoe", "zoe-password")
	put(t, s, "Al", "al-password")
	usernames := func(users []user.User) []string {
		all := []string{}
		for _, u := range users {
			all = append(all, u.Username)
		}
		return all
	}
	for _, tt := range []struct {
		name        string
		names, want []string
	}{
		{"ID-33 all: the seven reserved users and the native ones", nil,
			[]string{"Al", "apm_system", "beats_system", "elastic", "kibana", "kibana_system", "logstash_system", "remote_monitoring_user", "zoe"}},
		{"some of both", []string{"zoe", "elastic", "nobody"}, []string{"elastic", "zoe"}},
		{"none", []string{"nobody"}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Get(t.Context(), admin, tt.names)
			if err != nil || !reflect.DeepEqual(usernames(got), tt.want) {
				t.Errorf("Get(%q) = %q, %v; want %q", tt.names, usernames(got), err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name, target string
		by           *access.Caller
		found        bool
		want         fault.Kind
	}{
		{"a user", "zoe", admin, true, fault.Internal},
		{"a user who is gone", "zoe", admin, false, fault.Internal},
		{"ID-34 a reserved user", "elastic", admin, false, fault.Argument},
		{"an internal user", "_system", admin, false, fault.Argument},
		{"a reserved user, without a privilege", "elastic", caller("x", native), false, fault.Forbidden},
	} {
		t.Run("delete "+tt.name, func(t *testing.T) {
			found, err := s.Delete(t.Context(), tt.by, tt.target)
			if found != tt.found || fault.KindOf(err) != tt.want || err == nil != (tt.want == fault.Internal) {
				t.Errorf("Delete(%s) = %v, %v; want %v, kind %v", tt.target, found, err, tt.found, tt.want)
			}
		})
	}
}

func TestNewPassword(t *testing.T) {
	text := func(s string) *string { return &s }
	tests := []struct {
		name        string
		plain, hash *string
		want        fault.Kind // Internal: it is accepted
	}{
		{"neither", nil, nil, fault.Internal},
		{"ID-25 six characters", text("123456"), nil, fault.Internal},
		{"ID-25 five characters", text("12345"), nil, fault.Refused},
		{"five characters of ten bytes", text("äöüäö"), nil, fault.Refused},
		{"an empty password", text(""), nil, fault.Refused},
		{"a hash", nil, text("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), fault.Internal},
		{"an empty hash", nil, text(""), fault.Argument},
		{"a hash of an unknown kind", nil, text("{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="), fault.Argument},
		{"ID-26 both", text("123456"), text("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), fault.Refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := user.NewPassword(tt.plain, tt.hash)
			if fault.KindOf(err) != tt.want || err == nil != (tt.want == fault.Internal) {
				t.Errorf("NewPassword = %v; want kind %v", err, tt.want)
			}
		})
	}
	t.Run("a hash from elsewhere logs in", func(t *testing.T) {
		s := newService(t, open(t), nil)
		p := must(user.NewPassword(nil, text("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")))
		if _, err := s.Put(t.Context(), admin, user.Draft{Username: "jo", Roles: []string{}, Password: p, Enabled: true}); err != nil {
			t.Fatal(err)
		}
		logsIn(t, s, "jo", "U*U", true)
		logsIn(t, s, "jo", "U*V", false)
	})
}

func TestMergeMetadata(t *testing.T) {
	tests := []struct{ name, old, added, want string }{
		{"nothing and nothing", ``, ``, `{}`},
		{"nothing and something", ``, `{"a":1}`, `{"a":1}`},
		{"an empty object adds nothing", `{"a":1.0}`, `{}`, `{"a":1.0}`},
		{"a member is replaced where it stands", `{"a":1,"b":2}`, `{"a":"x"}`, `{"a":"x","b":2}`},
		{"objects merge at every level", `{"a":{"b":{"c":1},"d":2}}`, `{"a":{"b":{"e":3}}}`, `{"a":{"b":{"c":1,"e":3},"d":2}}`},
		{"arrays are replaced", `{"a":[1,2]}`, `{"a":[3]}`, `{"a":[3]}`},
		{"an object gives way to a text", `{"a":{"b":1}}`, `{"a":"x"}`, `{"a":"x"}`},
		{"null is a value", `{"a":1}`, `{"a":null}`, `{"a":null}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := user.MergeMetadata(json.RawMessage(tt.old), json.RawMessage(tt.added))
			if err != nil || string(got) != tt.want {
				t.Errorf("MergeMetadata(%s, %s) = %s, %v; want %s", tt.old, tt.added, got, err, tt.want)
			}
		})
	}
}
