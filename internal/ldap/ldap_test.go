package ldap

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/ldap/ldaptest"
	"latchkey/internal/rolemapping"
	"latchkey/internal/secret"
)

// directory runs a slapd for one test.
func directory(t testing.TB, certificate, key string, entries ...ldaptest.Entry) *ldaptest.Server {
	t.Helper()
	s, err := ldaptest.Start(t.TempDir(), certificate, key, entries...)
	if errors.Is(err, ldaptest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func front(t testing.TB, address string, names map[string]string) *ldaptest.Front {
	t.Helper()
	f, err := ldaptest.NewFront(address, names)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// mapper gives everybody the role "mapped" and remembers who was asked about.
type mapper struct {
	mu    sync.Mutex
	asked []rolemapping.User
	err   error
}

func (m *mapper) Roles(_ context.Context, u rolemapping.User) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, u)
	return []string{"mapped"}, m.err
}

const people, groups = "ou=people," + ldaptest.Root, "ou=groups," + ldaptest.Root

// newRealm searches for users and groups as the settings do that nobody changes.
func newRealm(t testing.TB, url string, change func(*Options)) *Realm {
	t.Helper()
	o := Options{
		Name: "ldap1", URLs: []string{url}, Balance: Failover, Connect: 10 * time.Second, Response: 10 * time.Second, SearchTime: 10 * time.Second,
		BindDN: ldaptest.Search, BindPassword: secret.Of(ldaptest.Password), Pool: Pool{Size: 4}, Referrals: true,
		UserSearch:     Search{people, SubTree, "(uid={0})"},
		GroupAttribute: "memberOf", FullNameAttribute: "cn", EmailAttribute: "mail",
		Mapper: &mapper{}, CacheTTL: time.Hour, CacheMax: 100, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	r := New(o)
	t.Cleanup(r.Close)
	return r
}

func kind(err error) fault.Kind {
	if err == nil {
		return 255
	}
	return fault.KindOf(err)
}

const accepted = fault.Kind(255)

func TestWhoLogsIn(t *testing.T) {
	odd := `sm*th, (j"r)\+#`
	d := directory(t, "", "", ldaptest.Person("alice", "description", "one", "description", "two", "title", "Dr."), ldaptest.Person("bob"),
		ldaptest.Person("zoë"), ldaptest.Person(odd), ldaptest.Person("twin"), ldaptest.Group("admins", "alice", odd), ldaptest.Group("staff", "alice", "bob"),
		ldaptest.Entry{DN: "uid=twin,ou=groups," + ldaptest.Root, Attributes: ldaptest.Person("twin").Attributes},
		ldaptest.Entry{DN: "uid=none," + people, Attributes: map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"none"}, "cn": {"none"}, "sn": {"none"}}})
	modes := map[string]*Realm{
		"a search": newRealm(t, d.URL, func(o *Options) { o.UserSearch.Base = ldaptest.Root }),
		"templates": newRealm(t, d.URL, func(o *Options) {
			o.BindDN, o.UserSearch = "", Search{}
			o.UserDNTemplates = []string{"uid={0},ou=nowhere," + ldaptest.Root, "uid={0}," + people}
		}),
		"no pool": newRealm(t, d.URL, func(o *Options) { o.Pool = Pool{}; o.UserSearch.Base = ldaptest.Root }),
	}
	right := ldaptest.Password
	tests := []struct {
		name, username, password string
		search, template         fault.Kind
	}{
		{"a user", "alice", right, accepted, accepted},
		{"by another letter case", "ALICE", right, accepted, accepted},
		{"not ASCII", "zoë", right, accepted, accepted},
		{"every character that filters and names take for their own", odd, right, accepted, accepted},
		{"a wrong password", "alice", right + "x", fault.Unauthenticated, fault.Unauthenticated},
		{"a user without a password", "none", right, fault.Unauthenticated, fault.Unauthenticated},
		{"no password", "alice", "", fault.NotFound, fault.NotFound},
		{"a password of nothing", "alice", "\x00", fault.Unauthenticated, fault.Unauthenticated},
		{"no name", "", right, fault.NotFound, fault.NotFound},
		{"nobody", "carol", right, fault.NotFound, fault.Unauthenticated},
		{"everybody", "*", right, fault.NotFound, fault.Unauthenticated},
		{"a part of a name", "al*", right, fault.NotFound, fault.Unauthenticated},
		{"a filter", "alice)(cn=*", right, fault.NotFound, fault.Unauthenticated},
		{"another filter", "x)(|(uid=alice)", right, fault.NotFound, fault.Unauthenticated},
		{"a name with a zero", "alice\x00", right, fault.NotFound, fault.Unauthenticated},
		{"a name that is no UTF-8", "al\xffice", right, fault.NotFound, fault.Unauthenticated},
		{"another branch by way of the name", "twin,ou=groups", right, fault.NotFound, fault.Unauthenticated},
		{"a long name", strings.Repeat("a", 100_000), right, fault.NotFound, fault.Unauthenticated},
		{"one of two", "twin", right, fault.Unauthenticated, accepted},
	}
	for mode, r := range modes {
		for _, tt := range tests {
			t.Run(mode+"/"+tt.name, func(t *testing.T) {
				want := tt.search
				if mode == "templates" {
					want = tt.template
				}
				s, err := r.Authenticate(t.Context(), tt.username, tt.password)
				if kind(err) != want {
					t.Fatalf("got %v (%v), want %v", kind(err), err, want)
				}
				if err == nil && (s.Username != tt.username || s.Realm != access.Realm{Name: "ldap1", Type: "ldap"}) {
					t.Errorf("got %+v", s)
				}
				if err != nil && tt.password != "" && strings.Contains(err.Error(), ldaptest.Password) {
					t.Errorf("%v tells a password", err)
				}
			})
		}
	}
}

func TestWhatTheDirectoryTells(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice", "description", "one", "description", "two", "title", "Dr."), ldaptest.Person("bob"),
		ldaptest.Group("admins", "alice"), ldaptest.Group("staff", "alice", "bob"),
		ldaptest.Entry{DN: "cn=posix," + groups, Attributes: map[string][]string{"objectClass": {"posixGroup"}, "cn": {"posix"}, "gidNumber": {"7"}, "memberUid": {"alice"}}})
	admins, staff, alice := "cn=admins,"+groups, "cn=staff,"+groups, "uid=alice,"+people
	filter := "(|(member={0})(memberUid={0}))"
	tests := []struct {
		name   string
		change func(*Options)
		groups []string
	}{
		{"an attribute of the user", nil, []string{admins, staff}},
		{"another attribute", func(o *Options) { o.GroupAttribute = "title" }, []string{"Dr."}},
		{"an attribute that nobody has", func(o *Options) { o.GroupAttribute = "roomNumber" }, []string{}},
		{"a search", func(o *Options) { o.GroupSearch = Search{groups, SubTree, filter} }, []string{admins, staff}},
		{"a search at one level", func(o *Options) { o.GroupSearch = Search{ldaptest.Root, OneLevel, filter} }, []string{}},
		{"a search of one entry", func(o *Options) { o.GroupSearch = Search{admins, Base, filter} }, []string{admins}},
		{"a search where nothing is", func(o *Options) { o.GroupSearch = Search{"ou=nowhere," + ldaptest.Root, SubTree, filter} }, []string{}},
		{"a search by an attribute", func(o *Options) { o.GroupSearch, o.GroupUserAttribute = Search{groups, SubTree, filter}, "uid" }, []string{"cn=posix," + groups}},
		{"a search by an attribute that the user has not", func(o *Options) { o.GroupSearch, o.GroupUserAttribute = Search{groups, SubTree, filter}, "roomNumber" }, []string{}},
		{"without a pool", func(o *Options) { o.Pool = Pool{} }, []string{admins, staff}},
		{"as the user", func(o *Options) {
			o.BindDN, o.UserSearch, o.UserDNTemplates, o.GroupSearch = "", Search{}, []string{"uid={0}," + people}, Search{groups, SubTree, filter}
		}, []string{admins, staff}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &mapper{}
			r := newRealm(t, d.URL, func(o *Options) {
				o.Mapper, o.Metadata = m, []string{"description", "TITLE", "absent"}
				if tt.change != nil {
					tt.change(o)
				}
			})
			s, err := r.Authenticate(t.Context(), "alice", ldaptest.Password)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				DN     string   `json:"ldap_dn"`
				Groups []string `json:"ldap_groups"`
				Many   []string `json:"description"`
				One    string   `json:"TITLE"`
				None   any      `json:"absent"`
			}
			if err := json.Unmarshal(s.Metadata, &got); err != nil {
				t.Fatal(err)
			}
			slices.Sort(got.Groups)
			slices.Sort(got.Many)
			if got.DN != alice || !slices.Equal(got.Groups, tt.groups) || !slices.Equal(got.Many, []string{"one", "two"}) || got.One != "Dr." || got.None != nil {
				t.Errorf("metadata %s; want the groups %q", s.Metadata, tt.groups)
			}
			if s.FullName == nil || *s.FullName != "Alice" || s.Email == nil || *s.Email != "alice@example.org" || !slices.Equal(s.Roles, []string{"mapped"}) {
				t.Errorf("got %+v", s)
			}
			u := m.asked[0]
			slices.Sort(u.Groups)
			if u.Username != "alice" || u.DN != alice || !slices.Equal(u.Groups, tt.groups) || u.Realm.Name != "ldap1" || string(u.Metadata) != string(s.Metadata) {
				t.Errorf("the mappings were asked about %+v", u)
			}
		})
	}
}

// byDN is a file of roles.
type byDN map[string]string

func (b byDN) Mentions(dn string) bool { return b[dn] != "" }
func (b byDN) Roles(dns []string) (roles []string) {
	for _, dn := range dns {
		if b[dn] != "" {
			roles = append(roles, b[dn])
		}
	}
	return roles
}

func TestRoles(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice"), ldaptest.Group("admins", "alice"), ldaptest.Group("staff, all", "alice"))
	file := byDN{"uid=alice," + people: "from_user", "cn=admins," + groups: "from_group", "cn=x," + groups: "from_other"}
	tests := []struct {
		name   string
		change func(*Options)
		want   []string
	}{
		{"mappings", func(*Options) {}, []string{"mapped"}},
		{"a file", func(o *Options) { o.FileRoles = file }, []string{"from_group", "from_user", "mapped"}},
		{"groups", func(o *Options) { o.UnmappedGroupsAsRoles = true }, []string{"admins", "mapped", "staff, all"}},
		{"groups that the file does not mention", func(o *Options) { o.FileRoles, o.UnmappedGroupsAsRoles = file, true }, []string{"from_group", "from_user", "mapped", "staff, all"}},
		{"another realm", func(o *Options) { o.AuthorizationRealms, o.Others = []string{"native1"}, others{} }, []string{"lent"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRealm(t, d.URL, tt.change)
			for range 2 { // the second time from memory
				s, err := r.Authenticate(t.Context(), "alice", ldaptest.Password)
				if err != nil || !slices.Equal(s.Roles, tt.want) || s.Realm.Name != "ldap1" || s.Username != "alice" {
					t.Errorf("got %+v, %v, want %q", s, err, tt.want)
				}
			}
		})
	}
	t.Run("who is unknown to the other realm", func(t *testing.T) {
		r := newRealm(t, d.URL, func(o *Options) { o.AuthorizationRealms, o.Others = []string{"elsewhere"}, others{} })
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != fault.Unauthenticated {
			t.Errorf("got %v", err)
		}
	})
	t.Run("mappings that cannot be read", func(t *testing.T) {
		down := errors.New("no disk")
		r := newRealm(t, d.URL, func(o *Options) { o.Mapper = &mapper{err: down} })
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); !errors.Is(err, down) {
			t.Errorf("got %v", err)
		}
	})
}

type others struct{}

func (others) LookupIn(_ context.Context, realms []string, username string) (access.Subject, error) {
	if slices.Contains(realms, "native1") {
		return access.Subject{Username: username, Roles: []string{"lent"}, Realm: access.Realm{Name: "native1", Type: "native"}}, nil
	}
	return access.Subject{}, notFound(username)
}

func TestLookup(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice"), ldaptest.Group("admins", "alice"))
	r := newRealm(t, d.URL, nil)
	for range 2 {
		s, err := r.Lookup(t.Context(), "alice")
		if err != nil || s.Username != "alice" || !slices.Equal(s.Roles, []string{"mapped"}) {
			t.Errorf("got %+v, %v", s, err)
		}
	}
	for _, name := range []string{"", "*", "nobody"} {
		if _, err := r.Lookup(t.Context(), name); kind(err) != fault.NotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := r.Authenticate(t.Context(), "alice", "wrong"); kind(err) != fault.Unauthenticated {
		t.Errorf("who was looked up logs in with any password: %v", err)
	}
	templates := newRealm(t, d.URL, func(o *Options) { o.UserDNTemplates = []string{"uid={0}," + people} })
	if _, err := templates.Lookup(t.Context(), "alice"); kind(err) != fault.NotFound {
		t.Errorf("with templates, nobody can be looked up: %v", err)
	}
	lookupOnly := newRealm(t, d.URL, func(o *Options) { o.LookupOnly = true })
	if _, err := lookupOnly.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != fault.NotFound {
		t.Errorf("a realm for look-ups lets somebody log in: %v", err)
	}
	if _, err := lookupOnly.Lookup(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsKept(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice"))
	now := time.Now()
	r := newRealm(t, d.URL, func(o *Options) { o.Now = func() time.Time { return now } })
	login := func(password string) fault.Kind {
		_, err := r.Authenticate(t.Context(), "alice", password)
		return kind(err)
	}
	expect := func(what string, got, want fault.Kind) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	dn := "uid=alice," + people
	expect("first", login(ldaptest.Password), accepted)
	if err := d.Replace(dn, "userPassword", "another-password"); err != nil {
		t.Fatal(err)
	}
	expect("the password of before, kept", login(ldaptest.Password), accepted)
	expect("a wrong one", login("wrong"), fault.Unauthenticated)
	expect("the new one is asked of the directory", login("another-password"), accepted)
	expect("and that of before does no longer", login(ldaptest.Password), fault.Unauthenticated)
	r.Forget([]string{"alice"})
	expect("after a forgetting", login("another-password"), accepted)
	if err := d.Replace(dn, "mail", "new@example.org"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"alice@example.org", "new@example.org", "new@example.org"} { // use does not prolong it
		now = now.Add(30 * time.Minute)
		if s, err := r.Authenticate(t.Context(), "alice", "another-password"); err != nil || s.Email == nil || *s.Email != want {
			t.Errorf("use %d: got %+v, %v, want %s", i, s, err, want)
		}
	}
	if err := d.Delete(dn); err != nil {
		t.Fatal(err)
	}
	expect("who was deleted, kept", login("another-password"), accepted)
	r.Forget(nil)
	expect("who was deleted", login("another-password"), fault.NotFound)
}

// What another node may have had forgotten is not accepted without a lease, nor by
// a lease that is older than the forgetting.
func TestWhatIsKeptCountsUnderALease(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice"))
	var lapsed error
	asks := func() {}
	r := newRealm(t, d.URL, func(o *Options) { o.Lease = func() error { asks(); return lapsed } })
	acts := map[string]func() error{
		"a login":   func() error { _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); return err },
		"a look-up": func() error { _, err := r.Lookup(t.Context(), "alice"); return err },
	}
	for name, act := range acts {
		if err := act(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lapsed = fault.New(fault.Unavailable, "no lease")
		if err := act(); kind(err) != fault.Unavailable {
			t.Errorf("%s without a lease: %v", name, err)
		}
		lapsed = nil
	}
	if err := d.Delete("uid=alice," + people); err != nil {
		t.Fatal(err)
	}
	for name, act := range acts {
		if err := act(); err != nil {
			t.Errorf("%s, kept: %v", name, err)
		}
	}
	asks = func() { r.Forget(nil) } // a lease that is renewed at this moment, after what it covers was forgotten
	for name, act := range acts {
		if err := act(); kind(err) != fault.NotFound {
			t.Errorf("%s that is overtaken by a forgetting: %v", name, err)
		}
	}
}

func TestOutages(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice"), ldaptest.Person("bob"))
	t.Run("kept users log in without the directory", func(t *testing.T) {
		f := front(t, d.Address, nil)
		now := time.Now()
		r := newRealm(t, f.URL, func(o *Options) { o.Now = func() time.Time { return now } })
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); err != nil {
			t.Error(err)
		}
		for _, ask := range []struct{ username, password string }{{"alice", "wrong"}, {"bob", ldaptest.Password}} {
			if _, err := r.Authenticate(t.Context(), ask.username, ask.password); kind(err) != fault.Unavailable {
				t.Errorf("%v: %v", ask, err)
			}
		}
		if _, err := r.Lookup(t.Context(), "bob"); kind(err) != fault.Unavailable {
			t.Errorf("a look-up: %v", err)
		}
		now = now.Add(2 * time.Hour)
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != fault.Unavailable {
			t.Errorf("after the TTL: %v", err)
		}
	})
	t.Run("connections that were cut are made again", func(t *testing.T) {
		f := front(t, d.Address, nil)
		r := newRealm(t, f.URL, func(o *Options) { o.CacheTTL = 0 })
		for range 3 {
			if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); err != nil {
				t.Fatal(err)
			}
			f.Cut()
		}
	})
	t.Run("connections are kept", func(t *testing.T) {
		f := front(t, d.Address, nil)
		r := newRealm(t, f.URL, func(o *Options) { o.CacheTTL = 0 })
		for range 10 {
			if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Authenticate(t.Context(), "alice", "wrong"); kind(err) != fault.Unauthenticated {
				t.Fatal(err)
			}
		}
		if n := f.Made(); n != 2 { // one that searches, one that logs in
			t.Errorf("%d connections were made", n)
		}
	})
	t.Run("no more connections than the pool has", func(t *testing.T) {
		f := front(t, d.Address, nil)
		r := newRealm(t, f.URL, func(o *Options) { o.CacheTTL, o.Pool.Size = 0, 2 })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				username := []string{"alice", "bob"}[i%2]
				if _, err := r.Authenticate(t.Context(), username, ldaptest.Password); err != nil {
					t.Error(err)
				}
				if _, err := r.Lookup(t.Context(), username); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := f.Made(); n > 4 {
			t.Errorf("%d connections were made", n)
		}
	})
	t.Run("an idle connection is tried", func(t *testing.T) {
		now := time.Now()
		f := front(t, d.Address, nil)
		r := newRealm(t, f.URL, func(o *Options) {
			o.CacheTTL, o.Now, o.Pool = 0, func() time.Time { return now }, Pool{Size: 1, Check: true, CheckEvery: time.Minute}
		})
		for range 3 {
			if _, err := r.Lookup(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Hour)
		}
		if f.Made() != 1 {
			t.Errorf("%d connections were made", f.Made())
		}
	})
	t.Run("whoever searches is refused", func(t *testing.T) {
		r := newRealm(t, d.URL, func(o *Options) { o.BindPassword = secret.Of("not-the-password") })
		_, err := r.Authenticate(t.Context(), "alice", ldaptest.Password)
		if kind(err) != fault.Unavailable || !strings.Contains(err.Error(), "bind_dn") || strings.Contains(err.Error(), "not-the-password") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a server that says nothing", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r := newRealm(t, "ldap://"+l.Addr().String(), func(o *Options) { o.Response = 50 * time.Millisecond })
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != fault.Unavailable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a server that speaks another language", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte("220 mail.example.org ESMTP\r\n"))
				_ = c.Close()
			}
		}()
		r := newRealm(t, "ldap://"+l.Addr().String(), nil)
		if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != fault.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestSeveralServers(t *testing.T) {
	d := directory(t, "", "", ldaptest.Person("alice"))
	dead := front(t, d.Address, nil)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	logins := func(t *testing.T, r *Realm, n int) {
		t.Helper()
		for range n {
			if _, err := r.Authenticate(t.Context(), "alice", ldaptest.Password); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("failover", func(t *testing.T) {
		a, b := front(t, d.Address, nil), front(t, d.Address, nil)
		r := newRealm(t, dead.URL, func(o *Options) {
			o.URLs, o.CacheTTL, o.Pool = []string{dead.URL, a.URL, b.URL}, 0, Pool{}
		})
		logins(t, r, 2)
		if a.Made() != 6 || b.Made() != 0 {
			t.Errorf("%d and %d connections", a.Made(), b.Made())
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		logins(t, r, 1)
		if b.Made() != 3 {
			t.Errorf("%d connections to the other", b.Made())
		}
	})
	t.Run("round robin", func(t *testing.T) {
		a, b := front(t, d.Address, nil), front(t, d.Address, nil)
		r := newRealm(t, dead.URL, func(o *Options) {
			o.URLs, o.Balance, o.CacheTTL, o.Pool = []string{a.URL, b.URL}, RoundRobin, 0, Pool{}
		})
		logins(t, r, 2)
		if a.Made() != 3 || b.Made() != 3 {
			t.Errorf("%d and %d connections", a.Made(), b.Made())
		}
	})
	for _, balance := range []Balance{DNSFailover, DNSRoundRobin} {
		t.Run(string(balance), func(t *testing.T) {
			_, port, err := net.SplitHostPort(d.Address)
			if err != nil {
				t.Fatal(err)
			}
			r := newRealm(t, "ldap://localhost:"+port, func(o *Options) { o.Balance, o.BalanceTTL, o.CacheTTL = balance, time.Hour, 0 })
			logins(t, r, 2)
			unknown := newRealm(t, "ldap://no-such-host.invalid", func(o *Options) { o.Balance = balance })
			if _, err := unknown.Authenticate(t.Context(), "alice", ldaptest.Password); kind(err) != fault.Unavailable {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReferrals(t *testing.T) {
	other := directory(t, "", "", ldaptest.Person("bob"), ldaptest.Group("admins", "bob"))
	link := func(name, url string) ldaptest.Entry {
		return ldaptest.Entry{DN: "ou=" + name + ",ou=people," + ldaptest.Root, Attributes: map[string][]string{"objectClass": {"referral", "extensibleObject"}, "ou": {name}, "ref": {url}}}
	}
	d := directory(t, "", "", ldaptest.Person("alice"), link("there", other.URL+"/"+people))
	lookup := func(follow bool, base, name string) fault.Kind {
		r := newRealm(t, d.URL, func(o *Options) { o.Referrals, o.UserSearch.Base = follow, base })
		_, err := r.Authenticate(t.Context(), name, ldaptest.Password)
		return kind(err)
	}
	for _, tt := range []struct {
		name   string
		follow bool
		base   string
		user   string
		want   fault.Kind
	}{
		{"who is here", true, people, "alice", accepted},
		{"who is nowhere", true, people, "carol", fault.NotFound},
		{"not followed", false, people, "bob", fault.NotFound},
		{"a search that begins elsewhere, not followed", false, "ou=there," + people, "bob", fault.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := lookup(tt.follow, tt.base, tt.user); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("who is elsewhere", func(t *testing.T) {
		r := newRealm(t, d.URL, nil)
		s, err := r.Lookup(t.Context(), "bob")
		if err != nil || !strings.Contains(string(s.Metadata), "cn=admins") {
			t.Errorf("got %s, %v", s.Metadata, err)
		}
		begins := newRealm(t, d.URL, func(o *Options) { o.UserSearch.Base = "ou=there," + people })
		if s, err := begins.Lookup(t.Context(), "bob"); err != nil {
			t.Errorf("got %s, %v", s.Metadata, err)
		}
	})
	t.Run("in a circle, to nowhere, and out of LDAP", func(t *testing.T) {
		for name, url := range map[string]string{"circle": d.URL + "/ou=circle," + people, "web": "http://localhost/", "gone": "ldap://127.0.0.1:1/" + people} {
			if err := d.Add(link(name, url)); err != nil {
				t.Fatal(err)
			}
			r := newRealm(t, d.URL, func(o *Options) { o.UserSearch.Base = "ou=" + name + "," + people })
			if _, err := r.Lookup(t.Context(), "bob"); kind(err) != fault.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Who is found needs none of them.
		if _, err := newRealm(t, d.URL, nil).Lookup(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
	})
}
