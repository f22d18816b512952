package conformance

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// conversation is one connection on which requests are written as text.
type conversation struct {
	t    *testing.T
	d    dialect
	conn net.Conn
	in   *bufio.Reader
}

func talk(t *testing.T, d dialect, address string) *conversation {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &conversation{t, d, conn, bufio.NewReader(conn)}
}

func host(t *testing.T) string { return strings.TrimPrefix(shared(t).url, "http://") }

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// ask sends a request in the dialect of c and checks what its client asks of
// every answer: status, product, content type and headers that must be absent.
// It returns the body, uncompressed.
func (c *conversation) ask(status int, method, path, credential, body string) []byte {
	c.t.Helper()
	lines := []string{method + " " + path + " HTTP/1.1", "Host: " + c.conn.RemoteAddr().String(), "Authorization: " + credential}
	wantType := c.d.typeWithout
	switch {
	case body == "":
		lines = append(lines, c.d.without...)
	case c.d.chunked:
		wantType = c.d.typeWith
		lines = append(append(lines, c.d.with...), "Transfer-Encoding: chunked")
		body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	default:
		wantType = c.d.typeWith
		lines = append(append(lines, c.d.with...), fmt.Sprintf("Content-Length: %d", len(body)))
	}
	if _, err := io.WriteString(c.conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body); err != nil {
		c.t.Fatal(err)
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	from := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" && method != http.MethodHead {
		if !slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(strings.ToLower(l), "accept-encoding:") && strings.Contains(l, "gzip")
		}) {
			c.t.Errorf("%s %s: compressed without being asked", method, path)
		}
		if from, err = gzip.NewReader(res.Body); err != nil {
			c.t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(from)
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != status {
		c.t.Fatalf("%s %s: got %d, want %d: %s", method, path, res.StatusCode, status, answer)
	}
	wantProduct := []string{"Elasticsearch"}
	if status == 401 || status == 403 {
		wantProduct = nil
	}
	if got := res.Header.Values("X-Elastic-Product"); !slices.Equal(got, wantProduct) {
		c.t.Errorf("%s %s: product header: got %q, want %q", method, path, got, wantProduct)
	}
	if got := res.Header.Values("Content-Type"); !slices.Equal(got, []string{wantType}) {
		c.t.Errorf("%s %s: Content-Type: got %q, want %q", method, path, got, wantType)
	}
	for _, h := range []string{"Warning", "Elastic-Api-Version"} {
		if got := res.Header.Values(h); got != nil {
			c.t.Errorf("%s %s: %s: got %q, want none", method, path, h, got)
		}
	}
	if res.Close {
		c.t.Errorf("%s %s: the connection was not kept", method, path)
	}
	return answer
}

func decode(t *testing.T, body []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(body, v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// identity is what GET / must tell; every member is required by one client or another.
type identity struct {
	Name        *string `json:"name"`
	ClusterName *string `json:"cluster_name"`
	ClusterUUID *string `json:"cluster_uuid"`
	Tagline     *string `json:"tagline"`
	Version     struct {
		Number                           *string `json:"number"`
		BuildFlavor                      *string `json:"build_flavor"`
		BuildType                        *string `json:"build_type"`
		BuildHash                        *string `json:"build_hash"`
		BuildDate                        *string `json:"build_date"`
		BuildSnapshot                    *bool   `json:"build_snapshot"`
		LuceneVersion                    *string `json:"lucene_version"`
		MinimumWireCompatibilityVersion  *string `json:"minimum_wire_compatibility_version"`
		MinimumIndexCompatibilityVersion *string `json:"minimum_index_compatibility_version"`
	} `json:"version"`
}

func TestReplayedClients(t *testing.T) { onEach(t, replayedClients) }

func replayedClients(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			elastic := basic("elastic", password)
			c := talk(t, d, host(t))

			t.Run("HT-4 HT-5 info and ping", func(t *testing.T) {
				var info identity
				decode(t, c.ask(200, "GET", "/", elastic, ""), &info)
				if missing := absent(info); len(missing) > 0 {
					t.Errorf("missing: %v", missing)
				}
				if body := c.ask(200, "HEAD", "/", elastic, ""); len(body) > 0 {
					t.Errorf("HEAD has a body: %s", body)
				}
			})
			t.Run("HT-33 HT-52 AK-96 AK-133 the main job", func(t *testing.T) {
				user, role := unique("user"), unique("role")
				c.ask(200, "PUT", "/_security/role/"+role, elastic, `{"cluster":["manage_own_api_key"]}`)
				c.ask(200, "PUT", "/_security/user/"+user, elastic, `{"password":"correct horse","roles":["`+role+`"]}`)
				var made madeKey
				decode(t, c.ask(200, "PUT", "/_security/api_key", basic(user, "correct horse"), `{"name":"replayed","expiration":"1d"}`), &made)
				key := "ApiKey " + made.Encoded
				var me struct{ Username string }
				decode(t, c.ask(200, "GET", "/_security/_authenticate", key, ""), &me)
				if me.Username != user {
					t.Errorf("got %+v", me)
				}
				var gone invalidated
				decode(t, c.ask(200, "DELETE", "/_security/api_key", key, `{"ids":["`+made.ID+`"]}`), &gone)
				if !slices.Equal(gone.Invalidated, []string{made.ID}) {
					t.Errorf("got %+v", gone)
				}
				var e apiError
				decode(t, c.ask(401, "GET", "/_security/_authenticate", key, ""), &e)
				if e.Error.Type != "security_exception" || e.Status != 401 {
					t.Errorf("got %+v", e)
				}
			})
			t.Run("TK-1 TK-3 TK-28 TK-39 TK-43 TK-53 HT-33 HT-52 tokens", func(t *testing.T) {
				const path = "/_security/oauth2/token"
				user := unique("user")
				c.ask(200, "PUT", "/_security/user/"+user, elastic, `{"password":"correct horse","roles":[]}`)
				var made, again madeToken
				decode(t, c.ask(200, "POST", path, elastic, `{"grant_type":"password","username":"`+user+`","password":"correct horse"}`), &made)
				decode(t, c.ask(200, "POST", path, elastic, made.refresh()), &again)
				if again.AccessToken == made.AccessToken || *again.RefreshToken == *made.RefreshToken {
					t.Errorf("got %+v after %+v", again, made)
				}
				for _, m := range []madeToken{made, again} {
					var me struct{ Username string }
					decode(t, c.ask(200, "GET", "/_security/_authenticate", "Bearer "+m.AccessToken, ""), &me)
					if me.Username != user || m.Type != "Bearer" {
						t.Errorf("got %+v as %+v", me, m)
					}
				}
				c.ask(400, "POST", path, elastic, `{"grant_type":"refresh_token","refresh_token":"not base64!"}`)
				c.ask(404, "DELETE", path, elastic, `{"token":"not base64!"}`)
				var gone counters
				decode(t, c.ask(200, "DELETE", path, elastic, `{"token":"`+again.AccessToken+`"}`), &gone)
				if gone.Invalidated == nil || *gone.Invalidated != 1 {
					t.Errorf("got %+v", gone)
				}
				c.ask(401, "GET", "/_security/_authenticate", "Bearer "+again.AccessToken, "")
			})
		})
	}
}

// absent names the members of a decoded answer that were null or missing.
func absent(v any) []string {
	text, err := json.Marshal(v)
	if err != nil {
		return []string{err.Error()}
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return []string{err.Error()}
	}
	var names []string
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for name, v := range m {
			switch v := v.(type) {
			case nil:
				names = append(names, prefix+name)
			case map[string]any:
				walk(prefix+name+".", v)
			}
		}
	}
	walk("", tree)
	slices.Sort(names)
	return names
}

// authentication is an answer of _authenticate as the Java client decodes it:
// pointers are its required members.
type authentication struct {
	Username            *string         `json:"username"`
	Roles               *[]string       `json:"roles"`
	FullName            json.RawMessage `json:"full_name"` // null or a string
	Email               json.RawMessage `json:"email"`     // null or a string
	Metadata            *map[string]any `json:"metadata"`
	Enabled             *bool           `json:"enabled"`
	AuthenticationRealm *realm          `json:"authentication_realm"`
	LookupRealm         *realm          `json:"lookup_realm"`
	AuthenticationType  *string         `json:"authentication_type"`
	APIKey              *struct {
		ID        *string `json:"id"`
		Name      *string `json:"name"`
		ManagedBy *string `json:"managed_by"`
	} `json:"api_key"`
}

type realm struct {
	Name *string `json:"name"`
	Type *string `json:"type"`
}

func TestReplayedJavaDecodesAuthenticate(t *testing.T) { onEach(t, replayedJavaDecodesAuthenticate) }

func replayedJavaDecodesAuthenticate(t *testing.T) {
	java := dialects[slices.IndexFunc(dialects, func(d dialect) bool { return strings.Contains(d.name, "Java 9") })]
	c := talk(t, java, host(t))
	elastic := basic("elastic", password)
	t.Run("HT-49 with an API key", func(t *testing.T) {
		var made madeKey
		decode(t, c.ask(200, "POST", "/_security/api_key", elastic, `{"name":"for java","metadata":{}}`), &made)
		var me authentication
		decodeWhole(t, c.ask(200, "GET", "/_security/_authenticate", "ApiKey "+made.Encoded, ""), &me)
		me.FullName, me.Email = json.RawMessage(`""`), json.RawMessage(`""`)
		if missing := absent(me); len(missing) > 0 {
			t.Fatalf("missing: %v", missing)
		}
		if len(*me.Roles) != 0 || *me.APIKey.ID != made.ID || *me.APIKey.ManagedBy != "elasticsearch" || *me.AuthenticationRealm.Name != "_es_api_key" || *me.AuthenticationRealm.Type != "_es_api_key" {
			t.Errorf("got %+v", me)
		}
	})
	t.Run("HT-50 with a password", func(t *testing.T) {
		user := unique("user")
		c.ask(200, "PUT", "/_security/user/"+user, elastic, `{"password":"correct horse","roles":[]}`)
		var me authentication
		decodeWhole(t, c.ask(200, "GET", "/_security/_authenticate", basic(user, "correct horse"), ""), &me)
		if string(me.FullName) != "null" || string(me.Email) != "null" {
			t.Errorf("full_name %s, email %s, want null", me.FullName, me.Email)
		}
		me.FullName, me.Email = json.RawMessage(`""`), json.RawMessage(`""`)
		if missing := absent(me); !slices.Equal(missing, []string{"api_key"}) {
			t.Errorf("missing: %v, want api_key alone", missing)
		}
	})
}

// decodeWhole is decode for an answer that has no other members than v.
func decodeWhole(t *testing.T, body []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// TestReplayedSniffing asks for the nodes as clients do that then talk only to
// the addresses they were told.
func TestReplayedSniffing(t *testing.T) { onEach(t, replayedSniffing) }

func replayedSniffing(t *testing.T) {
	for _, tt := range []struct{ name, client, path string }{
		{"HT-56 Python", "Python 9", "/_nodes/_all/http"},
		{"HT-56 Java", "Java 9", "/_nodes/http?timeout=1000ms"},
		{"HT-56 Ruby", "Ruby 9", "/_nodes/http"},
		{"HT-56 .NET", ".NET 9", "/_nodes/http,settings?timeout=2s&flat_settings=true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := dialects[slices.IndexFunc(dialects, func(d dialect) bool { return strings.Contains(d.name, tt.client) })]
			elastic := basic("elastic", password)
			var found struct {
				Nodes map[string]struct {
					Name       string
					Version    string
					Roles      []string
					Attributes map[string]string
					Settings   map[string]any
					HTTP       struct {
						BoundAddress   []string `json:"bound_address"`
						PublishAddress string   `json:"publish_address"`
					}
				}
			}
			decode(t, talk(t, d, host(t)).ask(200, "GET", tt.path, elastic, ""), &found)
			if len(found.Nodes) != 1 {
				t.Fatalf("got %+v, want one node", found)
			}
			for _, n := range found.Nodes {
				if n.Name == "" || n.Version == "" || n.Attributes == nil || !slices.Contains(n.Roles, "data") || !slices.Contains(n.HTTP.BoundAddress, n.HTTP.PublishAddress) {
					t.Errorf("got %+v", n)
				}
				if tt.client == ".NET 9" && n.Settings == nil {
					t.Error("the settings are missing")
				}
				afterwards := talk(t, d, n.HTTP.PublishAddress)
				afterwards.ask(200, "HEAD", "/", elastic, "")
				afterwards.ask(200, "GET", "/_security/_authenticate", elastic, "")
			}
		})
	}
}
