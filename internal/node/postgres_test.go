package node_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/internal/sqlstore/pgtest"
)

// withPassword is a URL with a password that the server does not ask for.
func withPassword(t *testing.T, raw, password string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

func TestAStoreInPostgres(t *testing.T) {
	const hidden = "Geheim-9"
	store := []string{"-E", "latchkey.store.url=" + withPassword(t, pgtest.URL(t), hidden)}
	migrate := append([]string{"migrate", "-E", "path.data=" + dataFolder(t)}, store...)
	for range 2 {
		if r := run(t, command(t, nil, migrate...)); r.code != 0 || r.out != "The schema of the store is up to date.\n" {
			t.Fatalf("migrate ended with %d: %s%s", r.code, r.out, r.err)
		}
	}
	dir := dataFolder(t)
	p := node(t, dir, store...)
	k := p.key(t, elastic, "k")
	p.wantLogin(t, http.StatusOK, k.Encoded)
	var first, second, again struct{ Nodes map[string]any }
	p.want(t, http.StatusOK, "GET", "/_nodes/http", elastic, "", &first)
	p.stops(t)
	for name := range contents(t, dir) {
		if name != "node.id" && name != "fleet.id" && name != "node.lock" {
			t.Errorf("the data folder holds %s", name)
		}
	}
	if strings.Contains(p.out.String()+p.err.String(), hidden) {
		t.Errorf("the output shows the password of the database:\n%s%s", p.out, p.err)
	}

	reset := append([]string{"reset-password", "-i", "-u", "kibana_system", "-E", "path.data=" + dir}, store...)
	cmd := command(t, nil, reset...)
	cmd.Stdin = strings.NewReader("another one\n")
	if r := run(t, cmd); r.code != 0 {
		t.Errorf("reset-password ended with %d: %s%s", r.code, r.out, r.err)
	}

	elsewhere := node(t, dataFolder(t), store...) // after the first one
	elsewhere.wantLogin(t, http.StatusOK, k.Encoded)
	elsewhere.wantLogin(t, http.StatusOK, "kibana_system:another one")
	elsewhere.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"ids":["`+k.ID+`"]}`, nil)
	elsewhere.want(t, http.StatusOK, "GET", "/_nodes/http", elastic, "", &second)
	elsewhere.stops(t)

	p = node(t, dir, store...)
	p.wantLogin(t, http.StatusUnauthorized, k.Encoded)
	p.want(t, http.StatusOK, "GET", "/_nodes/http", elastic, "", &again)
	p.stops(t)
	for id := range first.Nodes {
		if _, same := second.Nodes[id]; same || again.Nodes[id] == nil {
			t.Errorf("the nodes have the ids %v, %v and %v; want the second to differ", first.Nodes, second.Nodes, again.Nodes)
		}
	}
}

func TestAStoreIsCopied(t *testing.T) {
	dir, base := dataFolder(t), pgtest.URL(t)
	p := node(t, dir)
	k, gone := p.key(t, elastic, "k"), p.key(t, elastic, "gone")
	p.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"ids":["`+gone.ID+`"]}`, nil)
	copied := func(args ...string) result { return run(t, command(t, nil, append([]string{"copy"}, args...)...)) }
	if r := copied("-E", "path.data="+dir, "--to", base); r.code != 1 || !strings.Contains(r.err, "another process uses it") {
		t.Errorf("the copy of a store in use: %d, %s", r.code, r.err)
	}
	p.stops(t)
	r := copied("--from", "sqlite:"+filepath.Join(dir, "latchkey.db"), "-E", "latchkey.store.url="+base)
	if r.code != 0 || !strings.Contains(r.out, "api_keys: 2 of 2 rows\n") || !strings.HasSuffix(r.out, "The copy is whole: both stores were compared.\n") {
		t.Fatalf("copy ended with %d: %s%s", r.code, r.out, r.err)
	}
	p = node(t, dir, "-E", "latchkey.store.url="+base)
	p.wantLogin(t, http.StatusOK, k.Encoded)
	p.wantLogin(t, http.StatusUnauthorized, gone.Encoded)
	p.stops(t)
	for _, want := range []string{"the store in the data folder is not used any more", "the store is a database"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("the log does not say that %s:\n%s", want, p.err)
		}
	}
	for _, tt := range []struct{ args, want string }{
		{"-E path.data=" + dir + " --to " + base, "the store to copy into is not empty"},
		{"-E path.data=" + dir + " --to sqlite:" + filepath.Join(dir, "copy.db"), "lie in one folder"},
		{"-E path.data=" + dir, "a store is written sqlite:PATH or postgres://"},
		{"--from sqlite:/nowhere/latchkey.db --to " + base, "there is no store to copy"},
		{"-E path.data=" + dir + " --to mysql://u:Geheim-9@h/d", "a store is written sqlite:PATH or postgres://"},
	} {
		if r := copied(strings.Fields(tt.args)...); r.code != 1 || !strings.Contains(r.err, tt.want) || strings.Contains(r.err, "Geheim") {
			t.Errorf("copy %s: %d, %s; want %q", tt.args, r.code, r.err, tt.want)
		}
	}
}

func TestADatabaseThatIsNotThere(t *testing.T) {
	dir := dataFolder(t)
	refuses(t, command(t, nil, serveArgs(dir, "-E", "latchkey.store.url=postgres://u:Geheim-9@127.0.0.1:1/d")...), "the database [127.0.0.1:1/d] cannot be used: the server cannot be reached")
	refuses(t, command(t, nil, serveArgs(dir, "-E", "latchkey.store.url=mysql://u:Geheim-9@127.0.0.1:1/d")...), "latchkey.store.url: is no URL of a PostgreSQL database; write postgres://")
	if _, err := os.Stat(filepath.Join(dir, "latchkey.db")); err == nil {
		t.Error("a file was made in place of it")
	}
}
