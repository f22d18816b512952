package node_test

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"latchkey/internal/secret"
)

// Users and roles in files, beside those of the store; the command that edits
// the files counts on a running node from the next request on.
func TestUsersInFiles(t *testing.T) {
	dir, conf := dataFolder(t), t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(conf, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash := secret.HashRandom("of-the-file")
	write("users", "# ours\nno line\nelastic:"+hash+"\njo:"+hash+"\nboth:"+hash+"\n")
	write("users_roles", "reader:jo\nwriter:jo\nreader:both\n")
	write("roles.yml", "reader:\n  cluster: [ read_security ]\n  run_as: [ jo ]\n")
	settings := []string{"-E", "path.conf=" + conf}
	users := func(args ...string) {
		t.Helper()
		args = append([]string{"users", args[0], "-E", "path.conf=" + conf, "-E", "path.data=" + dir}, args[1:]...)
		if r := run(t, command(t, nil, args...)); r.code != 0 || r.err != "" {
			t.Fatalf("latchkey %s: %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
		}
	}
	users("useradd", "-p", "of-the-command", "-r", "reader", "max")

	p := node(t, dir, settings...)
	if p.err.find(`line 2 is not username:hash`) == nil { // ID-6
		t.Errorf("the log does not tell of the line that is none:\n%s", p.err)
	}
	login := func(what, username, password string, status int, realm string, roles ...any) {
		t.Helper()
		a := p.ask(t, "GET", "/_security/_authenticate", basic(username+":"+password), "")
		if a.status != status {
			t.Errorf("%s: %d %s; want %d", what, a.status, a.text, status)
			return
		}
		if status != http.StatusOK {
			return
		}
		name, kind, _ := strings.Cut(realm, "/")
		want := map[string]any{"name": name, "type": kind}
		if a.body["username"] != username || !reflect.DeepEqual(a.body["authentication_realm"], want) || !reflect.DeepEqual(a.body["roles"], append([]any{}, roles...)) {
			t.Errorf("%s: %s; want roles %q of %s", what, a.text, roles, realm)
		}
	}
	const ofFile, ofStore = "default_file/file", "default_native/native"
	login("ID-5 ID-7: a user of the file", "jo", "of-the-file", http.StatusOK, ofFile, "reader", "writer")
	login("a user of the command", "max", "of-the-command", http.StatusOK, ofFile, "reader")
	login("ID-1: a reserved name in the file", "elastic", "of-the-file", http.StatusUnauthorized, "")
	login("a wrong password", "jo", "wrong-password", http.StatusUnauthorized, "")
	p.want(t, http.StatusOK, "PUT", "/_security/user/both", elastic, `{"password":"of-the-store","roles":["stored"]}`, nil)
	login("ID-5 ID-8: the native namesake", "both", "of-the-store", http.StatusOK, ofStore, "stored")
	login("the one of the file", "both", "of-the-file", http.StatusOK, ofFile, "reader")
	p.want(t, http.StatusOK, "PUT", "/_security/user/both/_disable", elastic, "", nil)
	login("the disabled namesake", "both", "of-the-store", http.StatusUnauthorized, "")
	login("the one of the file beside it", "both", "of-the-file", http.StatusOK, ofFile, "reader")

	if a := p.ask(t, "GET", "/_security/user", basic("jo:of-the-file"), ""); a.status != http.StatusOK || strings.Contains(a.text, `"jo"`) {
		t.Errorf("ID-33: users are %d %s; want none of the file", a.status, a.text)
	}
	if a := p.ask(t, "PUT", "/_security/user/_password", basic("jo:of-the-file"), `{"password":"another-one"}`); a.status != http.StatusForbidden {
		t.Errorf("the own password of a file user: %d %s; want 403", a.status, a.text)
	}

	if a := p.ask(t, "PUT", "/_security/user/jo/_password", basic(elastic), `{"password":"another-one"}`); a.status != http.StatusBadRequest || !strings.Contains(a.text, "[default_file]") {
		t.Errorf("the password of a file user: %d %s; want 400 that names the realm", a.status, a.text)
	}
	a := p.ask(t, "GET", "/_security/_authenticate", basic(elastic), "", "es-security-runas-user", "jo")
	if a.status != http.StatusOK || a.body["username"] != "jo" || !strings.Contains(a.text, `"lookup_realm":{"name":"default_file","type":"file"}`) {
		t.Errorf("run as a file user: %d %s", a.status, a.text)
	}
	if a := p.ask(t, "POST", "/_security/realm/default_file,default_native/_clear_cache", basic(elastic), ""); a.status != http.StatusOK || !strings.Contains(a.text, `"failed":0`) {
		t.Errorf("clear the caches of both realms: %d %s", a.status, a.text)
	}

	users("passwd", "-p", "of-the-change", "max")
	login("the password of before", "max", "of-the-command", http.StatusUnauthorized, "")
	login("the password that was changed", "max", "of-the-change", http.StatusOK, ofFile, "reader")
	users("roles", "-r", "reader", "-a", "other", "max")
	login("roles that were changed", "max", "of-the-change", http.StatusOK, ofFile, "other")
	if a := p.ask(t, "GET", "/_security/user", basic("max:of-the-change"), ""); a.status != http.StatusForbidden {
		t.Errorf("users without the role: %d %s; want 403", a.status, a.text)
	}
	users("userdel", "max")
	login("a user who was deleted", "max", "of-the-change", http.StatusUnauthorized, "")

	write("roles.yml", "other:\n  cluster: [ read_security ]\nreader: 7\n")
	if p.err.find(`role \[reader\]: failed to parse`) == nil {
		t.Errorf("the log does not tell of the changed roles:\n%s", p.err)
	}
	if a := p.ask(t, "GET", "/_security/user", basic("jo:of-the-file"), ""); a.status != http.StatusForbidden {
		t.Errorf("users with a role that is gone: %d %s; want 403", a.status, a.text)
	}
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
	for _, hidden := range []string{"of-the-", hash, "$2a$"} {
		if strings.Contains(p.err.String()+p.out.String(), hidden) {
			t.Errorf("%q is in the log", hidden)
		}
	}
}

func TestTheFileRealmIsOff(t *testing.T) {
	dir, conf := dataFolder(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(conf, "users"), []byte("jo:"+secret.HashRandom("of-the-file")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := node(t, dir, "-E", "path.conf="+conf, "-E", "xpack.security.authc.realms.file.f1.enabled=false")
	if a := p.ask(t, "GET", "/_security/_authenticate", basic("jo:of-the-file"), ""); a.status != http.StatusUnauthorized {
		t.Errorf("a user of a realm that is off: %d %s; want 401", a.status, a.text)
	}
	p.stop(t, syscall.SIGTERM)
}
