package latchkey_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestDelegatePKI(t *testing.T) {
	sent := ""
	c := newFake(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		sent = r.Method + " " + r.URL.Path + " " + strings.TrimSpace(string(body))
		return answering(http.StatusOK, `{"access_token":"the-token","type":"Bearer","expires_in":1200,"authentication":{"username":"alice","roles":[],"metadata":{"pki_dn":"CN=alice"},"enabled":true}}`), err
	})
	got, err := c.DelegatePKI(t.Context(), []*x509.Certificate{{Raw: []byte{0xfb, 0xff}}, {Raw: []byte{0}}})
	if want := `POST /_security/delegate_pki {"x509_certificate_chain":["+/8=","AA=="]}`; err != nil || sent != want {
		t.Errorf("sent %s, want %s (%v)", sent, want, err)
	}
	if got.AccessToken != "the-token" || got.Authentication.Username != "alice" || got.RefreshToken != "" || strings.Contains(fmt.Sprintf("%+v", got), "the-token") {
		t.Errorf("got %+v", got)
	}
	if _, err := c.DelegatePKI(t.Context(), nil); err != nil || !strings.HasSuffix(sent, `{"x509_certificate_chain":[]}`) {
		t.Errorf("sent %s, %v", sent, err)
	}
}
