package serviceaccount_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/serviceaccount"
	"latchkey/internal/sqlstore"
)

const fleet = "elastic/fleet-server"

func openStore(t testing.TB) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "latchkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func newService(t testing.TB, store serviceaccount.Store, change ...func(*serviceaccount.Options)) *serviceaccount.Service {
	t.Helper()
	hasher, err := secret.NewHasher("pbkdf2_stretch_1000") // the default with fewer rounds
	if err != nil {
		t.Fatal(err)
	}
	o := serviceaccount.Options{Hasher: hasher, CacheTTL: time.Hour, CacheMax: 100, Now: time.Now}
	for _, f := range change {
		f(&o)
	}
	return serviceaccount.New(store, o)
}

func holder(privilege string) *access.Caller {
	return &access.Caller{Type: access.ByRealm, Subject: access.Subject{Username: "x",
		Permissions: access.NewPermissions([]string{"r"}, nil, access.NewRole(access.Descriptor{Cluster: []string{privilege}}))}}
}

var admin = holder("manage_service_account")

func create(t testing.TB, s *serviceaccount.Service, account, name string) serviceaccount.Created {
	t.Helper()
	made, err := s.Create(t.Context(), admin, account, name)
	if err != nil {
		t.Fatalf("Create(%s, %s): %v", account, name, err)
	}
	return made
}

func wantKind(t testing.TB, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != want {
		t.Errorf("%s: %v; want a fault of kind %d", what, err, want)
	}
}

// wantRefused expects the one refusal that all wrong tokens of a name share.
func wantRefused(t testing.TB, s *serviceaccount.Service, what, value, key string) {
	t.Helper()
	c, mine, err := s.Verify(t.Context(), value)
	i := strings.LastIndexByte(key, '/')
	want := fmt.Sprintf("unable to authenticate service account [%s] with token [%s]", key[:i], key[i+1:])
	if f, ok := errors.AsType[*fault.Error](err); c != nil || !mine || !ok || f.Kind != fault.Unauthenticated || err.Error() != want {
		t.Errorf("%s: Verify = %v, %v, %v; want it refused as %s", what, c, mine, err, want)
	}
}

func wantAccepted(t testing.TB, s *serviceaccount.Service, what, value, username string) {
	t.Helper()
	if c, mine, err := s.Verify(t.Context(), value); err != nil || !mine || c.Username != username {
		t.Errorf("%s: Verify = %+v, %v, %v; want %s", what, c, mine, err, username)
	}
}

func TestTokenIsKeptAsAHash(t *testing.T) {
	db := openStore(t)
	s := newService(t, db)
	made := create(t, s, fleet, "t")
	raw, err := base64.RawStdEncoding.DecodeString(made.Value)
	text, ok := strings.CutPrefix(string(raw), "\x00\x01\x00\x01"+fleet+"/t:")
	if err != nil || !ok || !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(text) {
		t.Fatalf("ID-96: the value is %q, %v", raw, err)
	}
	kept, err := db.ServiceToken(t.Context(), fleet, "t")
	if err != nil || !strings.HasPrefix(kept.Hash, "{PBKDF2_STRETCH}1000$") || strings.Contains(kept.Hash, text) {
		t.Errorf("the store holds %+v, %v; want a PBKDF2_STRETCH hash", kept, err)
	}
	if match, err := secret.Verify(t.Context(), kept.Hash, text); !match || err != nil {
		t.Errorf("the hash is not that of the secret: %v", err)
	}
	if again := create(t, s, fleet, "u"); again.Value == made.Value || len(again.Value) != len(made.Value) {
		t.Error("two tokens are alike")
	}
}

func TestCreateAndDeleteRefuse(t *testing.T) {
	s := newService(t, openStore(t))
	create(t, s, fleet, "t")
	nobody := holder("monitor")
	tests := []struct {
		name           string
		by             *access.Caller
		account, token string
		create, delete fault.Kind // Internal: no error
	}{
		{"ID-98: a bad name, before the right", nobody, fleet, "_t", fault.Invalid, fault.Invalid},
		{"no right, before the account", nobody, "elastic/nosuch", "t", fault.Forbidden, fault.Forbidden},
		{"reading is no writing", holder("read_security"), fleet, "t", fault.Forbidden, fault.Forbidden},
		{"ID-98: an unknown account", admin, "elastic/nosuch", "t", fault.Argument, fault.Internal},
		{"ID-98: a taken name", holder("manage_security"), fleet, "t", fault.Conflict, fault.Internal},
	}
	for _, tt := range tests {
		_, err := s.Create(t.Context(), tt.by, tt.account, tt.token)
		wantKind(t, tt.name+": Create", err, tt.create)
		found, err := s.Delete(t.Context(), tt.by, tt.account, tt.token)
		if tt.delete != fault.Internal {
			wantKind(t, tt.name+": Delete", err, tt.delete)
		} else if err != nil || found != (tt.account == fleet) {
			t.Errorf("%s: Delete = %v, %v", tt.name, found, err)
		}
	}
	if _, err := s.Get(nobody, "", ""); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("Get without the right: %v", err)
	}
	if _, err := s.Credentials(t.Context(), nobody, fleet); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("Credentials without the right: %v", err)
	}
	if err := s.ClearCache(t.Context(), admin, fleet, []string{"*"}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("ClearCache with manage_service_account: %v; want Forbidden, since it needs manage_security", err)
	}
}

// Each token authenticates once before it is deleted, so that it is in memory.
func TestDeletedTokenIsRefusedAtOnce(t *testing.T) {
	s := newService(t, openStore(t))
	first, other := create(t, s, fleet, "t"), create(t, s, fleet, "other")
	wantAccepted(t, s, "ID-99", first.Value, fleet)
	wantAccepted(t, s, "ID-99", other.Value, fleet)
	wantRefused(t, s, "ID-99: a tampered secret", first.Value+"AAAA", fleet+"/t")
	wantRefused(t, s, "the secret of another token", strings.Replace(other.Value, other.Value[:40], first.Value[:40], 1), fleet+"/t")
	if found, err := s.Delete(t.Context(), admin, fleet, "t"); !found || err != nil {
		t.Fatalf("Delete = %v, %v", found, err)
	}
	wantRefused(t, s, "ID-99: deleted", first.Value, fleet+"/t")
	wantAccepted(t, s, "another token", other.Value, fleet)
	second := create(t, s, fleet, "t")
	wantRefused(t, s, "deleted, and its name is taken again", first.Value, fleet+"/t")
	wantAccepted(t, s, "the second of its name", second.Value, fleet)
}

// away is a store that answers with an error where there is one.
type away struct {
	serviceaccount.Store
	read, change error
}

func (a *away) ServiceToken(ctx context.Context, account, name string) (serviceaccount.Token, error) {
	if a.read != nil {
		return serviceaccount.Token{}, a.read
	}
	return a.Store.ServiceToken(ctx, account, name)
}

func (a *away) DeleteServiceToken(ctx context.Context, account, name string, deleted func()) (bool, error) {
	found, err := a.Store.DeleteServiceToken(ctx, account, name, func() {})
	return found, errors.Join(err, a.change)
}

func TestTokensAreVerifiedFromMemory(t *testing.T) {
	store := &away{Store: openStore(t)}
	s := newService(t, store)
	made := create(t, s, fleet, "t")
	wantAccepted(t, s, "the first time", made.Value, fleet)
	store.read = fault.New(fault.Unavailable, "the store is not available")
	before := secret.SlowHashes()
	for range 10 {
		wantAccepted(t, s, "from memory", made.Value, fleet)
	}
	if n := secret.SlowHashes() - before; n != 0 {
		t.Errorf("%d slow hashes were computed for a token in memory; want none", n)
	}
	for _, names := range [][]string{{"*"}, {"nosuch", "t"}} {
		store.read = nil
		wantAccepted(t, s, "again", made.Value, fleet)
		store.read = fault.New(fault.Unavailable, "the store is not available")
		if err := s.ClearCache(t.Context(), holder("manage_security"), fleet, names); err != nil {
			t.Error(err)
		}
		_, mine, err := s.Verify(t.Context(), made.Value)
		if wantKind(t, "a store that is away is no wrong token", err, fault.Unavailable); !mine {
			t.Error("a store that is away makes the token one of another kind")
		}
	}
}

func TestDeletionOfUnknownOutcome(t *testing.T) {
	store := &away{Store: openStore(t), change: fault.New(fault.Unknown, "the store did not confirm the change")}
	s := newService(t, store)
	made := create(t, s, fleet, "t")
	wantAccepted(t, s, "before", made.Value, fleet)
	_, err := s.Delete(t.Context(), admin, fleet, "t")
	wantKind(t, "Delete", err, fault.Unknown)
	wantRefused(t, s, "it may have been deleted, and it was", made.Value, fleet+"/t")
}

// Many requests that begin at once with one token cost one slow hash.
func TestManyAtOnceCostOneHash(t *testing.T) {
	hasher, err := secret.NewHasher("pbkdf2_stretch_100000") // slow enough for all to begin before it ends
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, openStore(t), func(o *serviceaccount.Options) { o.Hasher = hasher })
	made := create(t, s, fleet, "t")
	wantRefused(t, s, "to load it", made.Value+"AAAA", fleet+"/t")
	before := secret.SlowHashes()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { wantAccepted(t, s, "at once", made.Value, fleet) })
	}
	wg.Wait()
	if n := secret.SlowHashes() - before; n != 1 {
		t.Errorf("%d slow hashes for 50 requests at once; want one", n)
	}
}

// held is a store whose loads wait after they have read, until the test lets them go on.
type held struct {
	serviceaccount.Store
	read, goOn chan struct{}
	once       sync.Once
}

func (h *held) ServiceToken(ctx context.Context, account, name string) (serviceaccount.Token, error) {
	token, err := h.Store.ServiceToken(ctx, account, name)
	h.once.Do(func() {
		close(h.read)
		<-h.goOn
	})
	return token, err
}

func TestALoadThatBeganBeforeADeletion(t *testing.T) {
	store := &held{Store: openStore(t), read: make(chan struct{}), goOn: make(chan struct{})}
	s := newService(t, store)
	made := create(t, s, fleet, "t")
	var wg sync.WaitGroup
	wg.Go(func() { wantRefused(t, s, "loaded before the deletion", made.Value, fleet+"/t") })
	<-store.read
	if found, err := s.Delete(t.Context(), admin, fleet, "t"); !found || err != nil {
		t.Errorf("Delete = %v, %v", found, err)
	}
	close(store.goOn)
	wg.Wait()
	wantRefused(t, s, "after it", made.Value, fleet+"/t")
}

func TestDeletionsRaceWithRequests(t *testing.T) {
	s := newService(t, openStore(t))
	for round := range 20 {
		name := fmt.Sprint("t", round)
		made := create(t, s, fleet, name)
		wantAccepted(t, s, "before", made.Value, fleet)
		stop := make(chan struct{})
		var requests, deletions sync.WaitGroup
		for range 4 {
			requests.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, _, err := s.Verify(context.Background(), made.Value); err != nil && fault.KindOf(err) != fault.Unauthenticated {
						t.Error(err)
					}
				}
			})
		}
		for range 3 {
			deletions.Go(func() {
				if _, err := s.Delete(context.Background(), admin, fleet, name); err != nil {
					t.Error(err)
				}
				wantRefused(t, s, "after a deletion was answered", made.Value, fleet+"/"+name)
			})
		}
		deletions.Wait()
		close(stop)
		requests.Wait()
	}
}

func TestFileTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "service_tokens")
	s := newService(t, openStore(t), func(o *serviceaccount.Options) { o.File = file })
	news := func(what string, tokens, skipped int) {
		t.Helper()
		got, err := s.ReadFile()
		if err != nil || got == nil || got.Tokens != tokens || len(got.Skipped) != skipped {
			t.Errorf("%s: ReadFile = %+v, %v; want %d tokens, %d lines skipped", what, got, err, tokens, skipped)
		}
		if got, err := s.ReadFile(); got != nil || err != nil {
			t.Errorf("%s: a second ReadFile = %+v, %v; want no news", what, got, err)
		}
	}
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	value := func(key, text string) string {
		return base64.RawStdEncoding.EncodeToString([]byte("\x00\x01\x00\x01" + key + ":" + text))
	}
	stretch := func(text string) string {
		t.Helper()
		hasher, err := secret.NewHasher("pbkdf2_stretch_1000")
		if err != nil {
			t.Fatal(err)
		}
		hash, err := hasher.Hash(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if got, err := s.ReadFile(); got != nil || err != nil {
		t.Errorf("no file: ReadFile = %+v, %v; want no news", got, err)
	}
	slow := fleet + "/slow:" + stretch("slow-secret")
	write("# a comment", "", "  "+slow+"  ", fleet+"/twice:"+secret.HashRandom("first-secret"), fleet+"/twice:"+secret.HashRandom("second-secret"),
		"elastic/kibana/k:"+secret.HashRandom("k-secret-123"), fleet+"/short:"+secret.HashRandom("123456789"),
		"no colon", "elastic/fleet-server:"+secret.HashRandom("x"), fleet+"/_bad:"+secret.HashRandom("x"), "elastic/nosuch/t:"+secret.HashRandom("x"),
		fleet+"/clear:clear-secret", fleet+"/empty:", fleet+"/rounds:{PBKDF2}999$c2FsdHNhbHQ=$aGFzaA==", "#"+fleet+"/off:"+secret.HashRandom("off-secret-1"))
	news("a file with all kinds of lines", 4, 7)
	wantAccepted(t, s, "a slow hash", value(fleet+"/slow", "slow-secret"), fleet)
	wantAccepted(t, s, "the later of two lines", value(fleet+"/twice", "second-secret"), fleet)
	wantAccepted(t, s, "another account", value("elastic/kibana/k", "k-secret-123"), "elastic/kibana")
	for what, token := range map[string][2]string{
		"the earlier of two lines": {fleet + "/twice", "first-secret"}, "a short secret": {fleet + "/short", "123456789"},
		"a stored secret in clear": {fleet + "/clear", "clear-secret"}, "a comment": {fleet + "/off", "off-secret-1"},
		"an account that does not exist": {"elastic/nosuch/t", "x"}, "the token of another account": {"elastic/kibana/slow", "slow-secret"},
	} {
		wantRefused(t, s, what, value(token[0], token[1]), token[0])
	}
	if has, err := s.Credentials(t.Context(), admin, fleet); err != nil || fmt.Sprint(has) != "{[] [short slow twice]}" {
		t.Errorf("Credentials = %+v, %v", has, err)
	}

	write(slow)
	before := secret.SlowHashes()
	news("a file with one line left", 1, 0)
	wantAccepted(t, s, "a line that stayed", value(fleet+"/slow", "slow-secret"), fleet)
	wantRefused(t, s, "a line that is gone", value(fleet+"/twice", "second-secret"), fleet+"/twice")
	if n := secret.SlowHashes() - before; n != 0 {
		t.Errorf("%d slow hashes for a line that stayed; want none", n)
	}

	write(slow, "\xff")
	if got, err := s.ReadFile(); got != nil || err == nil {
		t.Errorf("a file that is no text: ReadFile = %+v, %v; want an error", got, err)
	}
	wantRefused(t, s, "a file that is no text", value(fleet+"/slow", "slow-secret"), fleet+"/slow")
	write(slow)
	news("the file is mended", 1, 0)
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ReadFile(); got != nil || err == nil {
		t.Errorf("a folder: ReadFile = %+v, %v; want an error", got, err)
	}
	wantRefused(t, s, "a file that cannot be read", value(fleet+"/slow", "slow-secret"), fleet+"/slow")
	if got, err := s.ReadFile(); got != nil || err != nil {
		t.Errorf("a folder still: ReadFile = %+v, %v; want the error told once", got, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	news("the file is gone", 0, 0)
}

func TestFileComesBeforeTheStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "service_tokens")
	if err := os.WriteFile(file, []byte(fleet+"/t:"+secret.HashRandom("file-secret-1")), 0o600); err != nil {
		t.Fatal(err)
	}
	store := &away{Store: openStore(t)}
	s := newService(t, store, func(o *serviceaccount.Options) { o.File = file })
	if _, err := s.ReadFile(); err != nil {
		t.Fatal(err)
	}
	made := create(t, s, fleet, "t")
	for value, want := range map[string]string{
		base64.RawStdEncoding.EncodeToString([]byte("\x00\x01\x00\x01" + fleet + "/t:file-secret-1")): "_service_account_file",
		made.Value: "_service_account_index",
	} {
		c, _, err := s.Verify(t.Context(), value)
		if err != nil || c.Service.TokenType != want || c.Service.TokenName != "t" || c.Type != access.ByToken {
			t.Errorf("Verify = %+v, %v; want a token of type %s", c, err, want)
		}
	}
	store.read = fault.New(fault.Unavailable, "the store is not available")
	wantAccepted(t, s, "a token of the file needs no store", base64.RawStdEncoding.EncodeToString([]byte("\x00\x01\x00\x01"+fleet+"/t:file-secret-1")), fleet)
}
