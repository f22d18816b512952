package node_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"latchkey/internal/secret"
)

// Tokens of service accounts, of the store and of the file, through a crash and
// a change of the file.
func TestServiceTokens(t *testing.T) {
	dir, conf := dataFolder(t), t.TempDir()
	file := filepath.Join(conf, "service_tokens")
	const ofFile = "a-secret-of-the-file"
	hash := secret.HashRandom(ofFile)
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# tokens of the file\nelastic/kibana/of_file:" + hash + "\n")
	fileToken := "Bearer " + base64.RawStdEncoding.EncodeToString([]byte("\x00\x01\x00\x01elastic/kibana/of_file:"+ofFile))
	const tokens = "/_security/service/elastic/fleet-server/credential/token/"

	p := node(t, dir, "-E", "path.conf="+conf)
	hidden := []string{ofFile, hash}
	create := func(name string) string {
		t.Helper()
		var made struct{ Token struct{ Value string } }
		p.want(t, http.StatusOK, "PUT", tokens+name, elastic, "", &made)
		raw, err := base64.RawStdEncoding.DecodeString(made.Token.Value)
		_, text, ok := strings.Cut(string(raw), ":")
		if err != nil || !ok {
			t.Fatalf("the value is %q, %v", raw, err)
		}
		hidden = append(hidden, made.Token.Value, text)
		return "Bearer " + made.Token.Value
	}
	login := func(what, token string, status int, username string) {
		t.Helper()
		a := p.ask(t, "GET", "/_security/_authenticate", token, "")
		if a.status != status || status == http.StatusOK && a.body["username"] != username {
			t.Errorf("%s: %d %s; want %d %s", what, a.status, a.text, status, username)
		}
	}
	kept, ended := create("kept"), create("ended")
	login("a token of the file", fileToken, http.StatusOK, "elastic/kibana")
	login("a token", kept, http.StatusOK, "elastic/fleet-server")
	login("a token that is known by heart", ended, http.StatusOK, "elastic/fleet-server")
	p.want(t, http.StatusOK, "DELETE", tokens+"ended", elastic, "", nil)
	login("ID-99: a deleted token", ended, http.StatusUnauthorized, "")
	p.kill()
	logs := p.err.String() + p.out.String()

	p = node(t, dir, "-E", "path.conf="+conf)
	login("a token after a crash", kept, http.StatusOK, "elastic/fleet-server")
	login("ID-99: a deleted token after a crash", ended, http.StatusUnauthorized, "")
	login("a token of the file after a crash", fileToken, http.StatusOK, "elastic/kibana")
	write("elastic/kibana/another:" + hash + "\nelastic/kibana/of_file:" + ofFile + "\n")
	if p.err.find(`line 2: the password hash is of no supported kind`) == nil {
		t.Errorf("the log does not tell of the changed file:\n%s", p.err)
	}
	login("a token whose line is gone", fileToken, http.StatusUnauthorized, "")
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the node ended with %d", code)
	}

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the data folder: %q, %v", files, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		logs += string(content)
	}
	logs += p.err.String() + p.out.String()
	for _, text := range hidden {
		if strings.Contains(logs, text) {
			t.Error("a secret of a token is in the log or in the store in clear")
		}
	}
}
