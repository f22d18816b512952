package node_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tokenPair is what a grant or a refresh brings.
type tokenPair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func grantBody(username string) string {
	return fmt.Sprintf(`{"grant_type":"password","username":%q,"password":%q}`, username, password)
}

func refreshBody(token string) string {
	return fmt.Sprintf(`{"grant_type":"refresh_token","refresh_token":%q}`, token)
}

// pair gets tokens of a user.
func (p *process) pair(t *testing.T, username string) (made tokenPair) {
	t.Helper()
	p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, grantBody(username), &made)
	return made
}

// step is a refresh that was acknowledged.
type step struct {
	from string // the refresh token
	to   tokenPair
	at   time.Time // before it was asked for
}

// chain is one client that refreshes what it got, again and again.
type chain struct {
	now   tokenPair
	steps []step // of the round
	open  bool   // the last refresh, of now, got no answer
}

// tokenGroup is the pairs whose end one client asked for, and what was acknowledged of it.
type tokenGroup struct {
	pairs                     []tokenPair
	bulk                      bool // both halves of all of them at once
	accessAcked, refreshAcked bool
}

type tokenHistory struct {
	chains []*chain
	dead   []string    // access tokens whose end is known
	live   []tokenPair // nobody asked to end them
}

// TK-70: a token whose end was acknowledged stays ended, a refresh that was
// acknowledged leads to the same pair for ever, and none ever leads to two.
func TestTokensThatWereAcknowledgedSurviveACrash(t *testing.T) {
	dir := dataFolder(t)
	p := node(t, dir)
	for _, u := range []string{"chain", "single", "b0", "b1"} {
		p.want(t, http.StatusOK, "PUT", "/_security/user/"+u, elastic, `{"password":"`+password+`","roles":[]}`, nil)
	}
	h := &tokenHistory{}
	for range 6 {
		h.chains = append(h.chains, &chain{now: p.pair(t, "chain")})
	}
	refreshed, ended := 0, 0
	for round := range rounds(t) {
		seed := rand.Uint64()
		groups := h.storm(t, p, rand.New(rand.NewPCG(seed, 0)))
		p = node(t, dir)
		refreshed += h.verifyChains(t, p)
		ended += h.verifyGroups(t, p, groups)
		if t.Failed() {
			t.Fatalf("round %d, seed %d", round, seed)
		}
	}
	t.Logf("%d refreshes and %d invalidations were acknowledged; %d tokens are ended", refreshed, ended, len(h.dead))
	if refreshed == 0 || ended == 0 {
		t.Error("nothing was acknowledged between the crashes, so nothing was shown")
	}
	p.stops(t)
	p = node(t, dir)
	for _, access := range h.dead {
		p.wantLogin(t, http.StatusUnauthorized, "Bearer "+access)
	}
	for _, pair := range h.live {
		p.wantLogin(t, http.StatusOK, "Bearer "+pair.Access)
	}
	p.stops(t)
}

// storm refreshes and invalidates from all sides until the node is killed in the middle of it.
func (h *tokenHistory) storm(t *testing.T, p *process, chance *rand.Rand) []*tokenGroup {
	t.Helper()
	var groups []*tokenGroup
	for range 24 {
		groups = append(groups, &tokenGroup{pairs: []tokenPair{p.pair(t, "single")}})
	}
	for _, u := range []string{"b0", "b1"} {
		g := &tokenGroup{bulk: true}
		for range 6 {
			g.pairs = append(g.pairs, p.pair(t, u))
		}
		groups = append(groups, g)
	}
	for _, g := range groups {
		for _, pair := range g.pairs { // the node knows them by heart
			p.wantLogin(t, http.StatusOK, "Bearer "+pair.Access)
		}
	}

	var killed atomic.Bool
	// lost reports whether an answer is missing because the node is gone.
	lost := func(what string, status int, err error) bool {
		if err == nil && status == http.StatusOK {
			return false
		}
		if err == nil || !killed.Load() {
			t.Errorf("%s: got %d (%v) from a node that runs", what, status, err)
		}
		return true
	}
	end := func(body string, want int, access ...string) bool {
		var answer struct {
			Invalidated int `json:"invalidated_tokens"`
		}
		if status, err := p.call("DELETE", "/_security/oauth2/token", elastic, body, &answer); lost("invalidate", status, err) {
			return false
		}
		if answer.Invalidated != want {
			t.Errorf("%d tokens were invalidated, want %d", answer.Invalidated, want)
		}
		for _, a := range access {
			if status, err := p.call("GET", "/_security/_authenticate", "Bearer "+a, "", nil); err == nil && status != http.StatusUnauthorized {
				t.Errorf("got %d right after the end of a token was acknowledged, want 401", status)
			}
		}
		return true
	}

	var all sync.WaitGroup
	for _, c := range h.chains {
		c.steps, c.open = nil, false
		all.Go(func() {
			for {
				s := step{from: c.now.Refresh, at: time.Now()}
				if status, err := p.call("POST", "/_security/oauth2/token", elastic, refreshBody(s.from), &s.to); lost("refresh", status, err) {
					c.open = true
					return
				}
				c.steps, c.now = append(c.steps, s), s.to
			}
		})
	}
	singles, bulks := groups[:24], groups[24:]
	for w := range 3 {
		all.Go(func() {
			for i := w; i < len(singles); i += 3 {
				g := singles[i]
				pair := g.pairs[0]
				if g.refreshAcked = end(fmt.Sprintf(`{"refresh_token":%q}`, pair.Refresh), 1); !g.refreshAcked {
					return
				}
				if g.accessAcked = end(fmt.Sprintf(`{"token":%q}`, pair.Access), 1, pair.Access); !g.accessAcked {
					return
				}
			}
		})
	}
	for i, g := range bulks {
		wait := time.Duration(chance.IntN(70)) * time.Millisecond
		body := fmt.Sprintf(`{"username":"b%d"}`, i)
		var access []string
		for _, pair := range g.pairs {
			access = append(access, pair.Access)
		}
		all.Go(func() {
			time.Sleep(wait)
			g.accessAcked = end(body, 2*len(g.pairs), access...)
			g.refreshAcked = g.accessAcked
		})
	}
	time.Sleep(time.Duration(chance.IntN(80)) * time.Millisecond)
	killed.Store(true)
	p.kill()
	all.Wait()
	return groups
}

// replayable is how long a refresh can be asked for again, less some time for the asking.
const replayable = 20 * time.Second

// verifyChains asks for every refresh of the round once more. It returns how many were acknowledged.
func (h *tokenHistory) verifyChains(t *testing.T, p *process) (acked int) {
	t.Helper()
	for _, c := range h.chains {
		acked += len(c.steps)
		for _, s := range c.steps[max(0, len(c.steps)-5):] {
			p.wantLogin(t, http.StatusOK, "Bearer "+s.to.Access)
			if time.Since(s.at) > replayable {
				continue // a use would count as the reuse of a stolen token
			}
			var again tokenPair
			p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, refreshBody(s.from), &again)
			if again != s.to {
				t.Error("a refresh that was acknowledged leads to another pair")
			}
		}
		if c.open { // done or not, it leads to one pair from now on
			var one, two tokenPair
			p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, refreshBody(c.now.Refresh), &one)
			p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, refreshBody(c.now.Refresh), &two)
			if one != two || one == c.now || one.Access == "" {
				t.Error("a refresh without an answer leads to two pairs, or to none")
			}
			c.now = one
		}
		p.wantLogin(t, http.StatusOK, "Bearer "+c.now.Access)
	}
	return acked
}

// verifyGroups learns how the invalidations without an answer ended. It returns
// how many were acknowledged.
func (h *tokenHistory) verifyGroups(t *testing.T, p *process, groups []*tokenGroup) (acked int) {
	t.Helper()
	for _, g := range groups {
		states := map[string]bool{}
		for _, pair := range g.pairs {
			access, err := p.call("GET", "/_security/_authenticate", "Bearer "+pair.Access, "", nil)
			if err != nil {
				t.Error(err)
			}
			refresh, err := p.call("POST", "/_security/oauth2/token", elastic, refreshBody(pair.Refresh), nil)
			if err != nil {
				t.Error(err)
			}
			states[fmt.Sprint(access, refresh)] = true
			if access == http.StatusUnauthorized {
				h.dead = append(h.dead, pair.Access)
			} else {
				h.live = append(h.live, pair)
			}
			if access != http.StatusUnauthorized && g.accessAcked || refresh != http.StatusBadRequest && g.refreshAcked {
				t.Errorf("the end of a token was acknowledged, and it lives: %d, %d", access, refresh)
			}
			if access != http.StatusOK && access != http.StatusUnauthorized || refresh != http.StatusOK && refresh != http.StatusBadRequest {
				t.Errorf("a token is in no state that there is: %d, %d", access, refresh)
			}
		}
		if g.bulk && (len(states) != 1 || states["200 400"] || states["401 200"]) {
			t.Errorf("one request was to end all tokens of a user; they are %v, want all ended or none", states)
		}
		if g.accessAcked {
			acked++
		}
		if g.bulk { // those that live would count in the next round
			p.want(t, http.StatusOK, "DELETE", "/_security/oauth2/token", elastic, `{"username":"b0"}`, nil)
			p.want(t, http.StatusOK, "DELETE", "/_security/oauth2/token", elastic, `{"username":"b1"}`, nil)
			h.live = slices.DeleteFunc(h.live, func(l tokenPair) bool { return slices.Contains(g.pairs, l) })
		}
	}
	return acked
}

// TK-69: neither a token nor a password stands in the log or in the store, also
// where every request is logged and refused.
func TestNoTokenIsWrittenDown(t *testing.T) {
	dir := dataFolder(t)
	p := node(t, dir, "-E", "latchkey.log.level=debug")
	p.want(t, http.StatusOK, "PUT", "/_security/user/u", elastic, `{"password":"`+password+`","roles":["superuser"]}`, nil)
	first := p.pair(t, "u")
	var second, own tokenPair
	p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, refreshBody(first.Refresh), &second)
	p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", "Bearer "+second.Access, `{"grant_type":"client_credentials"}`, &own)
	const wrong = "a wrong pass phrase"
	p.want(t, http.StatusUnauthorized, "POST", "/_security/oauth2/token", elastic, `{"grant_type":"password","username":"u","password":"`+wrong+`"}`, nil)
	p.want(t, http.StatusBadRequest, "POST", "/_security/oauth2/token", "u:"+password, refreshBody(first.Refresh), nil) // not the creator
	p.want(t, http.StatusOK, "DELETE", "/_security/oauth2/token", elastic, `{"token":"`+own.Access+`"}`, nil)
	p.wantLogin(t, http.StatusUnauthorized, "Bearer "+own.Access)
	p.wantLogin(t, http.StatusUnauthorized, "Bearer "+first.Refresh)
	p.kill() // with all that is written so far as it stands

	texts := map[string]string{"the log": p.err.String(), "the output": p.out.String()}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		texts[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range texts {
		for name, secret := range map[string]string{"an access token": first.Access, "a refresh token": first.Refresh, "the next access token": second.Access,
			"the next refresh token": second.Refresh, "the own token": own.Access, "a password": password, "a wrong password": wrong} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", what, name)
			}
		}
	}
}

// TK-6: a life that no token may have stops the start; the shortest and the
// longest do not, and the clock counts from them (TK-5).
func TestTimeoutOfTokens(t *testing.T) {
	const name = "xpack.security.authc.token.timeout"
	for _, bad := range []string{"0s", "61m"} {
		refuses(t, command(t, nil, serveArgs(dataFolder(t), "-E", name+"="+bad)...), name, "from 1s to 1h")
	}
	for text, seconds := range map[string]int{"1s": 1, "1h": 3600} {
		p := node(t, dataFolder(t), "-E", name+"="+text)
		var made struct {
			Expires int `json:"expires_in"`
		}
		p.want(t, http.StatusOK, "POST", "/_security/oauth2/token", elastic, `{"grant_type":"client_credentials"}`, &made)
		if made.Expires != seconds {
			t.Errorf("with %s, expires_in is %d; want %d", text, made.Expires, seconds)
		}
		p.stops(t)
	}
}

// Tokens that cross a network in clear are told of; on loopback nothing is.
func TestPlainHTTPBeyondLoopbackIsTold(t *testing.T) {
	const warning = "access tokens.*cross the network in clear"
	for host, want := range map[string]bool{"0.0.0.0": true, "127.0.0.1": false} {
		p := node(t, dataFolder(t), "-E", "http.host="+host)
		p.stops(t)
		if got := p.err.find(warning) != nil; got != want {
			t.Errorf("on %s the warning is there: %t\n%s", host, got, p.err)
		}
	}
}

// ID-12 ID-14 HT-48: what anonymous requests may do is a setting, and so is how
// they are refused. TK-65: so is whether there are tokens.
func TestSettingsOfAnonymousAccessAndTokens(t *testing.T) {
	p := node(t, dataFolder(t), "-E", "xpack.security.authc.anonymous.roles=viewer", "-E", "xpack.security.authc.anonymous.username=guest",
		"-E", "xpack.security.authc.anonymous.authz_exception=false", "-E", "xpack.security.authc.token.enabled=false")
	for path, want := range map[string]int{"/_security/_authenticate": http.StatusOK, "/_security/user": http.StatusUnauthorized} {
		resp, err := p.client.Get(p.url + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		challenges := resp.Header.Values("WWW-Authenticate")
		if resp.StatusCode != want || slices.ContainsFunc(challenges, func(c string) bool { return strings.HasPrefix(c, "Bearer") }) {
			t.Errorf("%s: got %d and %q, want %d and no Bearer", path, resp.StatusCode, challenges, want)
		}
	}
	p.want(t, http.StatusBadRequest, "POST", "/_security/oauth2/token", elastic, `{"grant_type":"client_credentials"}`, nil)
}
