package file

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// Hashes of "file-password", one of each form.
func hashes(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{"ssha256": secret.HashRandom("file-password")}
	for _, algorithm := range []string{"bcrypt", "pbkdf2", "pbkdf2_stretch"} { // ID-9: of the costs that it names
		h, err := secret.NewHasher(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		if all[algorithm], err = h.Hash(t.Context(), "file-password"); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func cheap(t testing.TB, password string) string {
	t.Helper()
	return secret.HashRandom(password)
}

// folder is a realm over files that a test writes.
type folder struct {
	*Realm
	dir string
}

func newFolder(t testing.TB, change func(*Options)) *folder {
	t.Helper()
	dir := t.TempDir()
	o := Options{Name: "default_file", Dir: dir, Reserved: func(name string) bool { return name == "elastic" }}
	if change != nil {
		change(&o)
	}
	return &folder{New(o), dir}
}

func (f *folder) write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f *folder) read(t testing.TB) *News {
	t.Helper()
	news, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	return news
}

func (f *folder) accepts(t testing.TB, username, password string, want bool) {
	t.Helper()
	s, err := f.Authenticate(t.Context(), username, password)
	if (err == nil) != want || err == nil && s.Username != username {
		t.Errorf("%s with %q: %+v, %v; want accepted %v", username, password, s, err, want)
	}
}

// ID-9
func TestEveryFormOfHash(t *testing.T) {
	f := newFolder(t, nil)
	var users strings.Builder
	forms := hashes(t)
	for name, hash := range forms {
		users.WriteString(name + ":" + hash + "\n")
	}
	f.write(t, "users", users.String())
	if news := f.read(t); news.Users != len(forms) || news.Skipped != nil {
		t.Fatalf("Read = %+v; want %d users", news, len(forms))
	}
	for name, hash := range forms {
		for range 2 { // the second time from memory
			f.accepts(t, name, "wrong", false)
			f.accepts(t, name, "file-password", true)
		}
		f.accepts(t, name, hash, false)
	}
	for prefix, name := range map[string]string{"$2a$10$": "bcrypt", "{PBKDF2}10000$": "pbkdf2", "{PBKDF2_STRETCH}10000$": "pbkdf2_stretch", "{SSHA256}": "ssha256"} {
		if !strings.HasPrefix(forms[name], prefix) {
			t.Errorf("the hash of %s begins with %q; want %q", name, forms[name][:10], prefix)
		}
	}
}

// ID-5, ID-6, ID-7
func TestLines(t *testing.T) {
	f := newFolder(t, nil)
	hash := cheap(t, "p")
	f.write(t, "users", strings.Join([]string{
		"# a comment", "  jo:" + hash + "  ", "", "no colon", ":" + hash, "empty:", "elastic:" + hash,
		"\u00fc:" + hash, "clear:text", "twice:" + cheap(t, "old"), "twice:" + hash, "bad:{PBKDF2}7$x$y",
		strings.Repeat("x", 1024) + ":" + hash, strings.Repeat("x", 1025) + ":" + hash, "last:" + hash,
	}, "\r\n"))
	f.write(t, "users_roles", "# comment\n a : jo , last \nb:jo\nnothing\n"+"a:jo\nsuperuser:last\n\u00fc:jo\nghost:unknown\n")
	news := f.read(t)
	if news.Users != 4 || len(news.Skipped) != 10 {
		t.Errorf("Read = %d users, skipped %q", news.Users, news.Skipped)
	}
	for _, why := range news.Skipped {
		if strings.Contains(why, hash) || strings.Contains(why, "text") {
			t.Errorf("a hash is told: %s", why)
		}
	}
	f.accepts(t, "jo", "p", true)
	f.accepts(t, "twice", "p", true)
	f.accepts(t, "twice", "old", false)
	f.accepts(t, "elastic", "p", false)
	f.accepts(t, "clear", "text", false)
	f.accepts(t, strings.Repeat("x", 1024), "p", true)
	s, err := f.Lookup(t.Context(), "jo")
	if err != nil || !slices.Equal(s.Roles, []string{"a", "b"}) || s.Realm.Name != "default_file" || s.Realm.Type != "file" || s.FullName != nil || s.Email != nil || s.Metadata != nil {
		t.Errorf("Lookup(jo) = %+v, %v; want roles a and b, and nothing else", s, err)
	}
	if s, err := f.Lookup(t.Context(), "twice"); err != nil || s.Roles == nil || len(s.Roles) != 0 {
		t.Errorf("Lookup(twice) = %+v, %v; want no roles, and not nil", s, err)
	}
	if _, err := f.Lookup(t.Context(), "unknown"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Lookup(unknown) = %v; want fault.NotFound", err)
	}
}

func TestChangesCount(t *testing.T) {
	f := newFolder(t, nil)
	f.accepts(t, "jo", "one", false)
	if news := f.read(t); news == nil || news.Users != 0 {
		t.Errorf("Read of no files = %+v; want no users", news)
	}
	f.write(t, "users", "jo:"+cheap(t, "one")+"\nmax:"+cheap(t, "max"))
	f.read(t)
	f.accepts(t, "jo", "one", true)
	if news := f.read(t); news != nil {
		t.Errorf("Read of the same files = %+v; want nil", news)
	}
	f.write(t, "users_roles", "a:jo")
	f.read(t)
	if s, _ := f.Authenticate(t.Context(), "jo", "one"); !slices.Equal(s.Roles, []string{"a"}) {
		t.Errorf("roles are %q; want [a]", s.Roles)
	}
	f.write(t, "users", "jo:"+cheap(t, "two"))
	f.read(t)
	f.accepts(t, "jo", "one", false)
	f.accepts(t, "jo", "two", true)
	f.accepts(t, "max", "max", false)
	f.write(t, "users", "jo:\xff")
	if _, err := f.Read(); err == nil {
		t.Error("Read of what is no UTF-8: no error")
	}
	if news := f.read(t); news != nil {
		t.Errorf("the error was told twice: %+v", news)
	}
	f.accepts(t, "jo", "two", false)
	f.write(t, "users", "jo:"+cheap(t, "three"))
	f.read(t)
	f.accepts(t, "jo", "three", true)
	if err := os.Remove(filepath.Join(f.dir, "users")); err != nil {
		t.Fatal(err)
	}
	f.read(t)
	f.accepts(t, "jo", "three", false)
}

func TestLookupOnly(t *testing.T) {
	f := newFolder(t, func(o *Options) { o.LookupOnly = true })
	f.write(t, "users", "jo:"+cheap(t, "p"))
	f.read(t)
	if _, err := f.Authenticate(t.Context(), "jo", "p"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Authenticate = %v; want fault.NotFound", err)
	}
	if s, err := f.Lookup(t.Context(), "jo"); err != nil || s.Username != "jo" {
		t.Errorf("Lookup = %+v, %v; want jo", s, err)
	}
}

func TestEdit(t *testing.T) {
	f := newFolder(t, nil)
	files := Files{Dir: f.dir, Reserved: f.o.Reserved}
	f.write(t, "users", "# mine\nmax:"+cheap(t, "m")) // without an end of the line
	f.write(t, "users_roles", "# ours\na:max, jo2\nb:max\n")
	steps := []struct {
		name string
		act  func() error
		kind fault.Kind
		want []Entry
	}{
		{"add", func() error { return files.Add("jo", cheap(t, "p"), []string{"a", "c"}) }, 0, []Entry{{"jo", []string{"a", "c"}}, {"max", []string{"a", "b"}}}},
		{"add again", func() error { return files.Add("jo", cheap(t, "q"), nil) }, fault.Conflict, nil},
		{"a reserved name", func() error { return files.Add("elastic", cheap(t, "q"), nil) }, fault.Argument, nil},
		{"a colon", func() error { return files.Add("a:b", cheap(t, "q"), nil) }, fault.Argument, nil},
		{"a comma", func() error { return files.Add("a,b", cheap(t, "q"), nil) }, fault.Argument, nil},
		{"a comment", func() error { return files.Add("#a", cheap(t, "q"), nil) }, fault.Argument, nil},
		{"unicode", func() error { return files.Add("\u00fc", cheap(t, "q"), nil) }, fault.Argument, nil},
		{"no name", func() error { return files.Add("", cheap(t, "q"), nil) }, fault.Argument, nil},
		{"a bad role", func() error { return files.Add("x", cheap(t, "q"), []string{"a:b"}) }, fault.Argument, nil},
		{"roles", func() error { return files.ChangeRoles("jo", []string{"b", "b", "a"}, []string{"c"}) }, 0, []Entry{{"jo", []string{"a", "b"}}, {"max", []string{"a", "b"}}}},
		{"roles of nobody", func() error { return files.ChangeRoles("nobody", []string{"b"}, nil) }, fault.NotFound, nil},
		{"password", func() error { return files.SetHash("max", cheap(t, "n")) }, 0, []Entry{{"jo", []string{"a", "b"}}, {"max", []string{"a", "b"}}}},
		{"password of nobody", func() error { return files.SetHash("nobody", cheap(t, "n")) }, fault.NotFound, nil},
		{"delete", func() error { return files.Remove("max") }, 0, []Entry{{"jo", []string{"a", "b"}}}},
		{"delete again", func() error { return files.Remove("max") }, fault.NotFound, nil},
	}
	for _, s := range steps {
		before, _ := os.ReadFile(filepath.Join(f.dir, "users"))
		if err := s.act(); fault.KindOf(err) != s.kind || (err == nil) != (s.kind == 0) {
			t.Fatalf("%s: %v; want kind %v", s.name, err, s.kind)
		}
		if s.kind != 0 {
			if after, _ := os.ReadFile(filepath.Join(f.dir, "users")); string(after) != string(before) {
				t.Errorf("%s: the file changed to %q", s.name, after)
			}
			continue
		}
		if got, err := files.List(); err != nil || !reflect.DeepEqual(got, s.want) {
			t.Errorf("%s: List = %v, %v; want %v", s.name, got, err, s.want)
		}
		if s.name == "password" {
			f.read(t)
			f.accepts(t, "max", "n", true)
			f.accepts(t, "jo", "p", true)
		}
	}
	roles, _ := os.ReadFile(filepath.Join(f.dir, "users_roles"))
	if want := "# ours\na:jo2,jo\nb:jo\n"; string(roles) != want {
		t.Errorf("users_roles is %q; want %q", roles, want)
	}
	users, _ := os.ReadFile(filepath.Join(f.dir, "users"))
	if !strings.HasPrefix(string(users), "# mine\njo:") {
		t.Errorf("users is %q; want the comment kept", users)
	}
	info, err := os.Stat(filepath.Join(f.dir, "users"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v; want that of before", info.Mode(), err)
	}
	left, _ := os.ReadDir(f.dir)
	if len(left) != 2 {
		t.Errorf("files left: %v; want two", left)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"jo:" + secret.HashRandom("p"), "# x\na:b,c\n", ":", "a:\n:b", "\x00:\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		users, _ := parseUsers(content, func(string) bool { return false })
		for name, hash := range users {
			if name == "" || ValidHash(hash) != nil {
				t.Errorf("user %q with hash %q", name, hash)
			}
		}
		roles, _ := parseRoles(content)
		for name, of := range roles {
			if name == "" || len(of) == 0 {
				t.Errorf("user %q with roles %q", name, of)
			}
		}
	})
}
