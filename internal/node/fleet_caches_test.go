package node_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"latchkey"
	"latchkey/internal/ldap/ldaptest"
	"latchkey/internal/sqlstore/pgtest"
)

// What is changed behind the nodes' back stays in their memories, until somebody
// has the cache cleared, at whichever node.
func TestACacheIsClearedOnAllNodes(t *testing.T) {
	store := pgtest.URL(t)
	d := directory(t, ldaptest.Person("alice"), ldaptest.Person("bob"))
	realm := flags("ldap.corp", map[string]string{
		"order": "2", "url": d.URL, "bind_dn": ldaptest.Search, "user_search.base_dn": ldaptest.Root, "secure_bind_password": ldaptest.Password,
	})
	a, b := fellow(t, store, "10s", true, realm...), fellow(t, store, "10s", true, realm...)
	db, err := pgx.Connect(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	behind := func(statement string, args ...any) func() error {
		return func() error {
			_, err := db.Exec(t.Context(), statement, args...)
			return err
		}
	}
	const login, right = "/_security/_authenticate", "/_security/user"
	put := func(path, body string) { t.Helper(); a.want(t, http.StatusOK, "PUT", path, elastic, body, nil) }
	put("/_security/role/r", `{"cluster":["manage_security"]}`)
	put("/_security/role/reader", `{"applications":[{"application":"app","privileges":["p"],"resources":["*"]}]}`)
	put("/_security/privilege", `{"app":{"p":{"actions":["data:read"]}}}`)
	put("/_security/user/u", `{"password":"first password","roles":["r"]}`)
	put("/_security/user/v", `{"password":"first password","roles":["reader"]}`)
	key := a.key(t, elastic, "k")
	var made struct{ Token struct{ Value string } }
	put("/_security/service/elastic/fleet-server/credential/token/one", "")
	a.want(t, http.StatusOK, "POST", "/_security/service/elastic/fleet-server/credential/token/two", elastic, "", &made)
	status := func(method, path, body, credential string, good int) func() bool {
		return func() bool {
			t.Helper()
			got, err := b.call(method, path, credential, body, nil)
			if err != nil {
				t.Error(err)
			}
			return got == good
		}
	}
	for _, tt := range []struct {
		name    string
		change  func() error
		accepts func() bool // at the other node
		clear   string
	}{
		{"an API key", behind(`DELETE FROM api_keys WHERE id = $1`, key.ID), status("GET", login, "", key.Encoded, 200), "/_security/api_key/" + key.ID},
		{"a service token", behind(`DELETE FROM service_tokens WHERE name = 'two'`), status("GET", login, "", "Bearer "+made.Token.Value, 200),
			"/_security/service/elastic/fleet-server/credential/token/two"},
		{"a privilege", behind(`DELETE FROM application_privileges`), func() bool {
			var answer struct {
				All bool `json:"has_all_requested"`
			}
			b.want(t, 200, "POST", "/_security/user/_has_privileges", "v:first password", `{"application":[{"application":"app","privileges":["data:read"],"resources":["x"]}]}`, &answer)
			return answer.All
		}, "/_security/privilege/app"},
		{"a role", behind(`DELETE FROM roles WHERE name = 'r'`), status("GET", right, "", "u:first password", 200), "/_security/role/r"},
		{"a native user", behind(`UPDATE users SET enabled = 0 WHERE username = 'u'`), status("GET", login, "", "u:first password", 200), "/_security/realm/default_native"},
		{"a user of a directory", func() error { return d.Replace(ldaptest.Person("alice").DN, "userPassword", "new-password") },
			status("GET", login, "", "alice:"+ldaptest.Password, 200), "/_security/realm/corp"},
		{"all users of a directory", func() error { return d.Replace(ldaptest.Person("bob").DN, "userPassword", "new-password") },
			status("GET", login, "", "bob:"+ldaptest.Password, 200), "/_security/realm/*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.accepts() {
				t.Fatal("it is refused from the beginning")
			}
			if err := tt.change(); err != nil {
				t.Fatal(err)
			}
			if !tt.accepts() {
				t.Error("it was not in memory, so the rest shows nothing")
			}
			var answer latchkey.ClearCacheResponse
			a.want(t, http.StatusOK, "POST", tt.clear+"/_clear_cache", elastic, "", &answer)
			if tt.accepts() {
				t.Error("the other node still answers from its memory")
			}
			if n := answer.Nodes; n.Total != 2 || n.Successful != 2 || n.Failed != 0 || len(answer.ByID) != 2 {
				t.Errorf("the answer tells of %+v, %+v; want two nodes", n, answer.ByID)
			}
		})
	}
	var answer latchkey.ClearCacheResponse
	a.want(t, http.StatusOK, "POST", "/_security/realm/nosuch,corp/_clear_cache", elastic, "", &answer)
	if n := answer.Nodes; n.Total != 2 || n.Failed != 2 || len(n.Failures) != 2 || n.Failures[0].NodeID == n.Failures[1].NodeID || len(answer.ByID) != 0 {
		t.Errorf("a realm that nobody has: %+v, %+v", n, answer.ByID)
	}
	many := strings.Repeat("n,", 1000) + "n" // as many as fit into a request line
	a.want(t, http.StatusOK, "POST", "/_security/realm/corp/_clear_cache?usernames="+many, elastic, "", nil)
	a.want(t, http.StatusForbidden, "POST", "/_security/realm/corp/_clear_cache", "v:first password", "", nil)
}
