package chaos

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// credential is what a client presents.
type credential struct {
	name   string
	header string
}

// ending is a request that ends credentials.
type ending struct {
	request
	of []credential
}

var elastic = basic("elastic", password)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// maker makes credentials of all kinds, on any node.
type maker struct {
	ctx     context.Context
	cluster *cluster
	serial  int
}

// do makes a request until it is answered 200, now of one node, now of another.
func (m *maker) do(method, path, by, body string, answer any) error {
	var last string
	for m.ctx.Err() == nil {
		n := m.cluster.nodes[rand.IntN(fleetSize)]
		status, text, err := n.call(m.ctx, request{method: method, path: path, by: by, body: body, timeout: 10 * time.Second})
		if status == http.StatusOK {
			if answer == nil {
				return nil
			}
			return json.Unmarshal(text, answer)
		}
		last = fmt.Sprintf("%s %s to node %d: %d %s %v", method, path, n.number, status, text, err)
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%w; the last try: %s", m.ctx.Err(), last)
}

func (m *maker) name(kind string) string {
	m.serial++
	return fmt.Sprintf("%s-%d", kind, m.serial)
}

// user makes one who may do everything, and returns its credential.
func (m *maker) user(kind string) (username string, c credential, err error) {
	name := m.name(kind)
	err = m.do("PUT", "/_security/user/"+name, elastic, `{"password":"first password","roles":["superuser"]}`, nil)
	return name, credential{name, basic(name, "first password")}, err
}

func (m *maker) key(by string) (id string, c credential, err error) {
	name := m.name("key")
	var made struct{ ID, Encoded string }
	err = m.do("POST", "/_security/api_key", by, `{"name":"`+name+`"}`, &made)
	return made.ID, credential{name, "ApiKey " + made.Encoded}, err
}

func (m *maker) token(by, body string) (text string, c credential, err error) {
	var made struct {
		Text string `json:"access_token"`
	}
	err = m.do("POST", "/_security/oauth2/token", by, body, &made)
	return made.Text, credential{m.name("token"), "Bearer " + made.Text}, err
}

// end is a request of elastic.
func end(method, path, body string, of ...credential) ending {
	return ending{request{method: method, path: path, by: elastic, body: body}, of}
}

const (
	keysPath   = "/_security/api_key"
	tokensPath = "/_security/oauth2/token"
	userPath   = "/_security/user/"
)

// kinds are the ways in which credentials are made and, once, ended. Each is
// tried so many times in a round.
var kinds = []struct {
	times int
	make  func(m *maker) (ending, error)
}{
	{8, func(m *maker) (ending, error) {
		id, c, err := m.key(elastic)
		return end("DELETE", keysPath, `{"ids":["`+id+`"]}`, c), err
	}},
	{1, func(m *maker) (ending, error) {
		_, c, err := m.key(elastic)
		return end("DELETE", keysPath, `{"name":"`+c.name+`"}`, c), err
	}},
	{2, func(m *maker) (ending, error) { // several by their ids
		var ids []string
		var of []credential
		for range 3 {
			id, c, err := m.key(elastic)
			if err != nil {
				return ending{}, err
			}
			ids, of = append(ids, `"`+id+`"`), append(of, c)
		}
		return end("DELETE", keysPath, `{"ids":[`+strings.Join(ids, ",")+`]}`, of...), nil
	}},
	{1, func(m *maker) (ending, error) { // all of an owner
		owner, of, err := m.owner()
		return end("DELETE", keysPath, `{"username":"`+owner.name+`"}`, of...), err
	}},
	{1, func(m *maker) (ending, error) { // all of an owner, by itself
		owner, of, err := m.owner()
		e := end("DELETE", keysPath, `{"owner":true}`, of...)
		e.by = owner.header
		return e, err
	}},
	{6, func(m *maker) (ending, error) {
		text, c, err := m.token(elastic, `{"grant_type":"client_credentials"}`)
		return end("DELETE", tokensPath, `{"token":"`+text+`"}`, c), err
	}},
	{1, func(m *maker) (ending, error) { // all of a user
		name, owner, err := m.user("holder")
		var of []credential
		for range 2 {
			if err == nil {
				var c credential
				_, c, err = m.token(owner.header, `{"grant_type":"password","username":"`+name+`","password":"first password"}`)
				of = append(of, c)
			}
		}
		return end("DELETE", tokensPath, `{"username":"`+name+`"}`, of...), err
	}},
	{2, func(m *maker) (ending, error) {
		name, c, err := m.user("password")
		return end("PUT", userPath+name+"/_password", `{"password":"another password"}`, c), err
	}},
	{1, func(m *maker) (ending, error) {
		name, c, err := m.user("disabled")
		return end("PUT", userPath+name+"/_disable", "", c), err
	}},
	{1, func(m *maker) (ending, error) {
		name := m.name("service")
		path := "/_security/service/elastic/fleet-server/credential/token/" + name
		var made struct{ Token struct{ Value string } }
		err := m.do("POST", path, elastic, "", &made)
		return end("DELETE", path, "", credential{name, "Bearer " + made.Token.Value}), err
	}},
}

// owner makes a user with some keys.
func (m *maker) owner() (owner credential, keys []credential, err error) {
	_, owner, err = m.user("owner")
	for range 3 {
		if err == nil {
			var c credential
			_, c, err = m.key(owner.header)
			keys = append(keys, c)
		}
	}
	return owner, keys, err
}

// round makes what a round ends.
func (m *maker) round() (all []ending, err error) {
	for _, k := range kinds {
		for range k.times {
			e, err := k.make(m)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}
