package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"latchkey/internal/cli"
)

// asLatchkey in the environment makes this test binary be latchkey, for tests
// that need a process of their own: its signals, its terminal.
const asLatchkey = "LATCHKEY_CLI_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asLatchkey) != "" {
		os.Exit(cli.Run(os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// process is latchkey as a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asLatchkey+"=1", "LATCHKEY_PATH_CONF="+t.TempDir(), "ES_SETTING_XPACK_SECURITY_AUTHC_PASSWORD__HASHING_ALGORITHM=bcrypt4")
	return cmd
}

// run runs a command line in this process, without a settings file.
func run(t *testing.T, in string, args ...string) (code int, out, complaints string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Run(append([]string{"latchkey"}, args...), []string{"LATCHKEY_PATH_CONF=" + t.TempDir()}, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "data")
	noStore := "there is no store in [" + missing + "] yet: start latchkey once, or name the folder as for serve, with --config or -E path.data=FOLDER"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"a command that does not exist", []string{"server"}, "there is no command [server]; latchkey help lists them"},
		{"help for a command that does not exist", []string{"help", "server"}, "there is no command [server]; latchkey help lists them"},
		{"help for a command of a command that does not exist", []string{"help", "users", "server"}, "there is no command [users server]; latchkey help lists them"},
		{"a command of a command that does not exist", []string{"api-key", "revoke"}, "there is no command [api-key revoke]; latchkey help api-key lists the flags"},
		{"an argument too many", []string{"api-key", "get", "a", "b"}, "[b] is not understood; latchkey help api-key get lists the flags"},
		{"an argument that nobody wants", []string{"api-key", "create", "a"}, "[a] is not understood; latchkey help api-key create lists the flags"},
		{"an argument that is missing", []string{"api-key", "rotate"}, "which key? Write its id; latchkey help api-key rotate lists the flags"},
		{"a flag before the command", []string{"--verbose", "serve"}, "flag provided but not defined: -verbose; latchkey help lists the commands"},
		{"a flag that does not exist", []string{"serve", "--verbose"}, "flag provided but not defined: -verbose; latchkey help serve lists the flags"},
		{"a flag without its value", []string{"serve", "-E"}, "flag needs an argument: -E; latchkey help serve lists the flags"},
		{"something that is no flag", []string{"serve", "http.port=9201"}, "[http.port=9201] is not understood; a setting is written -E name=value; latchkey help serve lists the flags"},
		{"what stands behind two dashes", []string{"serve", "--", "-Ex=y"}, "[-Ex=y] is not understood; a setting is written -E name=value; latchkey help serve lists the flags"},
		{"a setting that is none", []string{"serve", "-E", "http.port:9201"}, `-E: "http.port:9201" is no setting; write name=value, as in -E http.port=9200`},
		{"a setting that is none, without a blank", []string{"serve", "-Ehttp.port"}, `-E: "http.port" is no setting; write name=value, as in -E http.port=9200`},
		{"config with an argument", []string{"config", "http.port"}, "[http.port] is not understood; config takes no arguments"},
		{"config with a flag", []string{"config", "-E", "http.port=1"}, "flag provided but not defined: -E; latchkey help config lists the flags"},
		{"version with an argument", []string{"version", "1"}, "[1] is not understood; version takes no arguments"},
		{"nobody's password", []string{"reset-password"}, "whose password? Write -u NAME; latchkey help reset-password lists the flags"},
		{"a list, whose commas do not part settings", []string{"serve", "-E", "http.host=127.0.0.1,http://x"}, `-E: http.host: "http://x" is no address and no host name`},
		{"a list for reset-password", []string{"reset-password", "-u", "elastic", "-E", "http.host=127.0.0.1,::1", "-E", "path.data=" + missing}, noStore},
		{"-E without a blank, as for Elasticsearch", []string{"reset-password", "-u", "elastic", "-Epath.data=" + missing}, noStore},
		{"-E with an equals sign", []string{"reset-password", "-u", "elastic", "-E=path.data=" + missing}, noStore},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, complaints := run(t, "", tt.args...)
			if want := "latchkey: " + tt.want + "\n"; code != 1 || out != "" || complaints != want {
				t.Errorf("got %d, %q and %q, want 1, nothing and %q", code, out, complaints, want)
			}
		})
	}
}

func TestWhatIsPrinted(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string // a regular expression
	}{
		{"nothing asked", nil, `(?s)serve +run a node.*config +print.*reset-password +set.*version +print.*help +print`},
		{"help", []string{"help"}, `(?s)COMMANDS:.*serve.*reset-password`},
		{"help for a command", []string{"help", "serve"}, `(?s)latchkey serve.*--config folder.*-E name=value`},
		{"help for a command of a command", []string{"help", "api-key", "invalidate"}, `(?s)latchkey api-key invalidate.*--dry-run.*--url address`},
		{"a command that has others", []string{"api-key"}, `(?s)COMMANDS:.*create .*invalidate-leaked `},
		{"help as a flag", []string{"reset-password", "--help"}, `(?s)latchkey reset-password.*--username name, -u name`},
		{"config", []string{"config"}, `(?s)^Node\n.*  http\.port\n +default: 9200-9300; port or range of ports\n.*Accepted without effect`},
		{"version", []string{"version"}, `^latchkey version \S+\n$`},
		{"version as a flag", []string{"--version"}, `^latchkey version \S+\n$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, complaints := run(t, "", tt.args...)
			if code != 0 || complaints != "" || !regexp.MustCompile(tt.want).MatchString(out) {
				t.Errorf("got %d, %q and %q, want 0, something like %s and nothing", code, out, complaints, tt.want)
			}
		})
	}
}

func TestARelativeDataFolderIsNamedInFull(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	_, _, complaints := run(t, "", "reset-password", "-u", "elastic")
	if want := "there is no store in [" + filepath.Join(dir, "data") + "] yet"; !strings.Contains(complaints, want) {
		t.Errorf("got %q, want %q", complaints, want)
	}
}

// shortFolder is a folder with room for a socket below it.
func shortFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// output waits for a text of a process.
type output struct {
	text  bytes.Buffer
	want  string
	found chan struct{}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.text.Write(p)
	if o.want != "" && strings.Contains(o.text.String(), o.want) {
		o.want = ""
		close(o.found)
	}
	return n, err
}

// served starts serve on dir, waits until it listens, stops it as Ctrl-C does
// and returns what it printed and logged.
func served(t *testing.T, dir string, args ...string) (out, log string) {
	t.Helper()
	cmd := process(t, append([]string{"serve", "-Epath.data=" + dir, "-Ehttp.port=0"}, args...)...)
	o := &output{want: "Listening on ", found: make(chan struct{})}
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = o, &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-o.found:
		_ = cmd.Process.Signal(syscall.SIGINT) // that it ended is looked at below
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, &o.text, &complaints)
	}
	return o.text.String(), complaints.String()
}

func TestServe(t *testing.T) {
	dir := filepath.Join(shortFolder(t), "data")
	_, log := served(t, dir, "-E", "http.host=127.0.0.1,127.0.0.2")
	for _, want := range []string{`msg="there is no settings file" looked_in=/`, `address=127\.0\.0\.1:(\d+),127\.0\.0\.2:\d+ `, `msg=started version=\S+ `, `data=` + regexp.QuoteMeta(dir) + `\n`, `msg=stopped\n`} {
		if !regexp.MustCompile(want).MatchString(log) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	conf := t.TempDir()
	file := filepath.Join(conf, "latchkey.yml")
	if err := os.WriteFile(file, []byte("cluster.name: house\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, log := served(t, dir, "--config", conf, "-E", "latchkey.log.format=json")
	for _, want := range []string{`"msg":"settings were read","file":"` + file + `"`, `"cluster_name":"house"`, `"at_most":"30s"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	if strings.Contains(out, "password of elastic") {
		t.Errorf("the second start made a password:\n%s", out)
	}
}

func TestResetPassword(t *testing.T) {
	dir := filepath.Join(shortFolder(t), "data")
	served(t, dir)
	args := func(more ...string) []string {
		return append([]string{"reset-password", "-E", "path.data=" + dir, "-E", "xpack.security.authc.password_hashing.algorithm=bcrypt4"}, more...)
	}
	tests := []struct {
		name       string
		in         string
		args       []string
		code       int
		out, wrong string // the whole of it, as regular expressions
	}{
		{"one that is made for elastic comes with the line for the shell", "", args("-u", "elastic"), 0, `The password of elastic is now:\n\n  export ELASTIC_PASSWORD=\w{20,}\n\n`, ``},
		{"one that is made for another user", "", args("-u", "kibana_system"), 0, `The password of kibana_system is now: \w{20,}\n`, ``},
		{"silent", "", args("-s", "-u", "elastic"), 0, `\w{20,}\n`, ``},
		{"from the input", "typed by hand\nand more\n", args("-i", "-u", "elastic"), 0, `The password of elastic is set.\n`, ``},
		{"from the input, without the end of the line", "typed by hand", args("-i", "-u", "elastic"), 0, `The password of elastic is set.\n`, ``},
		{"from the input, silent", "typed by hand\r\n", args("-s", "-i", "-u", "elastic"), 0, ``, ``},
		{"too short", "abc\n", args("-i", "-u", "elastic"), 1, ``, `latchkey: .*6.*\n`},
		{"from an empty input", "", args("-i", "-u", "elastic"), 1, ``, `latchkey: .*\n`},
		{"of nobody", "", args("-u", "nobody"), 1, ``, `latchkey: user \[nobody\] not found\n`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, out, complaints := run(t, tt.in, tt.args...)
			if code != tt.code || !regexp.MustCompile(`^`+tt.out+`$`).MatchString(out) || !regexp.MustCompile(`^`+tt.wrong+`$`).MatchString(complaints) {
				t.Errorf("got %d, %q and %q, want %d, %s and %s", code, out, complaints, tt.code, tt.out, tt.wrong)
			}
		})
	}
}
