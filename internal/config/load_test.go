package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T, file string, environ, overrides []string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	if file != "" {
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(Sources{Dir: dir, Environ: environ, Overrides: overrides})
}

func mustLoad(t *testing.T, file string, environ, overrides []string) *Config {
	t.Helper()
	c, err := load(t, file, environ, overrides)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSourcesOfASetting(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("from-file \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name               string
		file               string
		environ, overrides []string
		got                func(*Config) any
		want               any
	}{
		{"a dotted name in the file", "cluster.name: a", nil, nil, func(c *Config) any { return c.ClusterName }, "a"},
		{"a nested name in the file", "cluster:\n  name: a", nil, nil, func(c *Config) any { return c.ClusterName }, "a"},
		{"a name that is nested and dotted", "xpack.security:\n  authc.api_key:\n    cache.max_keys: 7", nil, nil, func(c *Config) any { return c.APIKey.MaxKeys }, 7},
		{"both forms beside each other", "http.port: 1\nhttp: {publish_port: 2}", nil, nil, func(c *Config) any { return fmt.Sprint(c.HTTP.Ports.First, c.HTTP.PublishPort) }, "1 2"},
		{"an alias in the file", "cluster.name: &n a\nnode.name: *n", nil, nil, func(c *Config) any { return c.NodeName }, "a"},
		{"a file of comments", "# nothing yet\n", nil, nil, func(c *Config) any { return c.ClusterName }, "latchkey"},
		{"a dotted name in the environment", "", []string{"cluster.name=b"}, nil, func(c *Config) any { return c.ClusterName }, "b"},
		{"ES_SETTING_ with single and double underscores", "", []string{"ES_SETTING_XPACK_SECURITY_AUTHC_API__KEY_CACHE_MAX__KEYS=9"}, nil, func(c *Config) any { return c.APIKey.MaxKeys }, 9},
		{"ES_SETTING_ with a file", "", []string{"ES_SETTING_CLUSTER_NAME_FILE=" + password}, nil, func(c *Config) any { return c.ClusterName }, "from-file"},
		{"ELASTIC_PASSWORD", "", []string{"ELASTIC_PASSWORD=changeme"}, nil, func(c *Config) any { return c.Reserved.BootstrapPassword.Reveal() }, "changeme"},
		{"ELASTIC_PASSWORD_FILE keeps all but the end of the line", "", []string{"ELASTIC_PASSWORD_FILE=" + password}, nil, func(c *Config) any { return c.Reserved.BootstrapPassword.Reveal() }, "from-file "},
		{"bootstrap.password in the file", "bootstrap.password: changeme", nil, nil, func(c *Config) any { return c.Reserved.BootstrapPassword.Reveal() }, "changeme"},
		{"the environment wins over the file", "cluster.name: a", []string{"cluster.name=b"}, nil, func(c *Config) any { return c.ClusterName }, "b"},
		{"-E wins over the environment", "cluster.name: a", []string{"cluster.name=b"}, []string{"cluster.name=c"}, func(c *Config) any { return c.ClusterName }, "c"},
		{"a value of -E may hold an equals sign", "", nil, []string{"bootstrap.password=a=b"}, func(c *Config) any { return c.Reserved.BootstrapPassword.Reveal() }, "a=b"},
		{"an overridden value is not judged", "http.port: x", nil, []string{"http.port=1"}, func(c *Config) any { return c.HTTP.Ports }, Ports{1, 1}},
		{"network.host", "network.host: 0.0.0.0", nil, nil, func(c *Config) any { return fmt.Sprint(c.HTTP.Hosts) }, "[0.0.0.0]"},
		{"http.host wins over network.host, whoever says it", "http.host: ::1", nil, []string{"network.host=0.0.0.0"}, func(c *Config) any { return fmt.Sprint(c.HTTP.Hosts) }, "[::1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, tt.file, tt.environ, tt.overrides)
			if got := tt.got(c); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMistakesOfSeveralSources(t *testing.T) {
	tests := []struct {
		name               string
		file               string
		environ, overrides []string
		want               []string // all of it, with DIR for the folder
	}{
		{"all mistakes are reported together", "http:\n  prot: 9200\n  max_header_size: 16\n", []string{"cluster.nam=x"}, []string{"http.port=x"}, []string{
			"environment: cluster.nam: unknown setting; did you mean [cluster.name]?",
			"DIR/latchkey.yml:2: http.prot: unknown setting; did you mean [http.port]?",
			`-E: http.port: "x" is no port and no range of ports; write 9200 or 9200-9300`,
			`DIR/latchkey.yml:3: http.max_header_size: "16" has no unit; write 16kb or 16mb`,
		}},
		{"a name that stands twice in the file", "http.port: 1\nhttp:\n  port: 2\n", nil, nil, []string{"DIR/latchkey.yml:3: http.port: is given twice; the other place is DIR/latchkey.yml:1"}},
		{"a name that stands twice in the environment", "", []string{"ELASTIC_PASSWORD=aaa", "bootstrap.password=bbb"}, nil, []string{
			"environment: bootstrap.password: is given twice; the other place is environment variable ELASTIC_PASSWORD"}},
		{"a name that -E has twice", "", nil, []string{"node.name=a", "node.name=b"}, []string{"-E: node.name: is given twice; the other place is -E"}},
		{"a value that is missing", "node.name:\n", nil, nil, []string{"DIR/latchkey.yml:1: node.name: has no value; write one, or remove the setting"}},
		{"a list for one value", "node.name: [a, b]", nil, nil, []string{"DIR/latchkey.yml:1: node.name: takes one value, not a list"}},
		{"a list of lists", "http.host: [[a]]", nil, nil, []string{"DIR/latchkey.yml:1: http.host: a list holds plain values only"}},
		{"a parent that got a value", "xpack.security: true", nil, nil, []string{"DIR/latchkey.yml:1: xpack.security: unknown setting; `latchkey config` prints those that exist"}},
		{"a file that is no mapping", "- a", nil, nil, []string{"DIR/latchkey.yml:1: expected settings, as in cluster.name: latchkey"}},
		{"a file of two documents", "node.name: a\n---\nnode.name: b", nil, nil, []string{"DIR/latchkey.yml: holds more than one YAML document; keep one"}},
		{"an anchor that holds itself", "http: &h\n  port: *h", nil, nil, []string{"DIR/latchkey.yml:1: is nested too deeply, or repeats its aliases too often"}},
		{"path.conf in the file", "path.conf: /x", nil, nil, []string{"DIR/latchkey.yml:1: path.conf: cannot stand in the file that it leads to; use --config or LATCHKEY_PATH_CONF"}},
		{"a password file that is not there", "", []string{"ELASTIC_PASSWORD_FILE=/nowhere/x"}, nil, []string{
			"environment variable ELASTIC_PASSWORD_FILE: bootstrap.password: the file /nowhere/x cannot be read: no such file or directory"}},
		{"an unknown ES_SETTING_", "", []string{"ES_SETTING_HTTP_PROT=1"}, nil, []string{"environment variable ES_SETTING_HTTP_PROT: http.prot: unknown setting; did you mean [http.port]?"}},
		{"two native realms", "xpack.security.authc.realms.native: {a.order: 0, b.order: 1}", nil, nil, []string{
			"DIR/latchkey.yml:1: xpack.security.authc.realms.native.b.order: there is one native realm, and it is called a already"}},
		{"certificate and keystore", "xpack.security.http.ssl: {enabled: true, certificate: a, key: b, keystore.path: c}", nil, nil, []string{
			"DIR/latchkey.yml:1: xpack.security.http.ssl.keystore.path: cannot stand beside certificate; write one of the two"}},
		{"a secret under both its names", "xpack.security.http.ssl: {keystore.password: aaa, keystore.secure_password: bbb}", nil, nil, []string{
			"DIR/latchkey.yml:1: xpack.security.http.ssl.keystore.password: is the older name of xpack.security.http.ssl.keystore.secure_password, which is given too; keep one"}},
		{"client certificates asked for and not checked", "xpack.security.http.ssl: {client_authentication: optional, verification_mode: none, certificate_authorities: ca.crt}", nil, nil, []string{
			"DIR/latchkey.yml:1: xpack.security.http.ssl.verification_mode: a client certificate that nobody checks proves nothing; write full, or set client_authentication to none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, FileName), []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(Sources{dir, tt.environ, tt.overrides})
			mistakes, _ := errors.AsType[Mistakes](err)
			var got []string
			for _, m := range mistakes {
				got = append(got, strings.ReplaceAll(m, dir, "DIR"))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
		})
	}
}

func TestMalformedYAMLNamesTheLine(t *testing.T) {
	_, err := load(t, "a: b\n  c: [", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "latchkey.yml is no YAML: line ") {
		t.Errorf("got %v, want the line of the mistake", err)
	}
}

func TestFolderOfTheFile(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for _, name := range []string{"flag", "override", "ours", "theirs", "config", "dotted"} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(name, FileName), []byte("cluster.name: "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := Sources{"flag", []string{"LATCHKEY_PATH_CONF=ours", "ES_PATH_CONF=theirs"}, []string{"path.conf=override"}}
	tests := []struct {
		name string
		src  Sources
		want string
	}{
		{"--config comes first", all, "flag"},
		{"then -E path.conf", Sources{"", all.Environ, all.Overrides}, "override"},
		{"then LATCHKEY_PATH_CONF", Sources{"", all.Environ, nil}, "ours"},
		{"then ES_PATH_CONF", Sources{"", all.Environ[1:], nil}, "theirs"},
		{"path.conf in the environment is a setting like others", Sources{"", []string{"path.conf=dotted"}, nil}, "dotted"},
		{"then ./config", Sources{}, "config"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if c.ClusterName != tt.want || c.Dir != tt.want || c.File != filepath.Join(tt.want, FileName) {
				t.Errorf("got %s from %s (%s), want %s", c.ClusterName, c.Dir, c.File, tt.want)
			}
		})
	}
	for _, dir := range []string{"nowhere", "flag/" + FileName} {
		if _, err := Load(Sources{Dir: dir}); err == nil || !strings.HasPrefix(err.Error(), "--config: path.conf: ") {
			t.Errorf("%s: got %v, want a refusal that names --config", dir, err)
		}
	}
}

func TestAFolderWithTheSettingsOfElasticsearch(t *testing.T) {
	t.Chdir(t.TempDir())
	add := func(name string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll("config", 0o700), os.WriteFile(filepath.Join("config", name), []byte("cluster.name: house"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	add("elasticsearch.yml")
	t.Run("stops the start if somebody named it", func(t *testing.T) {
		for _, src := range []Sources{{Dir: "config"}, {Environ: []string{"ES_PATH_CONF=config"}}, {Overrides: []string{"path.conf=config"}}} {
			want := "path.conf: config holds elasticsearch.yml and no latchkey.yml; rename the file"
			if _, err := Load(src); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%+v: got %v, want %q", src, err, want)
			}
		}
	})
	t.Run("is not read without a warning if nobody did", func(t *testing.T) {
		c, err := Load(Sources{})
		if err != nil || c.File != "" || c.ClusterName != "latchkey" || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "holds elasticsearch.yml and no latchkey.yml") {
			t.Errorf("got %+v, %v", c, err)
		}
	})
	t.Run("is fine beside ours", func(t *testing.T) {
		add(FileName)
		for _, src := range []Sources{{}, {Dir: "config"}} {
			if c, err := Load(src); err != nil || c.ClusterName != "house" || len(c.Warnings) != 0 {
				t.Errorf("%+v: got %+v, %v", src, c, err)
			}
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add("cluster.name: a\nhttp: {port: 9200-9300, host: [a, _local_]}\n")
	f.Add("a: &a [*a]\n<<: *a")
	f.Add("xpack.security.authc.realms.native.*.order: 1")
	f.Fuzz(func(t *testing.T, content string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Sources{Dir: dir})
		if (c == nil) == (err == nil) {
			t.Errorf("got %v and %v, want a Config or its mistakes", c, err)
		}
	})
}
