package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/internal/cli"
)

// Each step sees the files that those before it left.
func TestUsers(t *testing.T) {
	conf := t.TempDir()
	steps := []struct {
		name  string
		in    string
		args  []string
		code  int
		out   string // the whole of it
		wrong string // part of it
	}{
		{"nobody yet", "", []string{"list"}, 0, "", ""},
		{"a user", "", []string{"useradd", "-p", "jo-password", "-r", "a, b,a", "jo"}, 0, "", ""},
		{"a password from the input", "max-password\n", []string{"useradd", "max"}, 0, "", ""},
		{"the users", "", []string{"list"}, 0, "jo             : a,b\nmax            : -\n", ""},
		{"one of them", "", []string{"list", "jo"}, 0, "jo             : a,b\n", ""},
		{"nobody", "", []string{"list", "nobody"}, 1, "", "there is no user [nobody]"},
		{"the same user again", "", []string{"useradd", "-p", "other-password", "jo"}, 1, "", "user [jo] is in the file already"},
		{"a built-in user", "", []string{"useradd", "-p", "other-password", "elastic"}, 1, "", "[elastic] is the name of a built-in user"},
		{"a short password", "", []string{"useradd", "-p", "short", "x"}, 1, "", "at least [6]"},
		{"an empty password", "", []string{"useradd", "-p", "", "x"}, 1, "", "at least [6]"},
		{"no name", "", []string{"useradd", "-p", "other-password"}, 1, "", "which user? Write the name behind the flags; latchkey help users useradd"},
		{"flags behind the name", "", []string{"passwd", "jo", "more"}, 1, "", "[more] is not understood"},
		{"a bad name", "", []string{"useradd", "-p", "other-password", "\u00fc"}, 1, "", "printable Basic Latin"},
		{"another password", "", []string{"passwd", "-p", "other-password", "jo"}, 0, "", ""},
		{"nobody's password", "", []string{"passwd", "-p", "other-password", "nobody"}, 1, "", "there is no user [nobody]"},
		{"other roles", "", []string{"roles", "-a", "c", "-r", "a", "jo"}, 0, "", ""},
		{"a role in both lists", "", []string{"roles", "-a", "c", "-r", "c", "jo"}, 1, "", "cannot be added and removed at once"},
		{"the roles", "", []string{"roles", "jo"}, 0, "jo             : b,c\n", ""},
		{"a user less", "", []string{"userdel", "max"}, 0, "", ""},
		{"a user less again", "", []string{"userdel", "max"}, 1, "", "there is no user [max]"},
		{"who is left", "", []string{"list"}, 0, "jo             : b,c\n", ""},
		{"an unknown command", "", []string{"useradds"}, 1, "", "there is no command [users useradds]"},
		{"an unknown flag", "", []string{"list", "--all"}, 1, "", "flag provided but not defined: -all; latchkey help users list lists the flags"},
	}
	for _, s := range steps {
		var out, complaints bytes.Buffer
		args := append([]string{"latchkey", "users"}, s.args...)
		environ := []string{"LATCHKEY_PATH_CONF=" + conf, "path.data=" + filepath.Join(conf, "data"), "ES_SETTING_XPACK_SECURITY_AUTHC_PASSWORD__HASHING_ALGORITHM=bcrypt4"}
		code := cli.Run(args, environ, strings.NewReader(s.in), &out, &complaints)
		if code != s.code || out.String() != s.out || !strings.Contains(complaints.String(), s.wrong) || s.wrong == "" && complaints.Len() > 0 {
			t.Errorf("%s: got %d, %q and %q; want %d, %q and %q", s.name, code, &out, &complaints, s.code, s.out, s.wrong)
		}
	}
	users, err := os.ReadFile(filepath.Join(conf, "users"))
	if err != nil || !strings.HasPrefix(string(users), "jo:$2a$04$") || strings.Contains(string(users), "password") {
		t.Errorf("users is %q, %v; want one hash", users, err)
	}
}
