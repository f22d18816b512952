package httpapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"latchkey/internal/apikey"
)

// metric returns the value of a series, or "".
func metric(text, series string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return value
		}
	}
	return ""
}

func TestMetrics(t *testing.T) {
	srv := startServer(t, newServices(t, false))
	w := srv.dial(t)
	admin := "\nAuthorization: Basic " + w.expand("{{base64 admin:admin-password}}")
	k, dead := w.newKey("u", "n"), w.newKey("u", "dead")
	w.expect("POST /_security/api_key"+admin+"\n\n"+`{"name":"soon","expiration":"1h"}`, 200)
	w.expect("POST /_security/api_key"+admin+"\n\n"+`{"name":"over","expiration":"0"}`, 200)
	w.expect("DELETE /_security/api_key"+admin+"\n\n"+`{"ids":["`+dead.ID+`"]}`, 200)
	for range 3 {
		w.expect("GET /_security/_authenticate\nAuthorization: ApiKey "+k.Encoded, 200)
	}
	w.expect("GET /_security/_authenticate\nAuthorization: ApiKey "+dead.Encoded, 401)
	w.expect("GET /_security/_authenticate\nAuthorization: bearer nothing", 401)
	w.expect("GET /_security/_authenticate", 401)
	w.expect("GET /nowhere"+admin, 400)
	w.expect("PUT /_security/api_key/unknown"+admin, 404)
	got := w.expect("GET /_latchkey/metrics"+admin, 200).body

	tests := []struct{ series, want string }{
		{`latchkey_http_requests_total{method="GET",route="/_security/_authenticate",status="2xx"}`, "3"},
		{`latchkey_http_requests_total{method="GET",route="/_security/_authenticate",status="4xx"}`, "0"}, // a stranger learns nothing of routes, and so is none of one
		{`latchkey_http_requests_total{method="PUT",route="/_security/api_key/{id}",status="4xx"}`, "1"},
		{`latchkey_http_requests_total{method="POST",route="/_security/api_key",status="2xx"}`, "4"},
		{`latchkey_http_requests_total{method="other",route="unknown",status="4xx"}`, "4"},
		{`latchkey_authentications_total{credential="api_key",outcome="success"}`, "3"},
		{`latchkey_authentications_total{credential="api_key",outcome="failure"}`, "1"},
		{`latchkey_authentications_total{credential="bearer",outcome="failure"}`, "1"},
		{`latchkey_authentications_total{credential="none",outcome="failure"}`, "1"},
		{`latchkey_authentications_total{credential="none",outcome="success"}`, "0"},
		{`latchkey_authentications_total{credential="basic",outcome="success"}`, "8"},
		{`latchkey_api_keys{state="live"}`, "2"},
		{`latchkey_api_keys{state="invalidated"}`, "1"},
		{`latchkey_api_keys{state="expired"}`, "1"},
		{`latchkey_api_keys{state="expiring"}`, "1"},
		{`latchkey_api_keys_invalidated_total`, "1"},
		{`latchkey_api_keys_purged_total`, "0"},
		{`latchkey_cache_entries{cache="api_keys"}`, "1"},
		{`latchkey_cache_hits_total{cache="api_keys"}`, "2"},
		{`latchkey_cache_loads_total{cache="api_keys"}`, "2"},
		{`latchkey_tokens_invalidated_total`, "0"},
		{`latchkey_build_info{version="9.1.0"}`, "1"},
	}
	for _, tt := range tests {
		if value := metric(got, tt.series); value != tt.want {
			t.Errorf("%s is %q; want %s", tt.series, value, tt.want)
		}
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds"} {
		if metric(got, name) == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for _, private := range []string{k.APIKey, k.ID, "admin", "default_native"} {
		if strings.Contains(got, private) {
			t.Errorf("the metrics hold %q", private)
		}
	}
}

func TestKeysAreCountedNowAndThen(t *testing.T) {
	var g keyGauges
	calls, fails := 0, errors.New("the store is away")
	var err error
	count := func(context.Context) (apikey.Counts, error) { calls++; return apikey.Counts{Live: calls}, err }
	now := time.Unix(1e9, 0)
	live := func(after time.Duration, want int, wantErr error) {
		t.Helper()
		now = now.Add(after)
		got := 0
		problem := g.refresh(t.Context(), now, count)
		if c := g.counted.Load(); c != nil {
			got = c.Live
		}
		if got != want || !errors.Is(problem, wantErr) {
			t.Errorf("%d are shown, %v; want %d, %v", got, problem, want, wantErr)
		}
	}
	live(0, 1, nil)
	live(countingPause-1, 1, nil)
	live(1, 2, nil)
	err = fails
	live(countingPause-1, 2, nil)
	live(1, 0, fails)
	live(0, 0, fails)
	err = nil
	live(0, 5, nil)
}

func TestKindsOfCredentials(t *testing.T) {
	tests := []struct {
		header []string
		want   string
	}{
		{nil, "none"}, {[]string{""}, "none"}, {[]string{"ApiKey x"}, "api_key"}, {[]string{"apikey x"}, "api_key"}, {[]string{"BASIC x"}, "basic"},
		{[]string{"Bearer x"}, "bearer"}, {[]string{"negotiate x"}, "negotiate"}, {[]string{"Digest x"}, "other"}, {[]string{"Apikeys x"}, "other"}, {[]string{"x"}, "other"},
	}
	for _, tt := range tests {
		if got := credentialKinds[credentialKind(tt.header)]; got != tt.want {
			t.Errorf("%q is %s; want %s", tt.header, got, tt.want)
		}
	}
}
