package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPolicies(t *testing.T) {
	c := mustLoad(t, `
latchkey.api_key.policy:
  "*": {max_lifetime: 90d}
  dev.ops:
    required_metadata: [team, owner]
    name_pattern: "app-[a-z]+"
`, []string{"ES_SETTING_LATCHKEY_API__KEY_POLICY_DEV_MAX__LIFETIME=12h"}, []string{"latchkey.api_key.policy.dev.ops.max_lifetime=1s"})
	want := map[string]KeyPolicy{
		"*":       {Role: "*", MaxLifetime: 90 * 24 * time.Hour},
		"dev":     {Role: "dev", MaxLifetime: 12 * time.Hour},
		"dev.ops": {Role: "dev.ops", MaxLifetime: time.Second, RequiredMetadata: []string{"team", "owner"}, NamePattern: "app-[a-z]+"},
	}
	got := map[string]KeyPolicy{}
	for _, p := range c.APIKey.Policies {
		got[p.Role] = p
	}
	if diff := cmp.Diff(want, got); diff != "" || len(c.APIKey.Policies) != len(want) {
		t.Errorf("%d policies: %s", len(c.APIKey.Policies), diff)
	}
}

func TestMistakesOfPolicies(t *testing.T) {
	tests := []struct{ set, want string }{
		{"latchkey.api_key.policy.*.max_lifetime=0", "must be 1s or more"},
		{"latchkey.api_key.policy.*.max_lifetime=90", `"90" has no unit; write 90s or 90m`},
		{"latchkey.api_key.policy.dev.required_metadata=team,_x", `"_x" begins with an underscore`},
		{"latchkey.api_key.policy.dev.name_pattern=a(", "is not a regular expression"},
		{"latchkey.api_key.policy.dev.name_pattern=", "has no value"},
		{"latchkey.api_key.policy.dev.lifetime=1d", "unknown setting"},
		{"latchkey.api_key.policy.max_lifetime=1d", "unknown setting"},
	}
	for _, tt := range tests {
		_, err := load(t, "", nil, []string{tt.set})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.set, err, tt.want)
		}
	}
}

func TestWebhookOfExpiry(t *testing.T) {
	for _, good := range []string{"https://hooks.example/T/secret", "http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:9/x"} {
		c := mustLoad(t, "", nil, []string{"latchkey.api_key.expiry_webhook=" + good})
		if got := c.APIKey.ExpiryWebhook.Reveal(); got != good {
			t.Errorf("%s: %s", good, got)
		}
	}
	for _, bad := range []string{"http://hooks.example/secret", "secret", "ftp://x/secret", "https:///secret", "https://x:y/secret", "https://secret\x00"} {
		_, err := load(t, "", nil, []string{"latchkey.api_key.expiry_webhook=" + bad})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
