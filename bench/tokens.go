package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	tokenPath         = "/_security/oauth2/token"
	clientCredentials = `{"grant_type":"client_credentials"}`
)

type token struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// getToken gets a token, and a refresh token if the grant has one.
func getToken(c *client, authorization, body string) (t token, err error) {
	answer, err := c.do(call("POST", tokenPath, authorization, body))
	if err != nil {
		return token{}, err
	}
	return t, json.Unmarshal(answer, &t)
}

// manyTokens gets n tokens.
func manyTokens(addr string, n int, authorization, body string) ([]token, error) {
	return many(addr, n, func(c *client, _ int) (token, error) { return getToken(c, authorization, body) })
}

// bearer compares the authentication of one cached token with a bare handler, as
// cached does for keys.
func bearer(s *setup) error {
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "bearer"))
	if err != nil {
		return err
	}
	tokens, err := manyTokens(lk.addr, 1, elastic, clientCredentials)
	if err != nil {
		return errors.Join(err, lk.stop())
	}
	request := get(authenticate, "Bearer "+tokens[0].Access)
	return errors.Join(s.compare(lk, "", request, func(int64) []byte { return request }), lk.stop())
}

// grants gets access tokens for the caller.
func grants(s *setup) error {
	request := call("POST", tokenPath, elastic, clientCredentials)
	for _, clients := range []int{1, 8, 32} {
		dir := filepath.Join(s.dir, fmt.Sprint("grant-", clients))
		lk, _, err := startLatchkey(s.binary, dir)
		if err != nil {
			return err
		}
		if _, err := once(lk.addr, request); err != nil { // the slow hash of the password is over
			return errors.Join(err, lk.stop())
		}
		got, err := drive(lk.addr, clients, s.d, 0, 200, func(int64) []byte { return request })
		if err := errors.Join(err, lk.stop(), os.RemoveAll(dir)); err != nil {
			return err
		}
		fmt.Printf("  %3d clients  %s\n", clients, got)
	}
	return nil
}

// refreshes exchanges pairs for their successors, each of them once.
func refreshes(s *setup) error {
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "refresh"))
	if err != nil {
		return err
	}
	for _, run := range []struct{ clients, n int }{{1, 2000}, {8, 10_000}, {32, 20_000}} {
		if s.rounds == 1 {
			run.n /= 10
		}
		pairs, err := manyTokens(lk.addr, run.n, elastic, `{"grant_type":"password","username":"elastic","password":"`+password+`"}`)
		if err != nil {
			return errors.Join(err, lk.stop())
		}
		got, err := drive(lk.addr, run.clients, 0, int64(run.n), 200, func(i int64) []byte {
			return call("POST", tokenPath, elastic, `{"grant_type":"refresh_token","refresh_token":"`+pairs[i].Refresh+`"}`)
		})
		if err != nil {
			return errors.Join(err, lk.stop())
		}
		fmt.Printf("  %3d clients  %s\n", run.clients, got)
	}
	return lk.stop()
}

// massTokens invalidates all tokens of one user by its name, while other tokens authenticate.
func massTokens(s *setup) error {
	lk, _, err := startLatchkey(s.binary, filepath.Join(s.dir, "masstokens"))
	if err != nil {
		return err
	}
	defer func() { _ = lk.stop() }()
	if _, err := once(lk.addr, call("PUT", "/_security/role/tokens", elastic, `{"cluster":["manage_token"]}`)); err != nil {
		return err
	}
	others, err := manyTokens(lk.addr, 1000, elastic, clientCredentials)
	if err != nil {
		return err
	}
	requests := make([][]byte, len(others))
	for i, t := range others {
		requests[i] = get(authenticate, "Bearer "+t.Access)
	}
	for i, m := range s.mass {
		name := fmt.Sprint("mass-", i)
		if _, err := once(lk.addr, call("PUT", "/_security/user/"+name, elastic, `{"password":"`+password+`","roles":["tokens"]}`)); err != nil {
			return err
		}
		if _, err := manyTokens(lk.addr, m, basic(name), clientCredentials); err != nil {
			return err
		}
		body, err := s.amid(lk, []*server{lk}, fmt.Sprint(m, " tokens"), call("DELETE", tokenPath, elastic, `{"username":"`+name+`"}`),
			func(i int64) []byte { return requests[i%int64(len(requests))] })
		if err != nil {
			return err
		}
		var done struct {
			Tokens int `json:"invalidated_tokens"`
		}
		if err := json.Unmarshal(body, &done); err != nil {
			return err
		}
		if done.Tokens != m {
			return fmt.Errorf("%d tokens were invalidated, want %d", done.Tokens, m)
		}
	}
	return nil
}
