package node_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"

	"latchkey"
	"latchkey/internal/sqlstore/pgtest"
)

const fleetSecret = "a secret that all nodes of a fleet share"

// fellow starts a node of the store at url. One that is reached is told by the
// others what was revoked; another one has to ask the store.
func fellow(t *testing.T, store, lease string, reached bool, more ...string) *process {
	t.Helper()
	args := append([]string{"-E", "latchkey.store.url=" + store, "-E", "latchkey.fleet.lease=" + lease}, more...)
	if reached {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		_, port, _ := net.SplitHostPort(address) // it is one
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-E", "http.port="+port, "-E", "latchkey.fleet.address="+address, "-E", "latchkey.fleet.secret="+fleetSecret)
	}
	return node(t, dataFolder(t), args...)
}

// accepts reports whether a node does what is asked. One that has just lost its
// lease says that it does not know, which is no yes.
func (p *process) accepts(t *testing.T, method, path, credential string) bool {
	t.Helper()
	status, err := p.call(method, path, credential, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return status == http.StatusOK
}

// eventually waits until a node answers with a status.
func (p *process) eventually(t *testing.T, status int, path, credential string) {
	t.Helper()
	for range 100_000 {
		if got, err := p.call("GET", path, credential, "", nil); err == nil && got == status {
			return
		}
	}
	t.Errorf("%s never answered %d", path, status)
}

func TestWhatOneNodeEndsNoNodeAccepts(t *testing.T) {
	store := pgtest.URL(t)
	op, authorities := provider(t)
	realm := flags("jwt.jwt1", map[string]string{
		"order": "1", "allowed_issuer": op.URL, "allowed_audiences": "latchkey", "allowed_signature_algorithms": "ES256",
		"pkc_jwkset_path": op.URL + "/keys", "ssl.certificate_authorities": authorities, "claims.principal": "sub", "claims.groups": "groups", "client_authentication.type": "none",
	})
	nodes := []*process{fellow(t, store, "2s", true, realm...), fellow(t, store, "2s", true, realm...), fellow(t, store, "2s", false, realm...)}
	const login = "/_security/_authenticate"
	user := func(t *testing.T, p *process, name, role string) {
		t.Helper()
		p.want(t, http.StatusOK, "PUT", "/_security/role/"+role, elastic, `{"cluster":["manage_security"]}`, nil)
		p.want(t, http.StatusOK, "PUT", "/_security/user/"+name, elastic, `{"password":"first password","roles":["`+role+`"]}`, nil)
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T, p *process, name string) (credential, method, path, body string) // and what ends it
		ask  string                                                                              // what the credential is good for
	}{
		{"an API key", func(t *testing.T, p *process, name string) (string, string, string, string) {
			k := p.key(t, elastic, name)
			return k.Encoded, "DELETE", "/_security/api_key", `{"ids":["` + k.ID + `"]}`
		}, login},
		{"an API key that is updated", func(t *testing.T, p *process, name string) (string, string, string, string) {
			k := p.key(t, elastic, name)
			return k.Encoded, "PUT", "/_security/api_key/" + k.ID, `{"role_descriptors":{"r":{"cluster":["monitor"]}}}`
		}, "/_security/user"},
		{"an access token", func(t *testing.T, p *process, name string) (string, string, string, string) {
			var made struct {
				Text string `json:"access_token"`
			}
			p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, `{"grant_type":"client_credentials"}`, &made)
			return "Bearer " + made.Text, "DELETE", "/_security/oauth2/token", `{"token":"` + made.Text + `"}`
		}, login},
		{"a service token", func(t *testing.T, p *process, name string) (string, string, string, string) {
			var made struct{ Token struct{ Value string } }
			path := "/_security/service/elastic/fleet-server/credential/token/" + name
			p.want(t, http.StatusOK, "POST", path, elastic, "", &made)
			return "Bearer " + made.Token.Value, "DELETE", path, ""
		}, login},
		{"a user who is disabled", func(t *testing.T, p *process, name string) (string, string, string, string) {
			user(t, p, name, name)
			return name + ":first password", "PUT", "/_security/user/" + name + "/_disable", ""
		}, login},
		{"a user who is deleted", func(t *testing.T, p *process, name string) (string, string, string, string) {
			user(t, p, name, name)
			return name + ":first password", "DELETE", "/_security/user/" + name, ""
		}, login},
		{"a password", func(t *testing.T, p *process, name string) (string, string, string, string) {
			user(t, p, name, name)
			return name + ":first password", "PUT", "/_security/user/" + name + "/_password", `{"password":"another password"}`
		}, login},
		{"a role that is narrowed", func(t *testing.T, p *process, name string) (string, string, string, string) {
			user(t, p, name, name)
			return name + ":first password", "PUT", "/_security/role/" + name, `{"cluster":["monitor"]}`
		}, "/_security/user"},
		{"a role that is deleted", func(t *testing.T, p *process, name string) (string, string, string, string) {
			user(t, p, name, name)
			return name + ":first password", "DELETE", "/_security/role/" + name, ""
		}, "/_security/user"},
		{"a role mapping that is deleted", func(t *testing.T, p *process, name string) (string, string, string, string) {
			p.want(t, http.StatusOK, "PUT", "/_security/role/"+name, elastic, `{"cluster":["manage_security"]}`, nil)
			p.mapping(t, name, name, "jwt1", name)
			return "Bearer " + idToken(op, "alice", "latchkey", map[string]any{"groups": []string{name}}), "DELETE", "/_security/role_mapping/" + name, ""
		}, "/_security/user"},
		{"a role mapping that is switched off", func(t *testing.T, p *process, name string) (string, string, string, string) {
			p.want(t, http.StatusOK, "PUT", "/_security/role/"+name, elastic, `{"cluster":["manage_security"]}`, nil)
			p.mapping(t, name, name, "jwt1", name)
			return "Bearer " + idToken(op, "alice", "latchkey", map[string]any{"groups": []string{name}}),
				"PUT", "/_security/role_mapping/" + name, `{"enabled":false,"roles":["` + name + `"],"rules":{"field":{"groups":"` + name + `"}}}`
		}, "/_security/user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, p := range nodes {
				if i == 1 { // as 0
					continue
				}
				credential, method, path, body := tt.make(t, p, fmt.Sprintf("%s-%d", strings.ReplaceAll(tt.name, " ", "-"), i))
				for _, q := range nodes {
					for range 2 {
						q.eventually(t, http.StatusOK, tt.ask, credential) // it has it in memory now
					}
				}
				p.want(t, http.StatusOK, method, path, elastic, body, nil)
				for j, q := range nodes {
					if q.accepts(t, "GET", tt.ask, credential) {
						t.Errorf("node %d accepts what node %d has ended", j, i)
					}
				}
			}
		})
	}
	t.Run("a privilege of an application", func(t *testing.T) {
		for i, p := range nodes[:1] {
			app := fmt.Sprintf("app%d", i)
			p.want(t, http.StatusOK, "PUT", "/_security/privilege", elastic, `{"`+app+`":{"p":{"actions":["data:read","data:write"]}}}`, nil)
			p.want(t, http.StatusOK, "PUT", "/_security/role/"+app, elastic, `{"applications":[{"application":"`+app+`","privileges":["p"],"resources":["*"]}]}`, nil)
			p.want(t, http.StatusOK, "PUT", "/_security/user/"+app, elastic, `{"password":"first password","roles":["`+app+`"]}`, nil)
			has := func(q *process) (yes bool) {
				t.Helper()
				var answer struct {
					All bool `json:"has_all_requested"`
				}
				q.want(t, http.StatusOK, "POST", "/_security/user/_has_privileges", app+":first password", `{"application":[{"application":"`+app+`","privileges":["data:write"],"resources":["x"]}]}`, &answer)
				return answer.All
			}
			for j, q := range nodes {
				for range 2 { // from memory the second time
					if !has(q) {
						t.Errorf("node %d does not know what node %d allows", j, i)
					}
				}
			}
			p.want(t, http.StatusOK, "PUT", "/_security/privilege", elastic, `{"`+app+`":{"p":{"actions":["data:read"]}}}`, nil)
			for j, q := range nodes {
				if has(q) {
					t.Errorf("node %d allows what node %d has taken out of a privilege", j, i)
				}
			}
		}
	})
	client, err := latchkey.New(nodes[0].url, latchkey.WithCredential(latchkey.Basic("elastic", password)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := client.Fleet(t.Context())
	if err != nil || len(f.Nodes) != len(nodes) || f.Applied == 0 || f.LeaseMillis == 0 {
		t.Errorf("the fleet is %+v (%v), want %d nodes in step", f, err, len(nodes))
	}
	if err := client.Barrier(t.Context(), f.Applied); err != nil {
		t.Error(err)
	}
	nodes[1].want(t, http.StatusNotFound, "GET", "/_latchkey/barrier/1000000", elastic, "", nil)
	nodes[1].want(t, http.StatusBadRequest, "GET", "/_latchkey/barrier/x", elastic, "", nil)
	nodes[1].want(t, http.StatusUnauthorized, "POST", "/_latchkey/records", elastic, `{"records":[]}`, nil) // no node of the fleet
	nodes[2].want(t, http.StatusBadRequest, "POST", "/_latchkey/records", elastic, `{"records":[]}`, nil)   // it has no secret
	for i, p := range nodes {
		p.stops(t)
		if i+1 < len(nodes) { // who stops leaves, and nobody waits for them
			nodes[i+1].want(t, http.StatusOK, "GET", "/_latchkey/fleet", elastic, "", &f)
			if got := len(f.Nodes); got != len(nodes)-i-1 {
				t.Errorf("after %d have stopped, the fleet has %d nodes", i+1, got)
			}
		}
	}
}

func TestANodeThatIsStoppedAcceptsNothingOld(t *testing.T) {
	store := pgtest.URL(t)
	a, b := fellow(t, store, "1s", true), fellow(t, store, "1s", true)
	k := a.key(t, elastic, "k")
	b.wantLogin(t, http.StatusOK, k.Encoded)
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"ids":["`+k.ID+`"]}`, nil)
	if err := b.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if b.accepts(t, "GET", "/_security/_authenticate", k.Encoded) {
		t.Error("a node that was stopped accepts what was ended meanwhile")
	}
	b.eventually(t, http.StatusUnauthorized, "/_security/_authenticate", k.Encoded) // it joins again
}

func TestANodeThatIsKilledHoldsNobodyUpForLong(t *testing.T) {
	store := pgtest.URL(t)
	a, b := fellow(t, store, "1s", true), fellow(t, store, "1s", true)
	b.kill()
	for range 2 {
		k := a.key(t, elastic, "k")
		a.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"ids":["`+k.ID+`"]}`, nil)
	}
	var f latchkey.FleetResponse
	a.want(t, http.StatusOK, "GET", "/_latchkey/fleet", elastic, "", &f)
	if len(f.Nodes) != 1 {
		t.Errorf("the fleet is %+v, want the dead node to be shut out", f.Nodes)
	}
}

// cable is a connection of a node to its store that can be pulled.
type cable struct{ mu sync.Mutex } // held while it is pulled

// newCable returns a URL that leads to the store through the cable.
func newCable(t *testing.T, store string) (*cable, string) {
	t.Helper()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &cable{}, u.Host
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.carry(t, client, server) })
		}
	})
	t.Cleanup(func() { // after the nodes have ended
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *cable) carry(t *testing.T, client net.Conn, server string) {
	defer client.Close()
	s, err := net.Dial("tcp", server)
	if err != nil {
		t.Error(err)
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		_, _ = io.Copy(held{client, c}, s) // either side may end it
	})
	_, _ = io.Copy(held{s, c}, client)
	_ = s.Close() // for the way back
	back.Wait()
}

// held is a connection to which nothing gets through while the cable is pulled.
type held struct {
	io.Writer
	c *cable
}

func (h held) Write(b []byte) (int, error) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	return h.Writer.Write(b)
}

func TestANodeThatIsCutFromTheStoreAcceptsNothingOld(t *testing.T) {
	store := pgtest.URL(t)
	cable, far := newCable(t, store)
	a, b := fellow(t, store, "1s", true), fellow(t, far, "3s", false) // who revokes has to wait for the other's lease, not for its own
	k, other := a.key(t, elastic, "k"), a.key(t, elastic, "other")
	b.wantLogin(t, http.StatusOK, k.Encoded)
	b.wantLogin(t, http.StatusOK, other.Encoded)
	cable.mu.Lock()
	a.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"ids":["`+k.ID+`"]}`, nil)
	b.wantLogin(t, http.StatusServiceUnavailable, k.Encoded)
	b.wantLogin(t, http.StatusServiceUnavailable, other.Encoded) // it cannot know
	b.want(t, http.StatusServiceUnavailable, "GET", "/_latchkey/ready", elastic, "", nil)
	b.want(t, http.StatusOK, "GET", "/_latchkey/live", elastic, "", nil)
	cable.mu.Unlock()
	b.eventually(t, http.StatusOK, "/_latchkey/ready", elastic)
	b.eventually(t, http.StatusUnauthorized, "/_security/_authenticate", k.Encoded)
	b.eventually(t, http.StatusOK, "/_security/_authenticate", other.Encoded)
}
