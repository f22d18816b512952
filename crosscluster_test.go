package latchkey_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
	"time"

	"latchkey"
)

func ExampleClient_CreateCrossClusterAPIKey() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	made, err := client.CreateCrossClusterAPIKey(ctx, latchkey.CreateCrossClusterAPIKeyRequest{
		Name:   "for-the-other-cluster",
		Access: latchkey.CrossClusterAccess{Search: []latchkey.CrossClusterIndices{{Names: []string{"logs-*"}}}},
	})
	if err != nil {
		log.Panic(err)
	}
	keys, err := client.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{ID: made.ID})
	if err != nil || len(keys) != 1 {
		log.Panic(keys, err)
	}
	allowed, err := keys[0].CrossClusterAccess()
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(keys[0].Type, "searches", allowed.Search[0].Names)
	// Output: cross_cluster searches [logs-*]
}

func ExampleClient_UpdateCrossClusterAPIKey() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	logs := []latchkey.CrossClusterIndices{{Names: []string{"logs-*"}}}
	made, err := client.CreateCrossClusterAPIKey(ctx, latchkey.CreateCrossClusterAPIKeyRequest{
		Name: "to-be-widened", Access: latchkey.CrossClusterAccess{Search: logs},
	})
	if err != nil {
		log.Panic(err)
	}
	updated, err := client.UpdateCrossClusterAPIKey(ctx, made.ID, latchkey.UpdateCrossClusterAPIKeyRequest{
		Access: &latchkey.CrossClusterAccess{Search: logs, Replication: logs},
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(updated)
	// Output: true
}

func ExampleClient_CloneAPIKey() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	source := newKey(client, "a-template")
	made, err := client.CloneAPIKey(ctx, latchkey.CloneAPIKeyRequest{Encoded: source.Encoded, Name: "a-copy", Expiration: time.Hour})
	if err != nil {
		log.Panic(err)
	}
	keys, err := client.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{ID: made.ID})
	if err != nil || len(keys) != 1 {
		log.Panic(keys, err)
	}
	fmt.Println(keys[0].Name, string(keys[0].Metadata) == `{"_cloned_from":"`+source.ID+`"}`)
	// Output: a-copy true
}

func TestBodiesOfCrossClusterKeysAndClones(t *testing.T) {
	search := latchkey.CrossClusterAccess{Search: []latchkey.CrossClusterIndices{{Names: []string{"a"}}}}
	all := latchkey.CrossClusterAccess{Replication: []latchkey.CrossClusterIndices{{Names: []string{"b"}, AllowRestrictedIndices: true}},
		Search: []latchkey.CrossClusterIndices{{Names: []string{"a"}, Query: `{"match_all":{}}`, FieldSecurity: &latchkey.RoleFieldSecurity{Grant: []string{"*"}}}}}
	const searched = `{"search":[{"names":["a"],"allow_restricted_indices":false}]}`
	none, identity := "", `CN=\d+`
	tests := []struct {
		name string
		body any
		want string // "": it cannot be written
	}{
		{"a key with no more than it needs", latchkey.CreateCrossClusterAPIKeyRequest{Name: "n", Access: search}, `{"name":"n","access":` + searched + `}`},
		{"a key with all there is", latchkey.CreateCrossClusterAPIKeyRequest{Name: "n", Access: all, Expiration: time.Hour + 1, Metadata: json.RawMessage(`{"a":1.50}`), CertificateIdentity: identity},
			`{"name":"n","access":{"search":[{"names":["a"],"field_security":{"grant":["*"]},"query":"{\"match_all\":{}}","allow_restricted_indices":false}],` +
				`"replication":[{"names":["b"],"allow_restricted_indices":true}]},"expiration":"3600001ms","metadata":{"a":1.50},"certificate_identity":"CN=\\d+"}`},
		{"a key that cannot be", latchkey.CreateCrossClusterAPIKeyRequest{Name: "n", Expiration: -1}, ""},
		{"an update of nothing", latchkey.UpdateCrossClusterAPIKeyRequest{}, `{}`},
		{"an update of all", latchkey.UpdateCrossClusterAPIKeyRequest{Access: &search, Expiration: time.Second, Metadata: json.RawMessage(`{}`), CertificateIdentity: &identity},
			`{"access":` + searched + `,"expiration":"1000ms","metadata":{},"certificate_identity":"CN=\\d+"}`},
		{"an update to any certificate", latchkey.UpdateCrossClusterAPIKeyRequest{CertificateIdentity: &none}, `{"certificate_identity":null}`},
		{"an update that cannot be", latchkey.UpdateCrossClusterAPIKeyRequest{Expiration: -1}, ""},
		{"a clone", latchkey.CloneAPIKeyRequest{Encoded: "aTpz"}, `{"api_key":"aTpz"}`},
		{"a clone with all there is", latchkey.CloneAPIKeyRequest{Encoded: "aTpz", Name: "n", Expiration: time.Second, Metadata: json.RawMessage(`{}`)},
			`{"api_key":"aTpz","name":"n","expiration":"1000ms","metadata":{}}`},
		{"a clone for ever", latchkey.CloneAPIKeyRequest{Encoded: "aTpz", Never: true}, `{"api_key":"aTpz","expiration":"-1"}`},
		{"a clone for ever and a second", latchkey.CloneAPIKeyRequest{Encoded: "aTpz", Never: true, Expiration: time.Second}, ""},
	}
	for _, tt := range tests {
		got, err := json.Marshal(tt.body)
		if string(got) != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestPathsOfCrossClusterKeysAndClones(t *testing.T) {
	var got string
	c := newFake(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.EscapedPath() + " " + string(body)
		a := answering(200, `{"id":"i","api_key":"s","updated":true}`)
		a.Request = r
		return a, err
	})
	for want, call := range map[string]string{
		`POST /_security/api_key/clone {"api_key":"aTpz"}`:            "CloneAPIKey",
		`POST /_security/cross_cluster/api_key {"name":"n","access":`: "CreateCrossClusterAPIKey",
		`PUT /_security/cross_cluster/api_key/i {}`:                   "UpdateCrossClusterAPIKey",
	} {
		if err := everyCall[call](t.Context(), c); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s sends %s, %v; want %s", call, got, err, want)
		}
	}
	if _, err := c.UpdateCrossClusterAPIKey(t.Context(), "", latchkey.UpdateCrossClusterAPIKeyRequest{}); err == nil {
		t.Error("an update without an id was sent")
	}
}

func TestACloneDoesNotPrintItsSource(t *testing.T) {
	const secret = "c2VjcmV0"
	for _, text := range printed(latchkey.CloneAPIKeyRequest{Encoded: secret, Name: "n"}) {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("it prints as %s", text)
		}
	}
}

func TestAccessOfAKey(t *testing.T) {
	if a, err := (latchkey.APIKey{}).CrossClusterAccess(); err != nil || a.Search != nil || a.Replication != nil {
		t.Errorf("a key without access: %+v, %v", a, err)
	}
	if _, err := (latchkey.APIKey{ID: "i", Access: json.RawMessage(`[]`)}).CrossClusterAccess(); err == nil || !strings.Contains(err.Error(), "API key i") {
		t.Errorf("an access that cannot be read: %v", err)
	}
}
