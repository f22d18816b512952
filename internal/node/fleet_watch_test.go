package node_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"latchkey"
	"latchkey/internal/fleet"
	"latchkey/internal/fleet/peer"
	"latchkey/internal/pki/pkitest"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore/pgtest"
)

// head makes a request and returns the status and the headers of the answer.
func (p *process) head(t *testing.T, path, credential string, header ...string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequest("GET", p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", credential)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header
}

// metric returns the value of a series that the node tells.
func (p *process) metric(t *testing.T, series string) float64 {
	t.Helper()
	req, err := http.NewRequest("GET", p.url+"/_latchkey/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", basic(elastic))
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("there is no %s in %s", series, text)
	return 0
}

// What a node without the store says depends on what it was told to rely on.
func TestWhatARequestReliesOn(t *testing.T) {
	store := pgtest.URL(t)
	cable, far := newCable(t, store)
	a := fellow(t, store, "2s", true)
	leased := fellow(t, far, "60s", true)
	reading := fellow(t, far, "60s", true, "-E", "latchkey.fleet.consistency=read_index")
	grace := fellow(t, far, "1s", true, "-E", "latchkey.fleet.grace=4s")
	k := a.key(t, elastic, "k")
	const login, strict, stale = "/_security/_authenticate", "X-Latchkey-Consistency", "X-Latchkey-Stale"
	credential := "ApiKey " + k.Encoded
	all := map[string]*process{"leased": leased, "reading": reading, "with grace": grace}
	for name, p := range all {
		p.eventually(t, http.StatusOK, login, k.Encoded)
		for _, wish := range []string{"lease", "strict"} {
			if status, h := p.head(t, login, credential, strict, wish); status != http.StatusOK || h.Get(stale) != "" {
				t.Errorf("%s, %s: %d, %v", name, wish, status, h)
			}
		}
		if status, _ := p.head(t, login, credential, strict, "strong"); status != http.StatusBadRequest {
			t.Errorf("%s: a wish that nobody knows is %d", name, status)
		}
	}

	cable.mu.Lock()
	marked := false
	for {
		status, h := grace.head(t, login, credential)
		if status != http.StatusOK {
			if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || h.Get(stale) != "" {
				t.Errorf("after the grace: %d, %v", status, h)
			}
			break
		}
		marked = marked || h.Get(stale) == "true"
	}
	for _, tt := range []struct {
		name, wish string
		want       int
	}{
		{"leased", "lease", http.StatusOK},
		{"leased", "strict", http.StatusServiceUnavailable},
		{"reading", "lease", http.StatusServiceUnavailable}, // the setting asks for more
	} {
		status, h := all[tt.name].head(t, login, credential, strict, tt.wish)
		if status != tt.want || (h.Get("Retry-After") != "") != (tt.want == http.StatusServiceUnavailable) {
			t.Errorf("%s, cut off, %s: %d (Retry-After %q), want %d", tt.name, tt.wish, status, h.Get("Retry-After"), tt.want)
		}
	}
	wrong := "ApiKey " + base64.StdEncoding.EncodeToString([]byte(k.ID+":wrong"))
	if status, _ := leased.head(t, login, wrong, strict, "strict"); status != http.StatusUnauthorized {
		t.Errorf("whose secret is wrong gets as far as the store: %d", status)
	}
	cable.mu.Unlock()
	if !marked {
		t.Errorf("no answer of the grace says that it is one")
	}
	grace.eventually(t, http.StatusOK, login, k.Encoded)
	if n := grace.metric(t, "latchkey_stale_total"); n == 0 {
		t.Error("answers out of grace are not counted")
	}
	if n := grace.metric(t, "latchkey_lapsed_total"); n == 0 {
		t.Error("refusals for want of a lease are not counted")
	}
	if n := leased.metric(t, "latchkey_stale_total") + leased.metric(t, "latchkey_lapsed_total"); n != 0 {
		t.Errorf("the node with a long lease has counted %v", n)
	}
}

// A node that has been cut off for long refuses nobody by what it remembers: the
// secret may be one that it cannot know.
func TestANodeThatIsBehindDoesNotRefuseANewSecret(t *testing.T) {
	store := pgtest.URL(t)
	cable, far := newCable(t, store)
	a, b := fellow(t, store, "1s", true), fellow(t, far, "1s", false) // so it hears of changes by the store alone
	k := a.key(t, elastic, "k")
	b.eventually(t, http.StatusOK, "/_security/_authenticate", k.Encoded)
	cable.mu.Lock()
	var rotated struct{ Encoded string }
	a.want(t, http.StatusOK, "POST", "/_latchkey/api_key/"+k.ID+"/_rotate", elastic, `{"overlap":"0s"}`, &rotated)
	for _, wish := range []string{"strict", "lease"} {
		if status, _ := b.head(t, "/_security/_authenticate", "ApiKey "+rotated.Encoded, "X-Latchkey-Consistency", wish); status != http.StatusServiceUnavailable {
			t.Errorf("%s: the new secret is %d, want 503", wish, status)
		}
	}
	cable.mu.Unlock()
	b.eventually(t, http.StatusOK, "/_security/_authenticate", rotated.Encoded)
}

// certified are the settings of nodes that speak TLS, to their clients and to each other.
func certified(t *testing.T) (args []string, trust *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	ca, err := pkitest.Authority("ca")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, authority := filepath.Join(dir, "http.crt"), filepath.Join(dir, "http.key"), filepath.Join(dir, "ca.crt")
	if err := server.Write(certificate, key); err != nil {
		t.Fatal(err)
	}
	if err := ca.Write(authority, filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	const ssl = "xpack.security.http.ssl."
	return []string{"-E", ssl + "enabled=true", "-E", ssl + "certificate=" + certificate, "-E", ssl + "key=" + key, "-E", ssl + "certificate_authorities=" + authority},
		&tls.Config{RootCAs: ca.Pool()}
}

// Three nodes, as a monitoring system and as a stranger see them, over TLS.
func TestWatchingAFleet(t *testing.T) {
	store := pgtest.URL(t)
	args, trust := certified(t)
	var nodes []*process
	for range 3 {
		p := fellow(t, store, "2s", true, args...)
		p.client.Transport.(*http.Transport).TLSClientConfig = trust
		nodes = append(nodes, p)
	}
	a, b, c := nodes[0], nodes[1], nodes[2]
	const path = "/_latchkey/fleet"
	watch := func(credential string) (f latchkey.FleetResponse) {
		t.Helper()
		a.want(t, http.StatusOK, "GET", path, credential, "", &f)
		return f
	}
	revoke := func() error {
		k := a.key(t, elastic, "k")
		status, err := a.call("DELETE", "/_security/api_key", elastic, `{"ids":["`+k.ID+`"]}`, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}

	t.Run("whoever may", func(t *testing.T) {
		a.want(t, http.StatusOK, "PUT", "/_security/user/nobody", elastic, `{"password":"first password","roles":[]}`, nil)
		var k createdKey
		a.want(t, http.StatusOK, "POST", "/_security/api_key", elastic, `{"name":"watch","role_descriptors":{"r":{"cluster":["monitor"]}}}`, &k)
		watch(k.Encoded)
		for i, p := range nodes {
			if resp, err := p.client.Get(p.url + path); err != nil || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("node %d, without a credential: %v, %v", i, resp, err)
			} else {
				_ = resp.Body.Close()
			}
			for _, what := range []string{path, "/_latchkey/barrier/0"} {
				p.want(t, http.StatusForbidden, "GET", what, "nobody:first password", "", nil)
				p.want(t, http.StatusUnauthorized, "GET", what, "nobody:wrong", "", nil)
			}
		}
		a.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"ids":["`+k.ID+`"]}`, nil)
		for _, p := range nodes {
			p.want(t, http.StatusUnauthorized, "GET", path, k.Encoded, "", nil)
		}
	})
	t.Run("all is well", func(t *testing.T) {
		const acks = `latchkey_barrier_seconds_count{exit="acks"}`
		for before := a.metric(t, acks); a.metric(t, acks) == before; { // a machine that is very busy has others shut out
			if err := revoke(); err != nil {
				t.Fatal(err)
			}
		}
		if all, vain := a.metric(t, "latchkey_pushes_total"), a.metric(t, "latchkey_failed_pushes_total"); vain >= all {
			t.Errorf("of %v pushes %v were in vain", all, vain)
		}
		if left, lag := a.metric(t, "latchkey_lease_remaining_seconds"), a.metric(t, "latchkey_applied_lag"); left <= 0 || left > 2 || lag != 0 {
			t.Errorf("a lease of %v s, a lag of %v", left, lag)
		}
		if n := a.metric(t, "latchkey_history_forks_total"); n != 0 {
			t.Errorf("%v forks", n)
		}
		f := watch(elastic)
		if len(f.Nodes) != 3 || f.Applied != f.Newest || f.Applied == 0 || f.LeaseMillis <= 0 || f.LeaseMillis > 2000 {
			t.Errorf("the fleet is %+v", f)
		}
		for _, n := range f.Nodes {
			if n.Lag != 0 || !strings.HasPrefix(n.Address, "https://127.0.0.1:") || n.Name == "" || n.ID == "" || n.LeaseMillis != 2000 {
				t.Errorf("a node is %+v", n)
			}
		}
	})
	t.Run("a node stands still", func(t *testing.T) {
		var before latchkey.FleetResponse
		c.want(t, http.StatusOK, "GET", path, elastic, "", &before)
		if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- revoke() }()
		lags, over := 0, false
		for !over {
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
				over = true
			default:
			}
			for _, n := range watch(elastic).Nodes {
				if n.ID == before.Node && n.Lag == 1 {
					lags++
				}
			}
		}
		if lags == 0 {
			t.Error("nobody has seen that a node is behind")
		}
		if err := revoke(); err != nil { // the first may have passed by time, just before the fence
			t.Error(err)
		}
		among := func(id string) bool {
			return slices.ContainsFunc(watch(elastic).Nodes, func(n latchkey.FleetNode) bool { return n.ID == id })
		}
		if among(before.Node) {
			t.Error("the node that stands still was not shut out")
		}
		if a.metric(t, "latchkey_fences_total") == 0 {
			t.Error("a fence is not counted")
		}
		if by := a.metric(t, `latchkey_barrier_seconds_count{exit="fence"}`) + a.metric(t, `latchkey_barrier_seconds_count{exit="time"}`); by == 0 {
			t.Error("no answer has passed without the node that stands still")
		}
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		c.eventually(t, http.StatusOK, "/_latchkey/ready", elastic)
		var after latchkey.FleetResponse
		c.want(t, http.StatusOK, "GET", path, elastic, "", &after)
		if after.Node == before.Node || !among(after.Node) {
			t.Errorf("the node that goes on was %s, is %s and among the others: %v", before.Node, after.Node, among(after.Node))
		}
	})
	t.Run("records", func(t *testing.T) {
		records(t, b, watch(elastic))
	})
}

// tape is a transport that keeps the last request.
type tape struct {
	http.RoundTripper
	last *http.Request
	body []byte
}

func (r *tape) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.last, r.body = req.Clone(req.Context()), body
	req.Body = io.NopCloser(bytes.NewReader(body))
	return r.RoundTripper.RoundTrip(req)
}

// records has somebody send records to p who may not, or may not any more.
func records(t *testing.T, p *process, before latchkey.FleetResponse) {
	t.Helper()
	wire := &tape{RoundTripper: p.client.Transport}
	push := func(shared string) (fleet.Ack, error) {
		t.Helper()
		type answer struct {
			ack fleet.Ack
			err error
		}
		got := make(chan answer, 1)
		c := peer.NewClient(secret.Of(shared), &http.Client{Transport: wire})
		c.Push(p.url, fleet.Push{Records: []fleet.Record{{Mark: fleet.Mark{Rev: before.Applied + 5, UID: "x"}, Kind: "x"}}}, func(a fleet.Ack, err error) { got <- answer{a, err} })
		defer c.Close()
		r := <-got
		return r.ack, r.err
	}
	if a, err := push("another secret, which is as long as it has to be"); err == nil {
		t.Errorf("who does not know the secret is answered %+v", a)
	}
	if a, err := push(fleetSecret); err != nil || a.Rev != 0 { // it comes out of turn
		t.Errorf("a record out of turn is answered %+v, %v", a, err)
	}
	send := func(size int64, change func(*http.Request)) int {
		t.Helper()
		body := bytes.NewReader(wire.body)
		r, err := http.NewRequest("POST", p.url+peer.Path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = wire.last.Header.Clone()
		if size != 0 {
			r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeroes{}, size)), size
		}
		change(r)
		resp, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || strings.Contains(string(text), fleetSecret) {
			t.Errorf("%q, %v", text, err)
		}
		return resp.StatusCode
	}
	for _, tt := range []struct {
		name   string
		size   int64
		change func(*http.Request)
		want   int
	}{
		{"sent again", 0, func(*http.Request) {}, http.StatusOK}, // does what it did: nothing
		{"without a proof", 0, func(r *http.Request) { r.Header.Del("X-Latchkey-Mac") }, http.StatusUnauthorized},
		{"with a credential and no proof", 0, func(r *http.Request) { r.Header.Del("X-Latchkey-Mac"); r.SetBasicAuth("elastic", password) }, http.StatusUnauthorized},
		{"under another nonce", 0, func(r *http.Request) { r.Header.Set("X-Latchkey-Nonce", "n") }, http.StatusUnauthorized},
		{"with another body", 100, func(*http.Request) {}, http.StatusUnauthorized},
		{"of a size that nobody sends", 9 << 20, func(*http.Request) {}, http.StatusRequestEntityTooLarge},
	} {
		if got := send(tt.size, tt.change); got != tt.want {
			t.Errorf("records %s: %d, want %d", tt.name, got, tt.want)
		}
	}
	var f latchkey.FleetResponse
	p.want(t, http.StatusOK, "GET", "/_latchkey/fleet", elastic, "", &f)
	if f.Applied != before.Applied {
		t.Errorf("the node has applied %d revisions, before it was sent anything %d", f.Applied, before.Applied)
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
