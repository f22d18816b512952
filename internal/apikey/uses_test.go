package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/sqlstore"
)

// noting is a store that counts the writes of uses, and may refuse them.
type noting struct {
	*sqlstore.DB
	mu     sync.Mutex
	refuse error
	during func() // called once, within a write
	writes int
	noted  map[string]apikey.Use
}

func (n *noting) NoteAPIKeyUses(ctx context.Context, uses []apikey.Use) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.writes++
	if n.refuse != nil {
		return n.refuse
	}
	if n.during != nil {
		n.during()
		n.during = nil
	}
	for _, u := range uses {
		n.noted[u.KeyID] = u
	}
	return n.DB.NoteAPIKeyUses(ctx, uses)
}

func (n *noting) set(refuse error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = refuse
}

func (n *noting) seen() (writes, noted int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.writes, len(n.noted)
}

func newNoting(t testing.TB) *noting {
	return &noting{DB: openStore(t), noted: map[string]apikey.Use{}}
}

// use sends a request with a key.
func use(t testing.TB, s *apikey.Service, k apikey.Created, remote, agent string) {
	t.Helper()
	c, err := s.Verify(t.Context(), k.ID, k.Secret)
	if err != nil {
		t.Fatal(err)
	}
	s.Used(c, remote, agent)
}

// lastUse is what get shows of a key of by, without the id.
func lastUse(t testing.TB, s *apikey.Service, by *access.Caller, id string) apikey.Use {
	t.Helper()
	infos, err := s.Get(t.Context(), by, apikey.GetRequest{ID: id, Owner: true, WithLastUsed: true})
	if err != nil || len(infos) != 1 {
		t.Fatalf("get %s: %d keys, %v", id, len(infos), err)
	}
	u := infos[0].LastUse
	if !u.At.IsZero() && u.KeyID != id {
		t.Errorf("the last use of %s is that of %s", id, u.KeyID)
	}
	u.KeyID = ""
	return u
}

func TestTheFirstUseOfAMinuteIsKept(t *testing.T) {
	for name, entries := range map[string]int{"of a key in memory": 1000, "of a key that is not": 0} {
		t.Run(name, func(t *testing.T) { firstUseOfAMinuteIsKept(t, entries) })
	}
}

func firstUseOfAMinuteIsKept(t *testing.T, entries int) {
	synctest.Test(t, func(t *testing.T) { // its clock begins with a minute
		s, by := newService(openStore(t), func(o *apikey.Options) { o.CacheMax = entries }), caller(t, "u", "manage_own_api_key")
		k, other := create(t, s, by, "n"), create(t, s, by, "n")
		start := time.Now().UTC()
		want := apikey.Use{}
		for i, after := range []time.Duration{0, 30 * time.Second, 29 * time.Second, time.Second, time.Second, time.Hour} {
			time.Sleep(after)
			agent := fmt.Sprint("agent ", i)
			use(t, s, k, "192.0.2.1:443", agent)
			if i == 0 || i == 3 || i == 5 {
				want = apikey.Use{At: time.Now().UTC(), Address: "192.0.2.1", Agent: agent}
			}
			if got := lastUse(t, s, by, k.ID); got != want {
				t.Errorf("%v after the start: %v; want %v", time.Since(start), got, want)
			}
		}
		if got := lastUse(t, s, by, other.ID); got != (apikey.Use{}) {
			t.Errorf("a key that was never used: %v", got)
		}
		infos, err := s.Get(t.Context(), by, apikey.GetRequest{ID: k.ID, Owner: true})
		if err != nil || len(infos) != 1 || infos[0].LastUse != (apikey.Use{}) {
			t.Errorf("get shows %v, %v; want no use: it was not asked for", infos, err)
		}
	})
}

func TestWhatIsNotedOfARequest(t *testing.T) {
	s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
	tests := []struct{ name, remote, agent, wantAddress, wantAgent string }{
		{"IPv4", "192.0.2.7:51000", "a/1.0 (x; y)", "192.0.2.7", "a/1.0 (x; y)"},
		{"IPv6", "[2001:db8::1]:443", "", "2001:db8::1", ""},
		{"IPv4 in IPv6", "[::ffff:192.0.2.7]:443", "a", "192.0.2.7", "a"},
		{"a zone", "[fe80::1%eth0]:443", "a", "fe80::1", "a"},
		{"no address", "@", "a", "", "a"},
		{"nothing", "", "", "", ""},
		{"256 characters", "", strings.Repeat("é", 256), "", strings.Repeat("é", 256)},
		{"one more", "", strings.Repeat("é", 257), "", strings.Repeat("é", 256)},
		{"very long", "", strings.Repeat("日本", 30_000), "", strings.Repeat("日本", 128)},
		{"not UTF-8", "", "a\xff\xfeb", "", "a\uFFFDb"},
	}
	for _, tt := range tests {
		k := create(t, s, by, "n")
		use(t, s, k, tt.remote, tt.agent)
		if got := lastUse(t, s, by, k.ID); got.Address != tt.wantAddress || got.Agent != tt.wantAgent || got.At.IsZero() {
			t.Errorf("%s: %+v; want %q, %q", tt.name, got, tt.wantAddress, tt.wantAgent)
		}
	}
}

// A key is used by who shows its secret, whomever that one runs as. A token is
// another credential, also if a key has made it.
func TestWhoseUseItIs(t *testing.T) {
	s, by := newService(openStore(t)), caller(t, "u", "manage_own_api_key")
	tests := []struct {
		name string
		of   func(key *access.Caller) *access.Caller
		used bool
	}{
		{"the key", func(key *access.Caller) *access.Caller { return key }, true},
		{"the key as somebody else", func(key *access.Caller) *access.Caller {
			return &access.Caller{Subject: by.Subject, Type: access.ByAPIKey, By: &key.Subject}
		}, true},
		{"a token of the key", func(key *access.Caller) *access.Caller {
			return &access.Caller{Subject: key.Subject, Type: access.ByToken}
		}, false},
		{"the owner", func(*access.Caller) *access.Caller { return by }, false},
	}
	for _, tt := range tests {
		k := create(t, s, by, "n")
		key, err := s.Verify(t.Context(), k.ID, k.Secret)
		if err != nil {
			t.Fatal(err)
		}
		s.Used(tt.of(key), "192.0.2.1:1", "a")
		if got := lastUse(t, s, by, k.ID); got.At.IsZero() == tt.used {
			t.Errorf("%s: %v; want a use: %t", tt.name, got, tt.used)
		}
	}
}

func TestUsesAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newNoting(t)
		s, by := newService(store), caller(t, "u", "manage_own_api_key")
		keys := []apikey.Created{create(t, s, by, "a"), create(t, s, by, "b"), create(t, s, by, "c")}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		var told []error
		go func() { done <- s.RecordUses(ctx, func(err error) { told = append(told, err) }) }()
		wants := func(when string, writes, noted int) {
			t.Helper()
			synctest.Wait()
			if w, n := store.seen(); w != writes || n != noted {
				t.Errorf("%s: %d writes of %d keys; want %d of %d", when, w, n, writes, noted)
			}
		}
		for range 1000 {
			use(t, s, keys[0], "192.0.2.1:1", "x")
			use(t, s, keys[1], "192.0.2.1:1", "x")
		}
		wants("after the requests", 0, 0)
		time.Sleep(10 * time.Second)
		wants("after the interval", 1, 2)
		time.Sleep(30 * time.Second)
		wants("with nothing new", 1, 2)

		store.set(errors.New("the disk is full"))
		use(t, s, keys[2], "192.0.2.1:1", "x")
		time.Sleep(20 * time.Second)
		wants("while the store refuses", 3, 2)
		if len(told) != 2 {
			t.Errorf("told of %d failures: %v; want 2", len(told), told)
		}
		if got := lastUse(t, s, by, keys[2].ID); !got.At.IsZero() {
			t.Errorf("what is not written is shown: %v", got)
		}
		store.set(nil)
		time.Sleep(10 * time.Second)
		wants("when it works again", 5, 3) // one of the refused was for the look above

		use(t, s, keys[0], "192.0.2.1:2", "last")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wants("at the end", 6, 3)
		if got := store.noted[keys[0].ID]; got.Agent != "last" {
			t.Errorf("the end wrote %+v; want the last use", got)
		}
	})
}

// What the requests of one minute pay for a last use, beside [BenchmarkVerifyCached].
func BenchmarkUsedAgain(b *testing.B) {
	s, by := newService(openStore(b)), caller(b, "u", "manage_own_api_key")
	k := create(b, s, by, "n")
	c, err := s.Verify(b.Context(), k.ID, k.Secret)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Used(c, "192.0.2.1:443", "agent/1.0")
	}
}

// Of two uses that wait to be written the later one is kept, whichever comes last.
func TestALateUseTakesNoPlace(t *testing.T) {
	now := time.UnixMilli(60 * 1000 * 1000).UTC()
	s, by := newService(openStore(t), func(o *apikey.Options) { o.Now, o.CacheMax = func() time.Time { return now }, 0 }), caller(t, "u", "manage_own_api_key")
	k := create(t, s, by, "n")
	use(t, s, k, "192.0.2.1:1", "later")
	now = now.Add(-time.Millisecond)
	use(t, s, k, "192.0.2.1:1", "earlier")
	if got := lastUse(t, s, by, k.ID); got.Agent != "later" {
		t.Errorf("the last use is %+v; want the later one", got)
	}
}

// A use that comes while the one before is written is written the next time.
func TestAUseDuringTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newNoting(t)
		s, by := newService(store), caller(t, "u", "manage_own_api_key")
		k := create(t, s, by, "n")
		use(t, s, k, "192.0.2.1:1", "before")
		store.during = func() {
			time.Sleep(time.Minute)
			use(t, s, k, "192.0.2.1:1", "meanwhile")
		}
		for _, want := range []string{"before", "meanwhile"} {
			if got := lastUse(t, s, by, k.ID); got.Agent != want {
				t.Errorf("the last use is %+v; want %s", got, want)
			}
		}
	})
}

// What a store that takes no writes can cost is bounded, and a key for which there
// was no room is noted as soon as there is.
func TestUsesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newNoting(t)
		s, by := newService(store), caller(t, "u", "manage_own_api_key")
		k := create(t, s, by, "n")
		store.set(errors.New("the disk is full"))
		const room = 50_000
		for i := range room {
			s.Used(&access.Caller{Type: access.ByAPIKey, Subject: access.Subject{APIKey: &access.APIKey{ID: fmt.Sprint(i)}}}, "192.0.2.1:1", "x")
		}
		use(t, s, k, "192.0.2.1:1", "too many")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.RecordUses(ctx, func(error) {}) }()
		synctest.Wait()
		if writes, _ := store.seen(); writes != 1 {
			t.Errorf("%d writes at once; want 1: so many do not wait for their turn", writes)
		}
		for i := range 100 {
			s.Used(&access.Caller{Type: access.ByAPIKey, Subject: access.Subject{APIKey: &access.APIKey{ID: fmt.Sprint(i)}}}, "192.0.2.1:1", "x")
			synctest.Wait()
			time.Sleep(time.Minute / 100)
		}
		if writes, _ := store.seen(); writes > 1+6 {
			t.Errorf("%d writes within a minute to a store that refuses; want one every 10 seconds", writes)
		}
		store.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if _, noted := store.seen(); noted != room {
			t.Errorf("%d uses were written; want %d", noted, room)
		}
		use(t, s, k, "192.0.2.1:1", "room again")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := store.noted[k.ID]; got.Agent != "room again" {
			t.Errorf("the key for which there was no room: %+v", got)
		}
	})
}

// Requests, reads and the recorder meet; in the end the last use is there.
func TestUsesAllAtOnce(t *testing.T) {
	store := openStore(t)
	s, by := newService(store, func(o *apikey.Options) { o.CacheMax = 2 }), caller(t, "u", "manage_own_api_key")
	var keys []apikey.Created
	for range 5 {
		keys = append(keys, create(t, s, by, "n"))
	}
	ctx, stop := context.WithCancel(t.Context())
	var recorder, all sync.WaitGroup
	recorder.Go(func() {
		if err := s.RecordUses(ctx, func(err error) { t.Error(err) }); err != nil {
			t.Error(err)
		}
	})
	began := time.Now().Truncate(time.Millisecond)
	for i := range 4 {
		all.Go(func() {
			for n := range 50 {
				k := keys[(i+n)%len(keys)]
				use(t, s, k, "192.0.2.1:1", "x")
				if got := lastUse(t, s, by, k.ID); got.At.Before(began) {
					t.Errorf("a request that was answered is not seen: %v", got)
				}
			}
		})
	}
	all.Wait()
	stop()
	recorder.Wait()
	for _, k := range keys {
		uses, err := store.APIKeyUses(t.Context(), []string{k.ID})
		if err != nil || uses[k.ID].At.Before(began) {
			t.Errorf("the store holds %v, %v", uses, err)
		}
	}
}
