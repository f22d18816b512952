package latchkey

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"net/http"
)

// DelegatePKI makes an access token that acts as the owner of a certificate which
// was shown to the caller. The owner's certificate comes first, each further one
// is that of the issuer of the one before. The token cannot be refreshed.
func (c *Client) DelegatePKI(ctx context.Context, chain []*x509.Certificate) (TokenResponse, error) {
	texts := []string{}
	for _, cert := range chain {
		texts = append(texts, base64.StdEncoding.EncodeToString(cert.Raw))
	}
	body := map[string][]string{"x509_certificate_chain": texts}
	return call[TokenResponse](ctx, c, request{method: http.MethodPost, path: "/_security/delegate_pki", body: body, makesNew: true})
}
