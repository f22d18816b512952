package cli_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v3"

	"latchkey"
	"latchkey/internal/cli"
	"latchkey/internal/config"
	"latchkey/internal/node"
)

var listens = regexp.MustCompile(`Listening on (\S+)\. `)

// startNode runs a node until the test ends, and returns its address and a client of elastic's.
func startNode(t *testing.T) (string, *latchkey.Client) {
	t.Helper()
	dir := shortFolder(t)
	cfg, err := config.Load(config.Sources{Dir: dir, Environ: []string{"ELASTIC_PASSWORD=elastic-password"}, Overrides: []string{
		"path.data=" + dir + "/data", "http.port=0", "xpack.security.authc.password_hashing.algorithm=bcrypt4"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, told := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := node.Run(ctx, cfg, told, slog.New(slog.DiscardHandler))
		_ = told.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	var text []byte
	for buf := make([]byte, 1024); !listens.Match(text); {
		n, err := out.Read(buf)
		if text = append(text, buf[:n]...); err != nil {
			t.Fatalf("the node does not listen: %v", err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the node
	address := string(listens.FindSubmatch(text)[1])
	c, err := latchkey.New(address, latchkey.WithCredential(latchkey.Basic("elastic", "elastic-password")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return address, c
}

// runKeys runs latchkey api-key with an environment of its own.
func runKeys(env []string, in string, args ...string) (code int, out, complaints string) {
	var o, e bytes.Buffer
	code = cli.Run(append([]string{"latchkey", "api-key"}, args...), env, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

func asElastic(address string) []string {
	return []string{"LATCHKEY_URL=" + address, "LATCHKEY_USERNAME=elastic", "LATCHKEY_PASSWORD=elastic-password"}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Each step sees what those before it left.
func TestAPIKeys(t *testing.T) {
	address, c := startNode(t)
	made := must[latchkey.CreateAPIKeyResponse](t)
	ids := map[string]latchkey.CreateAPIKeyResponse{}
	for _, name := range []string{"one", "two", "rotated", "source", "leaked"} {
		ids[name] = made(c.CreateAPIKey(t.Context(), latchkey.CreateAPIKeyRequest{Name: name}))
	}
	ids["cluster"] = made(c.CreateCrossClusterAPIKey(t.Context(), latchkey.CreateCrossClusterAPIKeyRequest{
		Name: "cluster", Access: latchkey.CrossClusterAccess{Search: []latchkey.CrossClusterIndices{{Names: []string{"logs"}}}}}))
	roles := file(t, `{"reader":{"cluster":["monitor"]}}`)
	source := file(t, ids["source"].Encoded+"\n")
	leak := file(t, "Authorization: ApiKey "+ids["leaked"].Encoded+"\n")
	const shown, head = `The secret is shown this once\. .*\n`, `ID +NAME +TYPE +OWNER +REALM +CREATED +EXPIRES +STATE`
	const secret = `API KEY +\S{20,}\nENCODED +\S{40,}\n`
	line := func(name, expires, state string) string {
		return `\S{20}  ` + name + ` +\w+ +elastic  reserved  \d{4}-\S+ +` + expires + ` +` + state + ` *\n`
	}
	steps := []struct {
		name       string
		in         string
		args       string // $name is the id of a key
		code       int
		out, wrong string // the whole of it, as regular expressions
	}{
		{"create", "", `create|--name|made|--expiration|30d|--roles|@` + roles + `|--metadata|{"team":"a"}`, 0, `ID +\S{20}\nNAME +made\nEXPIRES +\d{4}-\S+\n` + secret, shown},
		{"what it has become", "", `query|--name|made|-o|json`, 0, `(?s)\{\n  "total": 1,.*"metadata": \{\n +"team": "a".*"reader": \{\n +"cluster": \[\n +"monitor".*`, ``},
		{"in YAML, with roles from the input", `{}`, `create|--name|plain|--roles|@-|-o|yaml`, 0, `---\nid: "\S{20}"\nname: "plain"\napi_key: "\S+"\nencoded: "\S+"\n`, shown},
		{"without a name", "", `create`, 1, ``, `latchkey: .*name.*\n`},
		{"get by id", "", `get|$one`, 0, head + `\n` + line("one", "never", "active"), ``},
		{"get what is not there", "", `get|nope`, 1, ``, `latchkey: there is no API key \[nope\] among those that you may see\n`},
		{"get by a prefix", "", `get|--name|t*|--owner|--last-used`, 0, head + ` +LAST USED\n` + line("two", "never", "active +never"), ``},
		{"get what cannot be combined", "", `get|$one|--name|x`, 1, ``, `latchkey: .*\n`},
		{"query with filters", "", `query|--name|*o*|--username|elastic|--realm|reserved|--type|rest|--active|--sort|name:desc|--limit|1`, 0, head + `\n` + line("two", "never", "active"), `These are 1 of \d API keys; --all prints the others, too\.\n`},
		{"query with a query", "", `query|--query|{"prefix":{"name":"on"}}`, 0, head + `\n` + line("one", "never", "active"), ``},
		{"query that narrows", "", `query|--query|{"prefix":{"name":"on"}}|--name|two`, 0, head + `\n`, ``},
		{"a name with the signs of patterns", "", `query|--name|o?e*`, 0, head + `\n`, ``},
		{"a wrong query", "", `query|--query|{"nope":{}}`, 1, ``, `latchkey: \[1:\d+\] unknown query \[nope\]\n`},
		{"what expires soon", "", `query|--expiring-within|31d`, 0, head + `\n` + line("made", "in 30d", "active"), ``},
		{"what expires before long", "", `query|--expiring-within|3000d`, 0, head + `\n` + line("made", "in 30d", "active"), ``},
		{"what expires at once", "", `query|--expiring-within|1h`, 0, head + `\n`, ``},
		{"what is old and was not used", "", `query|--unused-for|30d`, 0, head + ` +LAST USED\n`, ``},
		{"all", "", `query|--all|--name|*o*|--type|rest`, 0, head + `\n` + line("one", "never", "active") + line("two", "never", "active") + line("rotated", "never", "active") + line("source", "never", "active"), ``},
		{"all and sorted", "", `query|--all|--sort|name`, 1, ``, `latchkey: --all prints .*\n`},
		{"counts", "", `query|--aggs|{"types":{"terms":{"field":"type"}},"owners":{"cardinality":{"field":"username"}}}`, 0, `AGGREGATION +VALUE +KEYS\nowners +\{"value":1\}\ntypes +rest +7\ntypes +cross_cluster +1\n`, ``},
		{"the counts of nothing", "", `query|--name|nope|--aggs|{"types":{"terms":{"field":"type"}}}`, 0, `AGGREGATION +VALUE +KEYS\n`, ``},
		{"expiring", "", `expiring|--within|31d`, 0, head + `\n` + line("made", "in 30d", "active"), ``},
		{"update", "", `update|$one|$two|--metadata|{"a":1}|--expiration|10d`, 0, `ID +RESULT\n(\S{20}  updated\n){2}`, ``},
		{"update what is not there", "", `update|$one|nope|--metadata|{"a":1}|--roles|{}`, 1, `ID +RESULT\n\S{20}  unchanged\n`, `latchkey: 1 API key not updated: nope: .*\n`},
		{"rotate", "", `rotate|$rotated|--overlap|1h`, 0, `ID +\S{20}\nNAME +rotated\nEXPIRES +never\nOLD SECRET UNTIL +\d{4}-\S+\n` + secret, shown},
		{"end the overlap", "", `end-overlap|$rotated`, 0, `The older secret has ended\.\n`, ``},
		{"end it again", "", `end-overlap|$rotated|-o|json`, 0, `\{\n  "ended": false\n\}\n`, ``},
		{"rotate what is not there", "", `rotate|nope`, 1, ``, `latchkey: .*\[nope\].*\n`},
		{"clone", "", `clone|--source-file|` + source + `|--name|copy|--never`, 0, `ID +\S{20}\nNAME +copy\nEXPIRES +never\n` + secret, shown},
		{"clone what is no key", "bm86cGU=", `clone|--source-file|-`, 1, ``, `latchkey: .*\n`},
		{"a key for another cluster", "", `create-cross-cluster|--name|other|--access|{"replication":[{"names":["logs"]}]}|--certificate-identity|CN=a`, 0, `ID +\S{20}\nNAME +other\nEXPIRES +never\n` + secret, `.* settings of the other cluster.*\n`},
		{"another one without access", "", `create-cross-cluster|--name|other`, 1, ``, `latchkey: what may the other cluster do\?.*\n`},
		{"a change of such a key", "", `update-cross-cluster|$cluster|--access|{"search":[{"names":["a*"]}]}|--certificate-identity|`, 0, `ID +RESULT\n\S{20}  updated\n`, ``},
		{"no change of such a key", "", `update-cross-cluster|$cluster|--access|{"search":[{"names":["a*"]}]}`, 0, `ID +RESULT\n\S{20}  unchanged\n`, ``},
		{"a look at what leaked", "", `invalidate-leaked|--dry-run|` + leak, 0, `RESULT +TYPE +ID +NAME +OWNER +REALM\nwould be invalidated  api_key  \S{20}  leaked  elastic  reserved\n`, ``},
		{"what leaked", "log\napikey " + ids["leaked"].Encoded + "\n", `invalidate-leaked`, 0, `RESULT .*\ninvalidated  api_key  \S{20}  leaked  elastic  reserved\n`, ``},
		{"what leaked, again", "", `invalidate-leaked|` + leak, 0, `RESULT .*\ninvalidated before  api_key  \S{20}  leaked  elastic  reserved\n`, ``},
		{"nobody confirms", "", `invalidate|$one`, 1, ``, `latchkey: there is no terminal to ask at; write --yes, .*\n`},
		{"no keys are chosen", "", `invalidate|--yes`, 1, ``, `latchkey: which keys\? .*\n`},
		{"too many ways to choose", "", `invalidate|--yes|--owner|--username|elastic`, 1, ``, `latchkey: which keys\? .*\n`},
		{"a variable that is empty by mistake", "", `invalidate|--yes|--owner|--name|`, 1, ``, `latchkey: .* its name is blank\n`},
		{"a look first", "", `invalidate|--dry-run|--id|$one|$two`, 0, head + `\n` + line("one", "in 10d", "active") + line("two", "in 10d", "active") + `RESULT .*\nwould be invalidated  2\n`, ``},
		{"they are alive", "", `get|$one`, 0, head + `\n` + line("one", "in 10d", "active"), ``},
		{"by id", "", `invalidate|--yes|$one|nope`, 0, `RESULT .*\ninvalidated  1\n`, ``},
		{"by id again", "", `invalidate|-y|$one|$two|-o|json`, 0, `(?s)\{\n  "invalidated_api_keys": \[\n    "\S{20}"\n  \],\n  "previously_invalidated_api_keys": \[\n    "\S{20}"\n  \],\n  "error_count": 0\n\}\n`, ``},
		{"by name", "", `invalidate|--yes|--name|m*`, 0, `RESULT .*\ninvalidated  1\n`, ``},
		{"by a name of no key", "", `invalidate|--yes|--name|nope`, 0, `RESULT .*\ninvalidated  0\n`, `No key that is alive matches: .*\n`},
		{"one's own", "", `invalidate|--yes|--owner|--name|plain`, 0, `RESULT .*\ninvalidated  1\n`, ``},
		{"of a user of a realm", "", `invalidate|--yes|--username|elastic|--realm|reserved`, 0, `RESULT .*\ninvalidated  5\n`, ``},
		{"what is left", "", `query|--active`, 0, head + `\n`, ``},
	}
	for _, s := range steps {
		args := strings.Split(os.Expand(s.args, func(name string) string { return ids[name].ID }), "|")
		code, out, complaints := runKeys(asElastic(address), s.in, args...)
		if code != s.code || !regexp.MustCompile(`^(?:`+s.out+`)$`).MatchString(out) || !regexp.MustCompile(`^(?:`+s.wrong+`)$`).MatchString(complaints) {
			t.Errorf("%s: got %d, %q and %q; want %d, %s and %s", s.name, code, out, complaints, s.code, s.out, s.wrong)
		}
	}
}

func TestCredentialsOfCalls(t *testing.T) {
	address, c := startNode(t)
	ctx := t.Context()
	if _, err := c.PutUser(ctx, "weak", latchkey.PutUserRequest{Password: "weak-password"}); err != nil {
		t.Fatal(err)
	}
	made := must[latchkey.CreateAPIKeyResponse](t)
	good := made(c.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "good"}))
	gone := made(c.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "gone"}))
	if _, err := c.InvalidateAPIKeys(ctx, latchkey.ByID(gone.ID)); err != nil {
		t.Fatal(err)
	}
	token := must[latchkey.TokenResponse](t)(c.GetToken(ctx, latchkey.PasswordGrant("elastic", "elastic-password")))
	password, key := file(t, "elastic-password\n"), file(t, good.Encoded+"\r\n")
	tests := []struct {
		name  string
		env   string // besides the address, parted by blanks
		in    string
		args  string
		code  int
		wrong string // part of it
	}{
		{"nobody", "", "", "", 1, "who makes the call? Write -u NAME, or set LATCHKEY_API_KEY; latchkey help api-key query lists the flags"},
		{"a password of the environment", "LATCHKEY_PASSWORD=elastic-password", "", "-u elastic", 0, ""},
		{"a user of the environment", "LATCHKEY_USERNAME=elastic LATCHKEY_PASSWORD=elastic-password", "", "", 0, ""},
		{"a password in a file", "LATCHKEY_PASSWORD=wrong", "", "--user elastic --password-file " + password, 0, ""},
		{"a password from the input", "", "elastic-password\nmore", "-u elastic --password-stdin", 0, ""},
		{"an empty input", "", "", "-u elastic --password-stdin", 1, "there is nothing in the first line of -, which is to be the password"},
		{"no password", "", "", "-u elastic", 1, "the password of elastic is missing, and there is no terminal to ask at"},
		{"two passwords", "", "", "-u elastic --password-stdin --password-file " + password, 1, "not both"},
		{"the input is wanted twice", "", "elastic-password\n", "-u elastic --password-stdin --query @-", 1, "the input is the password, and cannot be the value of --query as well"},
		{"a wrong password", "LATCHKEY_PASSWORD=wrong", "", "-u elastic", 1, "look at the credential"},
		{"a key in a file", "", "", "--api-key-file " + key, 0, ""},
		{"a key of the environment", "LATCHKEY_API_KEY=" + good.Encoded, "", "", 0, ""},
		{"a key that was invalidated", "LATCHKEY_API_KEY=" + gone.Encoded, "", "", 1, "look at the credential"},
		{"a key that is none", "LATCHKEY_API_KEY=\x1b[2J", "", "", 1, "the ApiKey credential is empty or holds blanks or control characters"},
		{"a token of the environment", "LATCHKEY_TOKEN=" + token.AccessToken, "", "", 0, ""},
		{"a token in a file", "", "", "--token-file " + file(t, token.AccessToken), 0, ""},
		{"a file that is missing", "", "", "--token-file /nope", 1, "read the token: open /nope"},
		{"flags count more than the environment", "LATCHKEY_API_KEY=" + gone.Encoded + " LATCHKEY_PASSWORD=elastic-password", "", "-u elastic", 0, ""},
		{"two credentials in flags", "", "", "-u elastic --api-key-file " + key, 1, "here are --user and --api-key-file"},
		{"two credentials in the environment", "LATCHKEY_API_KEY=x LATCHKEY_TOKEN=x", "", "", 1, "here are LATCHKEY_API_KEY and LATCHKEY_TOKEN"},
		{"somebody who may do nothing", "LATCHKEY_PASSWORD=weak-password", "", "-u weak", 1, "for keys of your own manage_own_api_key is enough"},
		{"somebody else", "LATCHKEY_PASSWORD=elastic-password", "", "-u elastic --run-as weak", 1, "for keys of your own"},
		{"an authority for a server without TLS", "LATCHKEY_API_KEY=x", "", "--ca-fingerprint " + strings.Repeat("a", 64), 1, "would protect nothing"},
		{"no check and an authority", "LATCHKEY_API_KEY=x", "", "--insecure --ca-file " + key, 1, "--insecure checks no certificate"},
		{"another address", "LATCHKEY_API_KEY=x", "", "--url http://jane:secret@x", 1, "an address holds a user"},
		{"a form that is none", "LATCHKEY_API_KEY=x", "", "-o xml", 1, "[xml] is no form of output; there are table, json, yaml"},
	}
	for _, tt := range tests {
		env := append([]string{"LATCHKEY_URL=" + address}, strings.Split(tt.env, " ")...)
		code, out, complaints := runKeys(env, tt.in, append([]string{"query"}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.Contains(complaints, tt.wrong) || tt.wrong == "" && complaints != "" || (out == "") != (code != 0) || strings.Contains(complaints, "\x1b") || strings.Contains(complaints, "secret") {
			t.Errorf("%s: got %d, %q and %q; want %d and %q", tt.name, code, out, complaints, tt.code, tt.wrong)
		}
	}
	if _, _, complaints := runKeys(asElastic(address), "", "query", "--insecure"); !strings.HasPrefix(complaints, "Warning: ") {
		t.Errorf("without a check of certificates there is no warning: %q", complaints)
	}
}

// A name may hold anything, and a terminal obeys some of it.
func TestNamesThatATerminalWouldObey(t *testing.T) {
	address, c := startNode(t)
	name := "z\x1b[2Jx\u009b\u202e\u2028\U000e0041\r\n\a日本語" + strings.Repeat("é", 100)
	if _, err := c.CreateAPIKey(t.Context(), latchkey.CreateAPIKeyRequest{Name: name, Metadata: json.RawMessage(`{"a\u001b":"\u009b"}`)}); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"table", "json", "yaml"} {
		code, out, complaints := runKeys(asElastic(address), "", "query", "-o", form)
		if code != 0 || complaints != "" {
			t.Fatalf("%s: %d, %q", form, code, complaints)
		}
		for _, r := range out {
			if !unicode.IsGraphic(r) && r != '\n' {
				t.Errorf("%s holds %U: %q", form, r, out)
			}
		}
		var got struct {
			Keys []struct{ Name string } `json:"api_keys" yaml:"api_keys"`
		}
		var err error
		switch form {
		case "table":
			if lines := strings.Count(out, "\n"); lines != 2 || !strings.Contains(out, `z\u001b[2Jx\u009b\u202e\u2028\U000e0041\u000d\u000a\u0007日… `) {
				t.Errorf("%s: %q", form, out)
			}
			continue
		case "json":
			err = json.Unmarshal([]byte(out), &got)
		case "yaml":
			err = yaml.Unmarshal([]byte(out), &got)
		}
		if err != nil || len(got.Keys) != 1 || got.Keys[0].Name != name {
			t.Errorf("%s: %v, %q, want %q", form, err, got, name)
		}
	}
	if _, _, complaints := runKeys(asElastic(address), "", "get", "\x1b]0;x\a"); strings.ContainsAny(complaints, "\x1b\a") {
		t.Errorf("the complaint is %q", complaints)
	}
}

func TestCertificatesOfServers(t *testing.T) {
	server := httptest.NewUnstartedServer(newKeyServer(t, nil))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	server.StartTLS()
	defer server.Close()
	cert := server.Certificate()
	sum := sha256.Sum256(cert.Raw)
	tests := []struct {
		name  string
		args  []string
		code  int
		wrong string // part of it
	}{
		{"one that nobody knows", nil, 1, "certificate"},
		{"by its authority", []string{"--ca-file", file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))}, 0, ""},
		{"by another authority", []string{"--ca-file", file(t, "")}, 1, "holds no certificate"},
		{"by its fingerprint", []string{"--ca-fingerprint", hex.EncodeToString(sum[:])}, 0, ""},
		{"by another fingerprint", []string{"--ca-fingerprint", strings.Repeat("a", 64)}, 1, "fingerprint"},
		{"unchecked", []string{"--insecure"}, 0, "Warning: the server's certificate is not checked"},
	}
	for _, tt := range tests {
		code, out, complaints := runKeys(asElastic(server.URL), "", append([]string{"query"}, tt.args...)...)
		if code != tt.code || !strings.Contains(complaints, tt.wrong) || tt.wrong == "" && complaints != "" || (out == "") != (code != 0) {
			t.Errorf("%s: got %d, %q and %q; want %d and %q", tt.name, code, out, complaints, tt.code, tt.wrong)
		}
	}
}
