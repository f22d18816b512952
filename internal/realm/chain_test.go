package realm_test

import (
	"context"
	"crypto/x509"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/realm"
)

// fixed is a realm that answers what a test says.
type fixed struct {
	name   string
	users  map[string]error // by name: what is said about the right password
	owns   []string
	tokens map[string]error
	asked  *[]string
	forgot *[]string
}

func (f fixed) Identity() access.Realm { return access.Realm{Name: f.name, Type: "test"} }
func (f fixed) Owns(username string) bool {
	return slices.Contains(f.owns, username)
}
func (f fixed) Forget(usernames []string) {
	*f.forgot = append(*f.forgot, f.name+"("+strings.Join(usernames, ",")+")")
}

func (f fixed) subject(username string, err error) (access.Subject, error) {
	if err != nil {
		return access.Subject{}, err
	}
	return access.Subject{Username: username, Roles: []string{"of " + f.name}, Realm: f.Identity()}, nil
}

func (f fixed) Authenticate(_ context.Context, username, password string) (access.Subject, error) {
	*f.asked = append(*f.asked, f.name)
	err, ok := f.users[username]
	switch {
	case !ok:
		err = fault.New(fault.NotFound, "no %s", username)
	case err == nil && password != f.name+"-password":
		err = fault.New(fault.Unauthenticated, "wrong")
	}
	return f.subject(username, err)
}

func (f fixed) Lookup(_ context.Context, username string) (access.Subject, error) {
	*f.asked = append(*f.asked, f.name)
	err, ok := f.users[username]
	if !ok {
		err = fault.New(fault.NotFound, "no %s", username)
	}
	return f.subject(username, err)
}

func (f fixed) AuthenticateBearer(_ context.Context, token, _ string) (access.Subject, bool, error) {
	err, mine := f.tokens[token]
	s, err := f.subject("of "+token, err)
	return s, mine, err
}

func (f fixed) AuthenticateCertificate(context.Context, []*x509.Certificate) (access.Subject, error) {
	err, ok := f.users["certificate"]
	if !ok {
		err = fault.New(fault.NotFound, "no certificate")
	}
	return f.subject("cn", err)
}

var (
	down      = fault.New(fault.Unavailable, "down")
	disabled  = fault.Wrap(realm.ErrDisabled, fault.Unauthenticated, "disabled")
	errBroken = errors.New("broken")
	expired   = fault.New(fault.Unauthenticated, "expired")
)

type testChain struct {
	*realm.Chain
	asked, forgot []string
	refused       int
}

func newChain(everybody ...string) *testChain {
	c := &testChain{}
	c.Chain = realm.NewChain(realm.Options{Everybody: everybody, Refuse: func(context.Context, string, string) error { c.refused++; return nil }})
	all := func(f fixed) fixed { f.asked, f.forgot = &c.asked, &c.forgot; return f }
	c.Add(
		all(fixed{name: "reserved", users: map[string]error{"elastic": nil}, owns: []string{"elastic", "kibana"}}),
		all(fixed{name: "first", users: map[string]error{"both": nil, "elastic": nil, "kibana": nil, "off": disabled, "broken": errBroken, "away": down, "lost": down},
			tokens: map[string]error{"t1": nil, "old": expired, "twice": expired, "failing": errBroken}}),
		all(fixed{name: "second", users: map[string]error{"both": nil, "two": nil, "off": nil, "broken": nil, "away": nil},
			tokens: map[string]error{"t2": nil, "twice": nil}}),
	)
	return c
}

// ID-1, ID-8: who is asked for a password, and whose answer counts.
func TestAuthenticate(t *testing.T) {
	tests := []struct {
		name, username, password string
		realm                    string // "" if it is refused
		kind                     fault.Kind
		asked                    []string
		refusals                 int // that take the time of a wrong password
	}{
		{"the first realm", "both", "first-password", "first", 0, []string{"reserved", "first"}, 0},
		{"the password of a namesake", "both", "second-password", "second", 0, []string{"reserved", "first", "second"}, 0},
		{"nobody's password", "both", "x", "", fault.Unauthenticated, []string{"reserved", "first", "second"}, 0},
		{"an unknown name", "nobody", "x", "", fault.Unauthenticated, []string{"reserved", "first", "second"}, 1},
		{"an owned name", "elastic", "reserved-password", "reserved", 0, []string{"reserved"}, 0},
		{"an owned name with a namesake's password", "elastic", "first-password", "", fault.Unauthenticated, []string{"reserved"}, 0},
		{"an owned name without a password", "kibana", "first-password", "", fault.Unauthenticated, []string{"reserved"}, 1},
		{"a disabled user has no namesake", "off", "second-password", "", fault.Unauthenticated, []string{"reserved", "first"}, 0},
		{"a realm that fails", "broken", "second-password", "", fault.Internal, []string{"reserved", "first"}, 0},
		{"a realm that is away, and another that accepts", "away", "second-password", "second", 0, []string{"reserved", "first", "second"}, 0},
		{"a realm that is away, and nobody accepts", "away", "x", "", fault.Unavailable, []string{"reserved", "first", "second"}, 0},
		{"a realm that is away, and nobody knows", "lost", "x", "", fault.Unavailable, []string{"reserved", "first", "second"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain()
			s, err := c.Authenticate(t.Context(), tt.username, tt.password)
			if s.Realm.Name != tt.realm || (err == nil) != (tt.realm != "") || err != nil && fault.KindOf(err) != tt.kind {
				t.Errorf("got %+v, %v; want realm %q or kind %v", s, err, tt.realm, tt.kind)
			}
			if !slices.Equal(c.asked, tt.asked) || c.refused != tt.refusals {
				t.Errorf("asked %q, refused slowly %d times; want %q, %d", c.asked, c.refused, tt.asked, tt.refusals)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		username string
		in       []string // nil: everywhere
		realm    string
		kind     fault.Kind
	}{
		{"both", nil, "first", 0},
		{"two", nil, "second", 0},
		{"nobody", nil, "", fault.NotFound},
		{"kibana", nil, "", fault.NotFound}, // owned by a realm that does not know it
		{"away", nil, "", fault.Unavailable},
		{"off", nil, "", fault.Unauthenticated},
		{"both", []string{"second", "first"}, "second", 0},
		{"two", []string{"first"}, "", fault.NotFound},
		{"two", []string{"absent", "second"}, "second", 0},
		{"elastic", []string{"first"}, "", fault.NotFound},
		{"elastic", []string{"first", "reserved"}, "reserved", 0},
		{"away", []string{"first", "second"}, "", fault.Unavailable},
	}
	for _, tt := range tests {
		c := newChain()
		s, err := c.Lookup(t.Context(), tt.username)
		if tt.in != nil {
			s, err = c.LookupIn(t.Context(), tt.in, tt.username)
		}
		if s.Realm.Name != tt.realm || (err == nil) != (tt.realm != "") || err != nil && fault.KindOf(err) != tt.kind {
			t.Errorf("%s in %q: got %+v, %v; want realm %q or kind %v", tt.username, tt.in, s, err, tt.realm, tt.kind)
		}
	}
}

func TestBearers(t *testing.T) {
	for token, want := range map[string]struct {
		realm string
		mine  bool
		kind  fault.Kind
	}{
		"t1": {"first", true, 0}, "t2": {"second", true, 0}, "twice": {"second", true, 0},
		"old": {"", true, fault.Unauthenticated}, "failing": {"", true, fault.Internal}, "other": {"", false, 0},
	} {
		s, mine, err := newChain().AuthenticateBearer(t.Context(), token, "")
		if s.Realm.Name != want.realm || mine != want.mine || fault.KindOf(err) != want.kind || mine && (err == nil) != (want.realm != "") {
			t.Errorf("%s: got %+v, %v, %v; want %+v", token, s, mine, err, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	var asked []string
	f := func(name string, about ...error) fixed {
		r := fixed{name: name, asked: &asked, users: map[string]error{}}
		for _, err := range about {
			r.users["certificate"] = err
		}
		return r
	}
	for _, tt := range []struct {
		realms []realm.Realm
		realm  string
		kind   fault.Kind
	}{
		{nil, "", fault.NotFound},
		{[]realm.Realm{f("a"), f("b", nil)}, "b", 0},
		{[]realm.Realm{f("a", expired), f("b", nil)}, "b", 0},
		{[]realm.Realm{f("a", expired), f("b")}, "", fault.Unauthenticated},
		{[]realm.Realm{f("a", errBroken), f("b", nil)}, "", fault.Internal},
	} {
		c := realm.NewChain(realm.Options{})
		c.Add(tt.realms...)
		s, err := c.AuthenticateCertificate(t.Context(), nil)
		if s.Realm.Name != tt.realm || (err == nil) != (tt.realm != "") || err != nil && fault.KindOf(err) != tt.kind {
			t.Errorf("%v: got %+v, %v; want realm %q or kind %v", tt.realms, s, err, tt.realm, tt.kind)
		}
	}
}

func TestRolesOfEverybody(t *testing.T) {
	c := newChain("guest")
	ctx := t.Context()
	subjects := map[string]func() (access.Subject, error){
		"password": func() (access.Subject, error) { return c.Authenticate(ctx, "both", "first-password") },
		"lookup":   func() (access.Subject, error) { return c.Lookup(ctx, "both") },
		"lender":   func() (access.Subject, error) { return c.LookupIn(ctx, []string{"first"}, "both") },
		"token":    func() (access.Subject, error) { s, _, err := c.AuthenticateBearer(ctx, "t1", ""); return s, err },
	}
	for name, by := range subjects {
		if s, err := by(); err != nil || !slices.Equal(s.Roles, []string{"of first", "guest"}) {
			t.Errorf("%s: roles are %q, %v; want those of everybody, too", name, s.Roles, err)
		}
	}
}

func TestClearCache(t *testing.T) {
	admin := &access.Caller{Type: access.ByRealm}
	superuser, _ := access.Reserved(access.SuperuserName)
	admin.Permissions = access.NewPermissions([]string{"superuser"}, nil, access.NewRole(superuser))
	tests := []struct {
		realms, users []string
		forgot        []string
		kind          fault.Kind
	}{
		{[]string{"*"}, nil, []string{"reserved()", "first()", "second()"}, 0},
		{[]string{"_all"}, []string{"x", "y"}, []string{"reserved(x,y)", "first(x,y)", "second(x,y)"}, 0},
		{[]string{"second", "first"}, []string{"x"}, []string{"first(x)", "second(x)"}, 0},
		{[]string{"first", "absent"}, nil, []string{"first()"}, fault.NotFound},
	}
	for _, tt := range tests {
		c := newChain()
		err := c.ClearCache(t.Context(), admin, tt.realms, tt.users)
		if !reflect.DeepEqual(c.forgot, tt.forgot) || fault.KindOf(err) != tt.kind {
			t.Errorf("%q of %q: forgot %q, %v; want %q, kind %v", tt.users, tt.realms, c.forgot, err, tt.forgot, tt.kind)
		}
	}
	c := newChain()
	if err := c.ClearCache(t.Context(), &access.Caller{}, []string{"*"}, nil); fault.KindOf(err) != fault.Forbidden || c.forgot != nil {
		t.Errorf("ClearCache by nobody = %v, forgot %q; want fault.Forbidden", err, c.forgot)
	}
}
