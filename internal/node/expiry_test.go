package node

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/config"
)

func TestWebhookIsToldOfKeysThatExpire(t *testing.T) {
	notices := make(chan latchkey.ExpiryNotice, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n latchkey.ExpiryNotice
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil || r.Header.Get("Authorization") != "Bearer hook" {
			t.Errorf("%v, authorization %q", err, r.Header.Get("Authorization"))
		}
		notices <- n
	}))
	defer hook.Close()
	cfg, err := config.Load(config.Sources{Dir: t.TempDir(), Overrides: []string{"path.data=" + t.TempDir(), "cluster.name=house",
		"latchkey.api_key.expiry_webhook=" + hook.URL, "latchkey.api_key.expiry_webhook_authorization=Bearer hook", "latchkey.api_key.policy.*.max_lifetime=30d"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	r, err := open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.db.Close()
	all := access.NewPermissions(nil, nil, access.NewRole(access.Descriptor{Cluster: []string{"all"}}))
	by := &access.Caller{Type: access.ByRealm, Subject: access.Subject{Username: "u", Realm: access.Realm{Name: "r", Type: "native"}, Permissions: all}}
	day := 24 * time.Hour
	k, err := r.keys.Create(t.Context(), by, apikey.CreateRequest{Name: "n", Expiration: &day})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.keys.Create(t.Context(), by, apikey.CreateRequest{Name: "without end"}); err == nil {
		t.Error("the policy does not count")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- warnOfExpiry(ctx, cfg, r.keys, r.db, "uuid", log) }()
	n := <-notices
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n.Event != "api_keys_expire_soon" || n.ClusterName != "house" || n.ClusterUUID != "uuid" || len(n.APIKeys) != 1 {
		t.Fatalf("%+v", n)
	}
	if e := n.APIKeys[0]; e.ID != k.ID || e.Name != "n" || e.Type != "rest" || e.Username != "u" || e.Realm != "r" || e.Expiration != k.ExpiresAt.UnixMilli() || string(e.Metadata) != "{}" {
		t.Errorf("%+v", e)
	}
}
