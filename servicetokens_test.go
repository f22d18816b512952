package latchkey_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"testing"

	"latchkey"
)

func TestServiceTokenRequests(t *testing.T) {
	var got string
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		got = r.Method + " " + r.URL.RequestURI()
		body := `{"token":{"name":"t","value":"v"},"service_account":"elastic/kibana"}`
		if strings.Count(got, "/") < 5 { // the accounts
			body = `{}`
		}
		a := answering(200, body)
		a.Request = r
		return a, nil
	})
	ctx := t.Context()
	for _, tt := range []struct {
		do   func() error
		want string
	}{
		{func() error { _, err := client.GetServiceAccounts(ctx, ""); return err }, "GET /_security/service"},
		{func() error { _, err := client.GetServiceAccounts(ctx, "elastic"); return err }, "GET /_security/service/elastic"},
		{func() error { _, err := client.GetServiceAccounts(ctx, "elastic/kibana"); return err }, "GET /_security/service/elastic/kibana"},
		{func() error { _, err := client.GetServiceCredentials(ctx, "elastic/a b"); return err }, "GET /_security/service/elastic/a%20b/credential"},
		{func() error { _, err := client.CreateServiceToken(ctx, "elastic/kibana", ""); return err }, "POST /_security/service/elastic/kibana/credential/token"},
		{func() error { _, err := client.CreateServiceToken(ctx, "elastic/kibana", "t"); return err }, "POST /_security/service/elastic/kibana/credential/token/t"},
		{func() error { _, err := client.DeleteServiceToken(ctx, "elastic/kibana", "t"); return err }, "DELETE /_security/service/elastic/kibana/credential/token/t"},
		{func() error { _, err := client.ClearServiceTokenCache(ctx, "elastic/kibana", "t", "u"); return err },
			"POST /_security/service/elastic/kibana/credential/token/t,u/_clear_cache"},
		{func() error { _, err := client.ClearServiceTokenCache(ctx, "elastic/kibana"); return err },
			"POST /_security/service/elastic/kibana/credential/token/%2A/_clear_cache"},
	} {
		if err := tt.do(); err != nil || got != tt.want {
			t.Errorf("sent %s, %v; want %s", got, err, tt.want)
		}
	}
}

func TestServiceAccountsThatAreNoNames(t *testing.T) {
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
		return answering(200, `{}`), nil
	})
	ctx := t.Context()
	for _, account := range []string{"", "elastic", "/kibana", "elastic/", "elastic/kibana/t"} {
		for name, do := range map[string]func() error{
			"credentials": func() error { _, err := client.GetServiceCredentials(ctx, account); return err },
			"create":      func() error { _, err := client.CreateServiceToken(ctx, account, "t"); return err },
			"delete":      func() error { _, err := client.DeleteServiceToken(ctx, account, "t"); return err },
			"clear":       func() error { _, err := client.ClearServiceTokenCache(ctx, account); return err },
		} {
			if err := do(); err == nil || form(err) != "" {
				t.Errorf("%s of %q: got %v, want it refused", name, account, err)
			}
		}
	}
	for name, do := range map[string]func() error{
		"a token without a name, gone":        func() error { _, err := client.DeleteServiceToken(ctx, "elastic/kibana", ""); return err },
		"a cache of a token without a name":   func() error { _, err := client.ClearServiceTokenCache(ctx, "elastic/kibana", ""); return err },
		"accounts of something with slashes":  func() error { _, err := client.GetServiceAccounts(ctx, "elastic/kibana/t"); return err },
		"accounts of a namespace and nothing": func() error { _, err := client.GetServiceAccounts(ctx, "elastic/"); return err },
	} {
		if err := do(); err == nil || form(err) != "" {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}

func TestServiceTokensDoNotPrint(t *testing.T) {
	const secret = "c2VjcmV0"
	token := latchkey.ServiceToken{Name: "t", Value: secret}
	for name, v := range map[string]any{
		"a token": token, "an answer": latchkey.CreateServiceTokenResponse{Token: token}, "a pointer": &latchkey.CreateServiceTokenResponse{Token: token},
	} {
		for _, text := range printed(v) {
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s prints as %s", name, text)
			}
		}
	}
}

// The whole life of a token, against a whole latchkey.
func TestServiceTokenOfARealNode(t *testing.T) {
	client := newClient()
	defer client.Close()
	ctx := t.Context()
	made, err := client.CreateServiceToken(ctx, "elastic/kibana", "of_a_test")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawStdEncoding.DecodeString(made.Token.Value)
	if want := "\x00\x01\x00\x01elastic/kibana/of_a_test:"; err != nil || !strings.HasPrefix(string(raw), want) {
		t.Errorf("ID-96: the value is %q, %v; want it to begin with %q", raw, err, want)
	}
	kibana := client.As(made.Credential())
	who, err := kibana.Authenticate(ctx)
	if err != nil || who.Username != "elastic/kibana" || who.Token == nil || *who.Token != (latchkey.AuthenticatedToken{Name: "of_a_test", Type: "_service_account_index", ManagedBy: "elasticsearch"}) {
		t.Errorf("ID-97: Authenticate = %+v, %v", who, err)
	}
	if _, err := client.CreateServiceToken(ctx, "elastic/kibana", "of_a_test"); !refused(err, http.StatusConflict) {
		t.Errorf("ID-98: a second token of the name: %v; want 409", err)
	}
	has, err := client.GetServiceCredentials(ctx, "elastic/kibana")
	if _, listed := has.Tokens["of_a_test"]; err != nil || !listed || has.Count != 1 {
		t.Errorf("GetServiceCredentials = %+v, %v", has, err)
	}
	accounts, err := client.GetServiceAccounts(ctx, "elastic/kibana")
	if role, roleErr := accounts["elastic/kibana"].Role(); err != nil || roleErr != nil || len(accounts) != 1 || len(role.Cluster) == 0 {
		t.Errorf("GetServiceAccounts = %+v, %v, %v", accounts, err, roleErr)
	}
	for _, want := range []bool{true, false} {
		if found, err := client.DeleteServiceToken(ctx, "elastic/kibana", "of_a_test"); found != want || err != nil {
			t.Errorf("DeleteServiceToken = %v, %v; want %v", found, err, want)
		}
	}
	if _, err := kibana.Authenticate(ctx); !refused(err, http.StatusUnauthorized) {
		t.Errorf("ID-99: a deleted token: %v; want 401", err)
	}
}

func refused(err error, status int) bool {
	e, ok := errors.AsType[*latchkey.Error](err)
	return ok && e.Status == status
}

func ExampleClient_CreateServiceToken() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	made, err := client.CreateServiceToken(ctx, "elastic/fleet-server", "host-1")
	if err != nil {
		log.Panic(err)
	}
	fleet := client.As(made.Credential())
	who, err := fleet.Authenticate(ctx)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(who.Username)
	found, err := client.DeleteServiceToken(ctx, "elastic/fleet-server", "host-1")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(found)
	_, err = fleet.Authenticate(ctx)
	fmt.Println(err != nil)
	// Output:
	// elastic/fleet-server
	// true
	// true
}
