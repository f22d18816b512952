package node_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/sqlstore/pgtest"
)

// rounds is how often the node is killed: 15 times, 3 with -short, or as LATCHKEY_CRASH_ROUNDS says.
func rounds(t *testing.T) int {
	text := os.Getenv("LATCHKEY_CRASH_ROUNDS")
	switch {
	case text != "":
	case testing.Short():
		return 3
	default:
		return 15
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("LATCHKEY_CRASH_ROUNDS is %q, want a number above 0", text)
	}
	return n
}

// history is what clients of a node that crashes know: what they asked for, and
// which of it was acknowledged.
type history struct {
	owners []string // users whose keys are invalidated all at once

	mu      sync.Mutex            // guards what follows
	wanted  map[string]bool       // names of all keys that somebody asked for
	live    map[string]createdKey // by id: acknowledged, and nobody asked to end them
	dead    map[string]createdKey // by id: their end was acknowledged
	groups  []group               // of the round
	ofOwner map[string][]createdKey
}

// group is the keys that one request was to end. Their end is one act.
type group struct {
	keys  []createdKey
	acked bool
}

func (h *history) ask(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wanted[name] = true
}

// storedKey is what the node tells of a key.
type storedKey struct {
	ID, Name     string
	Creation     int64
	Invalidated  bool
	Invalidation int64
	Username     string
	Metadata     map[string]string
	Roles        map[string]struct{ Cluster []string } `json:"role_descriptors"`
	LimitedBy    []map[string]any                      `json:"limited_by"`
}

func TestWhatWasAcknowledgedSurvivesACrash(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { survives(t, rounds(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		survives(t, (rounds(t)+2)/3, "-E", "latchkey.store.url="+pgtest.URL(t)) // the engine is not the one that crashes
	})
}

func survives(t *testing.T, rounds int, more ...string) {
	dir := dataFolder(t)
	h := &history{
		owners: []string{"o0", "o1", "o2", "o3"},
		wanted: map[string]bool{}, live: map[string]createdKey{}, dead: map[string]createdKey{}, ofOwner: map[string][]createdKey{},
	}
	p := node(t, dir, more...)
	for _, o := range h.owners {
		p.want(t, http.StatusOK, "PUT", "/_security/user/"+o, elastic, `{"password":"`+password+`","roles":["superuser"]}`, nil)
	}
	ended := 0
	for round := 0; round < rounds || ended == 0 && round < 10*rounds; round++ { // until something was shown
		victims := h.prepare(t, p, round)
		seed := rand.Uint64()
		h.storm(t, p, round, victims, rand.New(rand.NewPCG(seed, 0)))
		p = node(t, dir, more...)
		ended += h.verify(t, p, round)
		if t.Failed() {
			t.Fatalf("round %d, seed %d", round, seed)
		}
	}
	t.Logf("%d keys are live, %d invalidations were acknowledged in %d requests", len(h.live), len(h.dead), ended)
	if len(h.live) == 0 || ended == 0 {
		t.Error("nothing was acknowledged between the crashes, so nothing was shown")
	}
	p.stops(t)
	p = node(t, dir, more...)
	h.everyKey(t, p)
	p.stops(t)
}

// create makes a key whose parts can be checked against its name.
func (h *history) create(p *process, credential, name string) (createdKey, int, error) {
	h.ask(name)
	var k createdKey
	body := fmt.Sprintf(`{"name":%q,"metadata":{"is":%q},"role_descriptors":{"r":{"cluster":["manage_own_api_key","monitor"]},"of %s":{}}}`, name, name, name)
	status, err := p.call("POST", "/_security/api_key", credential, body, &k)
	return k, status, err
}

// prepare makes the keys that the storm will end, and presents each once, so
// that the node knows them by heart.
func (h *history) prepare(t *testing.T, p *process, round int) (pairs [][]createdKey) {
	t.Helper()
	h.groups = nil
	var mu sync.Mutex // guards pairs
	var all sync.WaitGroup
	add := func(credential, name string) createdKey {
		k, status, err := h.create(p, credential, name)
		if err != nil || status != http.StatusOK {
			t.Errorf("create %s: got %d (%v)", name, status, err)
		}
		p.wantLogin(t, http.StatusOK, k.Encoded)
		return k
	}
	for i := range 24 {
		all.Go(func() {
			pair := []createdKey{add(elastic, fmt.Sprintf("a-%d-%d", round, i)), add(elastic, fmt.Sprintf("b-%d-%d", round, i))}
			mu.Lock()
			defer mu.Unlock()
			pairs = append(pairs, pair)
		})
	}
	for _, o := range h.owners {
		all.Go(func() {
			var keys []createdKey
			for i := range 6 {
				keys = append(keys, add(o+":"+password, fmt.Sprintf("%s-%d-%d", o, round, i)))
			}
			mu.Lock()
			defer mu.Unlock()
			h.ofOwner[o] = append(h.ofOwner[o], keys...)
		})
	}
	all.Wait()
	return pairs
}

// storm creates and invalidates from all sides until the node is killed in the middle of it.
func (h *history) storm(t *testing.T, p *process, round int, pairs [][]createdKey, chance *rand.Rand) {
	t.Helper()
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
	end := func(body string, keys []createdKey) bool {
		h.mu.Lock()
		h.groups = append(h.groups, group{keys: keys})
		mine := len(h.groups) - 1
		h.mu.Unlock()
		var answer struct {
			IDs []string `json:"invalidated_api_keys"`
		}
		if status, err := p.call("DELETE", "/_security/api_key", elastic, body, &answer); lost("invalidate", status, err) {
			return false
		}
		h.mu.Lock()
		h.groups[mine].acked = true
		h.mu.Unlock()
		if want := ids(keys); !slices.Equal(answer.IDs, want) {
			t.Errorf("%s ended the keys %q, want %q", body, answer.IDs, want)
		}
		for _, k := range keys {
			if status, err := p.call("GET", "/_security/_authenticate", k.Encoded, "", nil); err == nil && status != http.StatusUnauthorized {
				t.Errorf("key %s: got %d right after its end was acknowledged, want 401", k.ID, status)
			}
		}
		return true
	}

	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("new-%d-worker-%d-%d", round, w, i)
				k, status, err := h.create(p, elastic, name)
				if lost("create "+name, status, err) {
					return
				}
				h.mu.Lock()
				h.live[k.ID] = k
				h.mu.Unlock()
			}
		})
	}
	next := make(chan []createdKey, len(pairs))
	for _, pair := range pairs {
		next <- pair
	}
	close(next)
	for range 3 {
		all.Go(func() {
			for pair := range next {
				if !end(fmt.Sprintf(`{"ids":[%s]}`, farApart(pair)), pair) {
					return
				}
			}
		})
	}
	// Each owner's turn comes at some moment around the crash, each by another selector.
	for i, o := range h.owners {
		wait := time.Duration(chance.IntN(70)) * time.Millisecond
		body := fmt.Sprintf(`{"username":%q}`, o)
		if i%2 == 1 {
			body = fmt.Sprintf(`{"username":%q,"realm_name":"default_native"}`, o)
		}
		all.Go(func() {
			time.Sleep(wait)
			end(body, h.ofOwner[o])
		})
	}
	time.Sleep(time.Duration(chance.IntN(80)) * time.Millisecond)
	killed.Store(true)
	p.kill()
	all.Wait()

	// Pairs whose turn did not come live on.
	tried := map[string]bool{}
	for _, g := range h.groups {
		for _, k := range g.keys {
			tried[k.ID] = true
		}
	}
	for _, pair := range pairs {
		for _, k := range pair {
			if !tried[k.ID] {
				h.live[k.ID] = k
			}
		}
	}
}

// farApart lists the ids of two keys and, in their order between them, so many
// others that the store needs more than one statement for all. One act it is all the same.
func farApart(pair []createdKey) string {
	first := min(pair[0].ID, pair[1].ID)
	list := []string{strconv.Quote(pair[0].ID), strconv.Quote(pair[1].ID)}
	for i := range 1500 {
		list = append(list, fmt.Sprintf(`"%s-%04d"`, first, i))
	}
	return strings.Join(list, ",")
}

func ids(keys []createdKey) []string {
	var all []string
	for _, k := range keys {
		all = append(all, k.ID)
	}
	slices.Sort(all)
	return all
}

// verify compares what the restarted node holds with what its clients know, and
// learns how the requests without an answer ended. It returns how many
// invalidations were acknowledged in this round.
func (h *history) verify(t *testing.T, p *process, round int) (acked int) {
	t.Helper()
	stored := h.stored(t, p)
	for id := range h.live {
		if k, ok := stored[id]; !ok || k.Invalidated {
			t.Errorf("key %s was acknowledged; now it is there: %v, invalidated: %v", id, ok, k.Invalidated)
		}
	}
	h.ofOwner = map[string][]createdKey{}
	for _, g := range h.groups {
		times := map[int64]int{}
		for _, k := range g.keys {
			s, ok := stored[k.ID]
			if !ok || s.Invalidated != (s.Invalidation != 0) {
				t.Errorf("key %s is there: %v, as %+v", k.ID, ok, s)
			}
			times[s.Invalidation]++
			if s.Invalidated {
				h.dead[k.ID] = k
				p.wantLogin(t, http.StatusUnauthorized, k.Encoded)
				continue
			}
			p.wantLogin(t, http.StatusOK, k.Encoded)
			if s.Username == "elastic" {
				h.live[k.ID] = k
			} else {
				h.ofOwner[s.Username] = append(h.ofOwner[s.Username], k)
			}
		}
		switch {
		case len(times) != 1:
			t.Errorf("one request was to end the keys %q; they ended at %v (times: keys), want all at one time or none", ids(g.keys), times)
		case g.acked && times[0] != 0:
			t.Errorf("the end of the keys %q was acknowledged, and they live", ids(g.keys))
		}
		if g.acked {
			acked++
		}
	}
	var lately []createdKey
	for _, k := range h.live {
		if strings.Contains(k.Name, fmt.Sprintf("-%d-", round)) {
			lately = append(lately, k)
		}
	}
	h.present(t, p, http.StatusOK, lately)
	return acked
}

// stored reads all keys and checks that each is whole, and one that somebody asked for.
func (h *history) stored(t *testing.T, p *process) map[string]storedKey {
	t.Helper()
	var list struct {
		Keys []storedKey `json:"api_keys"`
	}
	p.want(t, http.StatusOK, "GET", "/_security/api_key?with_limited_by=true", elastic, "", &list)
	byID, names := map[string]storedKey{}, map[string]bool{}
	for _, k := range list.Keys {
		_, own := k.Roles["of "+k.Name]
		whole := h.wanted[k.Name] && !names[k.Name] && k.Creation > 0 && k.Metadata["is"] == k.Name && own && len(k.Roles) == 2 &&
			slices.Equal(k.Roles["r"].Cluster, []string{"manage_own_api_key", "monitor"}) && len(k.LimitedBy) == 1 && k.LimitedBy[0]["superuser"] != nil
		if !whole {
			t.Errorf("a key is not whole, not asked for or there twice: %+v", k)
		}
		byID[k.ID], names[k.Name] = k, true
	}
	return byID
}

// everyKey presents all keys whose state is known.
func (h *history) everyKey(t *testing.T, p *process) {
	t.Helper()
	h.present(t, p, http.StatusOK, slices.Collect(maps.Values(h.live)))
	h.present(t, p, http.StatusUnauthorized, slices.Collect(maps.Values(h.dead)))
}

func (h *history) present(t *testing.T, p *process, status int, keys []createdKey) {
	t.Helper()
	var all sync.WaitGroup
	for part := range slices.Chunk(keys, len(keys)/8+1) {
		all.Go(func() {
			for _, k := range part {
				p.wantLogin(t, status, k.Encoded)
			}
		})
	}
	all.Wait()
}
