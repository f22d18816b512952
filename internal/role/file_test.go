package role_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/role"
)

// Roles of the file come before stored ones, and a change of the file counts for
// lists of names that were asked for before.
func TestRolesOfTheFile(t *testing.T) {
	s := role.New(open(t), time.Now, nil)
	path := filepath.Join(t.TempDir(), "roles.yml")
	s.UseFile(path)
	put(t, s, "both", `{"cluster":["monitor"]}`)
	read := func(content string) *role.FileNews {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		news, err := s.ReadFile()
		if err != nil {
			t.Fatal(err)
		}
		return news
	}
	may := func(want bool, role, action string) {
		t.Helper()
		p, err := s.Permissions(t.Context(), []string{role})
		if err != nil {
			t.Fatal(err)
		}
		by := &access.Caller{Type: access.ByRealm, Subject: access.Subject{Permissions: p}}
		if err := by.Authorize(access.Request{Action: action}); (err == nil) != want {
			t.Errorf("%s of role %s: %v; want allowed %v", action, role, err, want)
		}
	}
	const main, users = "cluster:monitor/main", "cluster:admin/xpack/security/user/get"

	if news, err := s.ReadFile(); err != nil || news == nil || news.Roles != 0 {
		t.Errorf("a file that is not there: %+v, %v; want no roles", news, err)
	}
	may(true, "both", main)
	may(false, "of_file", users)
	news := read("# roles\nof_file:\n  cluster: [ read_security ]\n  indices:\n    - names: 'a*'\n      privileges: [ read ]\nboth:\n  cluster:\n    - read_security\n" +
		"superuser:\n  cluster: [ all ]\nbad:\n  cluster: [ nothing_known ]\nworse: 7\n")
	if news.Roles != 2 || len(news.Skipped) != 3 || !strings.Contains(news.Skipped[0], "line 10: role [superuser]") {
		t.Errorf("news are %+v; want two roles and three that are skipped", news)
	}
	may(true, "of_file", users)
	may(true, "both", users)
	may(false, "both", main)
	if news, err := s.ReadFile(); news != nil || err != nil {
		t.Errorf("the same file again: %+v, %v; want nil", news, err)
	}
	shown, err := s.Get(t.Context(), admin, []string{"of_file", "both"})
	if err != nil || len(shown) != 1 || !slices.Equal(shown["both"].Cluster, []string{"monitor"}) {
		t.Errorf("Get = %v, %v; want the stored role alone", shown, err)
	}
	read("of_file:\n  cluster: [ monitor ]\n")
	may(true, "of_file", main)
	may(false, "of_file", users)
	may(true, "both", main)
	read("# nothing\n---\n")
	may(false, "of_file", main)
	read("of_file:\n  cluster: [ monitor ]\n")
	may(true, "of_file", main)
	for _, broken := range []string{"of_file: [", "- a\n", "a: \xff"} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReadFile(); err == nil {
			t.Errorf("%q: no error", broken)
		}
		may(false, "of_file", main)
		if news, err := s.ReadFile(); news != nil || err != nil {
			t.Errorf("%q: told twice: %+v, %v", broken, news, err)
		}
	}
}
