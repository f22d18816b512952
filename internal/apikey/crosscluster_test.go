package apikey_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

var logs = access.CrossClusterAccess{Search: []access.IndexEntry{{Names: []string{"logs"}}}}

func createCrossCluster(t testing.TB, s *apikey.Service, by *access.Caller, identity string) apikey.Created {
	t.Helper()
	made, err := s.CreateCrossCluster(t.Context(), by, apikey.CrossClusterRequest{Name: "c", Access: logs, CertificateIdentity: identity})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A cross-cluster key is no credential of a request. That is said to its holder
// alone; to others it is as any key.
func TestACrossClusterKeyIsNoCredential(t *testing.T) {
	s, security := newService(openStore(t)), caller(t, "s", "manage_security")
	k := createCrossCluster(t, s, security, "CN=.*")
	_, err := s.Verify(t.Context(), k.ID, k.Secret)
	f, ok := err.(*fault.Error)
	if want := "authentication expected API key type of [rest], but API key [" + k.ID + "] has type [cross_cluster]"; !ok ||
		f.Kind != fault.Unauthenticated || f.Reason != want || f.Detail != "" || len(f.Challenges) != 1 {
		t.Errorf("its secret: %+v; want %q and one challenge", err, want)
	}
	_, err = s.Verify(t.Context(), k.ID, "wrong")
	if f, ok := err.(*fault.Error); !ok || !strings.Contains(f.Detail, "invalid credentials") {
		t.Errorf("a wrong secret: %+v; want it told first", err)
	}
	if _, err := s.Holder(t.Context(), k.ID); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("its holder by another proof: %v", err)
	}
}

// AK-62: it keeps its access, and nothing of what its owner held.
func TestWhatACrossClusterKeyKeeps(t *testing.T) {
	s, security := newService(openStore(t)), caller(t, "s", "manage_security")
	k := createCrossCluster(t, s, security, "CN=a")
	got, err := s.Get(t.Context(), security, apikey.GetRequest{ID: k.ID, WithLimitedBy: true})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	info := got[0]
	if info.Type != apikey.CrossCluster || info.CertificateIdentity != "CN=a" || info.Owner.Username != "s" || info.Limit != nil || info.LimitedBy != (apikey.Digest{}) {
		t.Errorf("the key is %+v", info)
	}
	if got, want := string(info.Descriptors.CrossClusterAccess().JSON()), string(logs.JSON()); got != want || len(info.Descriptors) != 1 {
		t.Errorf("its access is %s; want %s", got, want)
	}
}

func TestCertificateIdentities(t *testing.T) {
	s, security := newService(openStore(t)), caller(t, "s", "manage_security")
	k := createCrossCluster(t, s, security, "")
	for pattern, good := range map[string]bool{
		"CN=(?i)host-[0-9]+,OU=ü.*": true, "": true, strings.Repeat("a", 1024): true,
		strings.Repeat("a", 1025): false, "CN=(": false, `\`: false, "a{1001}": false, "(?=x)": false, "((a{100}){100}){100}": false, "\xff": false,
	} {
		_, err := s.CreateCrossCluster(t.Context(), security, apikey.CrossClusterRequest{Name: "c", Access: logs, CertificateIdentity: pattern})
		if good != (err == nil) || !good && fault.KindOf(err) != fault.Invalid {
			t.Errorf("create with %.30q: %v", pattern, err)
		}
		_, err = s.UpdateCrossCluster(t.Context(), security, k.ID, apikey.CrossClusterUpdate{CertificateIdentity: &pattern})
		if good != (err == nil) || !good && fault.KindOf(err) != fault.Invalid {
			t.Errorf("update to %.30q: %v", pattern, err)
		}
	}
}

// AK-119: what makes no difference is no update.
func TestUpdatesOfACrossClusterKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		s, security := newService(store), caller(t, "s", "manage_security")
		k := createCrossCluster(t, s, security, "CN=a")
		object := func(text string) xcontent.Value {
			v, err := xcontent.ParseJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		both := access.CrossClusterAccess{Search: logs.Search, Replication: logs.Search}
		hour, none, other := time.Hour, "", "CN=b"
		tests := []struct {
			name    string
			req     apikey.CrossClusterUpdate
			changed bool
		}{
			{"the same access", apikey.CrossClusterUpdate{Access: &logs}, false},
			{"another access", apikey.CrossClusterUpdate{Access: &both}, true},
			{"that again", apikey.CrossClusterUpdate{Access: &both}, false},
			{"that again with an expiration", apikey.CrossClusterUpdate{Access: &both, Expiration: &hour}, true},
			{"metadata", apikey.CrossClusterUpdate{Metadata: object(`{"a":1,"b":2}`)}, true},
			{"the same metadata", apikey.CrossClusterUpdate{Metadata: object(`{"b":2,"a":1}`)}, false},
			{"no identity", apikey.CrossClusterUpdate{CertificateIdentity: &none}, true},
			{"no identity again", apikey.CrossClusterUpdate{CertificateIdentity: &none}, false},
			{"another identity", apikey.CrossClusterUpdate{CertificateIdentity: &other}, true},
			{"all of it again", apikey.CrossClusterUpdate{Access: &both, Metadata: object(`{"a":1,"b":2}`), CertificateIdentity: &other}, false},
		}
		for _, tt := range tests {
			if changed, err := s.UpdateCrossCluster(t.Context(), security, k.ID, tt.req); err != nil || changed != tt.changed {
				t.Errorf("%s: updated is %v, %v; want %v", tt.name, changed, err, tt.changed)
			}
		}
		got, err := store.APIKey(t.Context(), k.ID)
		if err != nil || got.CertificateIdentity != "CN=b" || string(got.Metadata) != `{"a":1,"b":2}` || !got.ExpiresAt.Equal(time.Now().Add(hour)) ||
			got.LimitedBy != (apikey.Digest{}) || got.Roles != both.Descriptors().RoleSet().Digest {
			t.Errorf("the key is now %+v, %v", got, err)
		}
		time.Sleep(hour + 1)
		if _, err := s.UpdateCrossCluster(t.Context(), security, k.ID, tests[0].req); fault.KindOf(err) != fault.Argument {
			t.Errorf("an expired key: %v; want fault.Argument", err)
		}
	})
}
