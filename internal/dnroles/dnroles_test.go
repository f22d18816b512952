package dnroles_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/dnroles"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const example = `
monitoring:
  - "cn=admins,dc=example,dc=com"
user:
  - "cn=John Doe,cn=contractors,dc=example,dc=com"
  - "cn=admins,dc=example,dc=com"
`

func TestRoles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "role_mapping.yml")
	f := dnroles.New(path)
	write(t, path, example+"odd:\n  - \"no name\"\n  - \"cn=odd\\\\, very,dc=example\"\nempty:\n")
	news, err := f.Read()
	if err != nil || news.Names != 3 || len(news.Skipped) != 1 || !strings.Contains(news.Skipped[0], `"no name" of the role odd`) {
		t.Fatalf("got %+v, %v", news, err)
	}
	tests := []struct {
		name string
		dns  []string
		want []string
	}{
		{"a group with two roles", []string{"cn=admins,dc=example,dc=com"}, []string{"monitoring", "user"}},
		{"letter case and blanks mean nothing", []string{"CN=Admins, DC=Example,dc=com"}, []string{"monitoring", "user"}},
		{"a user", []string{"cn=john doe,cn=Contractors,dc=example,dc=com"}, []string{"user"}},
		{"each role once", []string{"cn=admins,dc=example,dc=com", "cn=John Doe,cn=contractors,dc=example,dc=com"}, []string{"monitoring", "user"}},
		{"an escaped comma", []string{`CN=odd\2c very,DC=example`}, []string{"odd"}},
		{"what is below is something else", []string{"cn=x,cn=admins,dc=example,dc=com"}, nil},
		{"what is above is something else", []string{"dc=example,dc=com"}, nil},
		{"no name", []string{"", "no name", "\xff"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.Roles(tt.dns); !slices.Equal(got, tt.want) {
				t.Errorf("%q: got %q, want %q", tt.dns, got, tt.want)
			}
			if got := f.Mentions(tt.dns[0]); got != (tt.want != nil) {
				t.Errorf("%q is mentioned: %v", tt.dns[0], got)
			}
		})
	}
}

func TestAFileThatChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "role_mapping.yml")
	f := dnroles.New(path)
	admins := []string{"cn=admins,dc=example,dc=com"}
	if news, err := f.Read(); news != nil || err != nil || f.Roles(admins) != nil {
		t.Fatalf("without a file: %v, %v", news, err)
	}
	steps := []struct {
		name, content string
		roles         int
		fails         bool
	}{
		{"written", example, 2, false},
		{"changed", "user: [\"cn=admins,dc=example,dc=com\"]", 1, false},
		{"no YAML", "user: [", 0, true},
		{"something else", "user: text", 0, true},
		{"mended", example, 2, false},
		{"only comments", "# nobody\n", 0, false},
	}
	for _, step := range steps {
		write(t, path, step.content)
		news, err := f.Read()
		if (err != nil) != step.fails || (news == nil) != step.fails || len(f.Roles(admins)) != step.roles {
			t.Errorf("%s: %+v, %v, %q", step.name, news, err, f.Roles(admins))
		}
		if news, err := f.Read(); news != nil || err != nil {
			t.Errorf("%s: is told twice: %+v, %v", step.name, news, err)
		}
	}
	write(t, path, example)
	if _, err := f.Read(); err != nil || f.Roles(admins) == nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if news, err := f.Read(); news == nil || err != nil || f.Roles(admins) != nil {
		t.Errorf("without the file: %+v, %v, %q", news, err, f.Roles(admins))
	}
}

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "role_mapping.yml")
	synctest.Test(t, func(t *testing.T) {
		f := dnroles.New(path)
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan *dnroles.News, 1)
		done := make(chan error)
		go func() {
			done <- f.Watch(ctx, func(n *dnroles.News, err error) {
				if err != nil {
					t.Error(err)
				}
				told <- n
			})
		}()
		time.Sleep(time.Minute)
		write(t, path, example)
		if n := <-told; n.Names != 2 {
			t.Errorf("got %+v", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add(example, "cn=admins,dc=example,dc=com")
	f.Add("a: [\"cn=\\\\\"]", "cn=\\")
	f.Add("a: &a [*a]", "=")
	f.Fuzz(func(t *testing.T, content, dn string) {
		path := filepath.Join(t.TempDir(), "f.yml")
		write(t, path, content)
		file := dnroles.New(path)
		_, err := file.Read()
		if roles := file.Roles([]string{dn}); err != nil && roles != nil {
			t.Errorf("%q has %q of a file that cannot be read", dn, roles)
		}
	})
}
