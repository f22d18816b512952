package node_test

import (
	"net/http"
	"testing"
	"time"
)

// A node that is stopped as it should be loses no use of a key, and what a
// rotation has left survives with it.
func TestUsesAndOverlapsOutliveTheNode(t *testing.T) {
	dir := dataFolder(t)
	p := node(t, dir)
	k, idle := p.key(t, elastic, "used"), p.key(t, elastic, "idle")
	began := time.Now().Truncate(time.Millisecond)
	p.wantLogin(t, http.StatusOK, k.Encoded)
	p.stops(t)

	p = node(t, dir)
	var shown struct {
		APIKeys []struct {
			ID       string
			LastUsed int64  `json:"last_used"`
			Address  string `json:"last_used_address"`
		} `json:"api_keys"`
	}
	p.want(t, http.StatusOK, "GET", "/_security/api_key?with_last_used=true", elastic, "", &shown)
	if len(shown.APIKeys) != 2 {
		t.Fatalf("there are %+v; want two keys", shown.APIKeys)
	}
	for _, got := range shown.APIKeys {
		used := !time.UnixMilli(got.LastUsed).Before(began) && got.Address == "127.0.0.1"
		if used != (got.ID == k.ID) || got.ID == idle.ID && got.LastUsed != 0 {
			t.Errorf("after the restart: %+v; want that %s was used after %v, and %s never", got, k.ID, began, idle.ID)
		}
	}

	var next createdKey
	p.want(t, http.StatusOK, "POST", "/_latchkey/api_key/"+k.ID+"/_rotate", elastic, `{"overlap":"1h"}`, &next)
	p.stops(t)
	p = node(t, dir)
	p.wantLogin(t, http.StatusOK, k.Encoded)
	p.wantLogin(t, http.StatusOK, next.Encoded)
	p.want(t, http.StatusOK, "POST", "/_latchkey/api_key/"+k.ID+"/_end_overlap", elastic, "", nil)
	p.wantLogin(t, http.StatusUnauthorized, k.Encoded)
	p.wantLogin(t, http.StatusOK, next.Encoded)
	p.stops(t)
}
