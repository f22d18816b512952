package latchkey_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"latchkey"
)

func TestOpenIDConnect(t *testing.T) {
	var sent string
	answers := map[string]string{
		"prepare":      `{"redirect":"https://op/authorize","state":"s","nonce":"n","realm":"oidc1"}`,
		"authenticate": `{"access_token":"a","type":"Bearer","expires_in":1200,"refresh_token":"r"}`,
		"logout":       `{"redirect":null}`,
	}
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		var b strings.Builder
		if _, err := fmt.Fprintf(&b, "%s %s ", r.Method, r.URL.Path); err != nil {
			return nil, err
		}
		body := make([]byte, r.ContentLength)
		if _, err := r.Body.Read(body); err != nil && len(body) == 0 {
			return nil, err
		}
		sent = b.String() + string(body)
		return answering(http.StatusOK, answers[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]), nil
	})
	prepared, err := client.PrepareOIDC(t.Context(), latchkey.OIDCPrepareRequest{Issuer: "https://op", LoginHint: "u"})
	if err != nil || prepared.Redirect != "https://op/authorize" || sent != `POST /_security/oidc/prepare {"iss":"https://op","login_hint":"u"}` {
		t.Errorf("%+v, %v: %s", prepared, err, sent)
	}
	req := latchkey.OIDCAuthenticateRequest{RedirectURI: "https://app/cb?code=c", State: prepared.State, Nonce: prepared.Nonce, Realm: prepared.Realm}
	pair, err := client.AuthenticateOIDC(t.Context(), req)
	if want := `POST /_security/oidc/authenticate {"redirect_uri":"https://app/cb?code=c","state":"s","nonce":"n","realm":"oidc1"}`; err != nil || pair.RefreshToken != "r" || sent != want {
		t.Errorf("%v: %s, want %s", err, sent, want)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", req, req, req, req); strings.Contains(text, "code=c") {
		t.Errorf("the request prints its code: %s", text)
	}
	out, err := client.LogoutOIDC(t.Context(), pair.AccessToken, pair.RefreshToken)
	if err != nil || out.Redirect != nil || sent != `POST /_security/oidc/logout {"refresh_token":"r","token":"a"}` {
		t.Errorf("%+v, %v: %s", out, err, sent)
	}
	answers["prepare"] = `{"state":"s"}`
	if _, err := client.PrepareOIDC(t.Context(), latchkey.OIDCPrepareRequest{Realm: "x"}); err == nil || !strings.Contains(err.Error(), "the member redirect is missing") {
		t.Errorf("got %v", err)
	}
}

func TestSignedTokens(t *testing.T) {
	var sent http.Header
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return answering(http.StatusOK, `{"username":"u"}`), nil
	})
	for secret, want := range map[string]string{"": "", "s e": "SharedSecret s e"} {
		c := latchkey.SignedToken("a.b.c", secret)
		if _, err := client.As(c).Authenticate(t.Context()); err != nil || sent.Get("Authorization") != "Bearer a.b.c" || sent.Get("ES-Client-Authentication") != want {
			t.Errorf("%v: %v", err, sent)
		}
		if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "a.b.c") || secret != "" && strings.Contains(text, secret) {
			t.Errorf("it prints: %s", text)
		}
	}
	for _, bad := range []latchkey.Credential{latchkey.SignedToken("", "s"), latchkey.SignedToken("a.b.c", "s\n")} {
		if _, err := client.As(bad).Authenticate(t.Context()); err == nil {
			t.Error("it is sent")
		}
	}
}
