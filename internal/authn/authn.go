// Package authn finds out who sends a request, from its headers alone: it
// picks the credential, hands it to the room that can judge it, and looks up
// whom the caller runs as.
package authn

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/token"
)

// APIKeys verifies API keys.
type APIKeys interface {
	// Verify returns the caller that holds a key, or fault.Unauthenticated.
	// The caller is shared and must not be changed.
	Verify(ctx context.Context, id, secret string) (*access.Caller, error)
	// Again returns what tells the same of the same pair as long as memory alone can
	// tell; nil if it cannot.
	Again(id, secret string) Again
}

// Tokens verifies access tokens.
type Tokens interface {
	// Verify returns the caller that holds a token, or fault.Unauthenticated.
	// The caller is shared and must not be changed.
	Verify(ctx context.Context, text string) (*access.Caller, error)
	// Again is that of [APIKeys].
	Again(text string) Again
}

// ServiceTokens verifies the tokens of service accounts.
type ServiceTokens interface {
	// Verify is that of [Tokens], for a text that reads as a token of a service
	// account. Any other text is not mine: it may be an access token.
	Verify(ctx context.Context, text string) (c *access.Caller, mine bool, err error)
}

// Signed knows the realms of tokens that others have signed.
type Signed interface {
	// AuthenticateBearer returns who a token is about, without permissions.
	// clientSecret is what the client says to prove itself, "" if nothing. A text
	// that no realm takes for one of its tokens is not mine.
	AuthenticateBearer(ctx context.Context, token, clientSecret string) (s access.Subject, mine bool, err error)
}

// Certificates knows the realms of certificates.
type Certificates interface {
	// AuthenticateCertificate returns whose chain of certificates it is, without
	// permissions; fault.NotFound if it is nobody's.
	AuthenticateCertificate(ctx context.Context, chain []*x509.Certificate) (access.Subject, error)
}

// Users knows the users of the realm chain.
type Users interface {
	// Authenticate returns who holds a password, without permissions, or fault.Unauthenticated.
	Authenticate(ctx context.Context, username, password string) (access.Subject, error)
	// Lookup returns a user by name alone, without permissions; fault.NotFound
	// if there is none, fault.Unauthenticated if the user is disabled.
	Lookup(ctx context.Context, username string) (access.Subject, error)
}

// Roles resolves role names.
type Roles interface {
	Permissions(ctx context.Context, names []string) (access.Permissions, error)
}

// Authenticator judges the headers of requests.
type Authenticator struct {
	APIKeys       APIKeys // nil: API keys are switched off, and their headers count for nothing
	Tokens        Tokens  // nil: access tokens are switched off, and none is valid
	ServiceTokens ServiceTokens
	Signed        Signed        // nil: there is no realm of signed tokens
	Certificates  Certificates  // nil: there is no realm of certificates
	Tickets       token.Tickets // nil: there is no Kerberos realm, and its scheme is not known
	Users         Users
	Roles         Roles
	RunAs         bool // es-security-runas-user is obeyed

	// Anonymous is who sends no credential, without permissions; nil: such
	// requests are refused. With Challenge, what the roles do not reach is
	// refused in the same way.
	Anonymous *access.Subject
	Challenge bool
}

// Authenticate returns who sends a request with the given headers. shown is the
// chain of certificates that the TLS layer has verified, if there is one: it
// counts where the headers hold no credential. A refusal is
// fault.Unauthenticated; uri is named in it. A run-as target that does not
// exist is no refusal: the caller says so, and every authorization fails. Who
// cannot run as anybody stays who they are.
func (a *Authenticator) Authenticate(ctx context.Context, h http.Header, shown []*x509.Certificate, uri string) (*access.Caller, error) {
	caller, err := a.credential(ctx, first(h["Authorization"]), h, shown, uri)
	if err != nil || !a.RunAs || caller.IgnoresRunAs() {
		return caller, err
	}
	if target, ok := h["Es-Security-Runas-User"]; ok {
		return a.runAs(ctx, caller, target[0], uri)
	}
	return caller, nil
}

// first spares the hot path the canonical form of a name that is in it already.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (a *Authenticator) credential(ctx context.Context, header string, h http.Header, shown []*x509.Certificate, uri string) (*access.Caller, error) {
	scheme, value, _ := strings.Cut(header, " ")
	switch {
	case value == "":
	case strings.EqualFold(scheme, "Bearer"):
		return remembered(ctx, header, func() (*access.Caller, error) { return a.bearer(ctx, value, h) }, func() Again {
			if a.Tokens == nil {
				return nil
			}
			return a.Tokens.Again(value)
		})
	case strings.EqualFold(scheme, "ApiKey") && a.APIKeys != nil:
		return remembered(ctx, header, func() (*access.Caller, error) { return a.apiKey(ctx, value) }, func() Again {
			id, text, bad := secret.Decoded(value)
			if bad != "" {
				return nil
			}
			return a.APIKeys.Again(id, text)
		})
	case strings.EqualFold(scheme, "ApiKey"):
		return nil, missing(uri) // nobody becomes anonymous by a credential that is not accepted
	case strings.EqualFold(scheme, "Basic"):
		return a.basic(ctx, value, uri)
	case strings.EqualFold(scheme, "Negotiate") && a.Tickets != nil:
		return a.negotiate(ctx, value, uri)
	}
	if a.Certificates != nil && len(shown) > 0 {
		c, err := a.certificate(ctx, shown, uri)
		if fault.KindOf(err) != fault.NotFound {
			return c, err
		}
	}
	return a.anonymous(ctx, uri) // also for who shows a certificate that is nobody's: proxies do
}

// certificate returns whose certificate was shown; fault.NotFound if it is nobody's.
func (a *Authenticator) certificate(ctx context.Context, shown []*x509.Certificate, uri string) (*access.Caller, error) {
	u, err := a.Certificates.AuthenticateCertificate(ctx, shown)
	if fault.KindOf(err) == fault.Unauthenticated {
		return nil, fault.Wrap(err, fault.Unauthenticated, "unable to authenticate for REST request [%s] with the given certificate", uri)
	}
	if err != nil {
		return nil, err
	}
	if u.Permissions, err = a.Roles.Permissions(ctx, u.Roles); err != nil {
		return nil, err
	}
	return &access.Caller{Subject: u, Type: access.ByRealm}, nil
}

func missing(uri string) error {
	return fault.New(fault.Unauthenticated, "missing authentication credentials for REST request [%s]", uri)
}

func (a *Authenticator) anonymous(ctx context.Context, uri string) (*access.Caller, error) {
	if a.Anonymous == nil {
		return nil, missing(uri)
	}
	c := &access.Caller{Subject: *a.Anonymous, Type: access.ByAnonymous, Challenged: a.Challenge}
	var err error
	if c.Permissions, err = a.Roles.Permissions(ctx, c.Roles); err != nil {
		return nil, err
	}
	return c, nil
}

func (a *Authenticator) bearer(ctx context.Context, value string, h http.Header) (*access.Caller, error) {
	if a.Signed != nil && strings.IndexByte(value, '.') >= 0 { // no token of our own has a dot
		if c, mine, err := a.signed(ctx, value, clientSecret(h)); mine {
			return c, err
		}
	}
	return Bearers{a.ServiceTokens, a.Tokens}.Verify(ctx, value)
}

// Bearers are the tokens of our own making that a Bearer header may hold. Either
// kind may be nil.
type Bearers struct {
	Services ServiceTokens
	Tokens   Tokens
}

// Verify returns the caller that holds a token of either kind, or fault.Unauthenticated.
func (b Bearers) Verify(ctx context.Context, value string) (*access.Caller, error) {
	if b.Services != nil {
		if c, mine, err := b.Services.Verify(ctx, value); mine {
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
	if b.Tokens == nil {
		return nil, refused("oauth2 token: invalid token")
	}
	return b.Tokens.Verify(ctx, value)
}

// signed judges a token that somebody else has signed. What is wrong with it is
// for the log of its realm: a refusal is that of any text.
func (a *Authenticator) signed(ctx context.Context, value, secret string) (c *access.Caller, mine bool, err error) {
	u, mine, err := a.Signed.AuthenticateBearer(ctx, value, secret)
	if fault.KindOf(err) == fault.Unauthenticated {
		err = refused("oauth2 token: invalid token")
	}
	if err != nil || !mine {
		return nil, mine, err
	}
	if u.Permissions, err = a.Roles.Permissions(ctx, u.Roles); err != nil {
		return nil, true, err
	}
	return &access.Caller{Subject: u, Type: access.ByRealm}, true, nil
}

// clientSecret is what a client says to prove itself beside a signed token
// (spec/http.md 12.1).
func clientSecret(h http.Header) string {
	scheme, value, _ := strings.Cut(first(h["Es-Client-Authentication"]), " ")
	if !strings.EqualFold(scheme, "SharedSecret") {
		return ""
	}
	return value
}

func refused(detail string) error {
	return &fault.Error{
		Kind:   fault.Unauthenticated,
		Reason: "unable to authenticate with provided credentials and anonymous access is not allowed for this request",
		Detail: detail,
	}
}

func (a *Authenticator) apiKey(ctx context.Context, value string) (*access.Caller, error) {
	id, text, bad := secret.Decoded(value)
	if bad != "" {
		return nil, refused("API key: " + bad)
	}
	return a.APIKeys.Verify(ctx, id, text)
}

func (a *Authenticator) basic(ctx context.Context, value, uri string) (*access.Caller, error) {
	text, bad := secret.DecodeText(value)
	username, password, ok := strings.Cut(text, ":")
	if bad != "" || !ok {
		return nil, fault.New(fault.Unauthenticated, "unable to authenticate for REST request [%s]: the Basic credentials must be the Base64 of a name, a colon and a password", uri)
	}
	u, err := a.Users.Authenticate(ctx, username, password)
	if err != nil {
		return nil, wrongUser(err, username, uri)
	}
	if u.Permissions, err = a.Roles.Permissions(ctx, u.Roles); err != nil {
		return nil, err
	}
	return &access.Caller{Subject: u, Type: access.ByRealm}, nil
}

// negotiate reads a Kerberos ticket (RFC 4559). Its client may have to be asked
// for another round, and gets a reply with the answer.
func (a *Authenticator) negotiate(ctx context.Context, value, uri string) (*access.Caller, error) {
	ticket, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fault.New(fault.Unauthenticated, "unable to authenticate for REST request [%s]: the Negotiate credentials must be Base64", uri)
	}
	u, reply, err := a.Tickets.Authenticate(ctx, ticket)
	if more, ok := errors.AsType[*token.Continue](err); ok {
		f := fault.New(fault.Unauthenticated, "unable to authenticate for REST request [%s]: the negotiation needs another round", uri)
		f.Challenges = []string{"Negotiate " + base64.StdEncoding.EncodeToString(more.Reply)}
		return nil, f
	}
	if fault.KindOf(err) == fault.Unauthenticated {
		return nil, fault.Wrap(err, fault.Unauthenticated, "unable to authenticate for REST request [%s] with the given Kerberos ticket", uri)
	}
	if err != nil {
		return nil, err
	}
	if u.Permissions, err = a.Roles.Permissions(ctx, u.Roles); err != nil {
		return nil, err
	}
	c := &access.Caller{Subject: u, Type: access.ByRealm}
	if reply != nil {
		c.TicketReply = &reply
	}
	return c, nil
}

// wrongUser gives every refusal of a user one face: nobody learns whether the
// name, the password or the account is at fault.
func wrongUser(err error, username, uri string) error {
	if fault.KindOf(err) != fault.Unauthenticated {
		return err
	}
	return fault.Wrap(err, fault.Unauthenticated, "unable to authenticate user [%s] for REST request [%s]", username, uri)
}

func (a *Authenticator) runAs(ctx context.Context, by *access.Caller, username, uri string) (*access.Caller, error) {
	if username == "" {
		return nil, wrongUser(fault.New(fault.Unauthenticated, "the name to run as is empty"), username, uri)
	}
	subject := by.Subject
	as := &access.Caller{Type: by.Type, By: &subject, TicketReply: by.TicketReply}
	u, err := a.Users.Lookup(ctx, username)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.NotFound {
		as.Username, as.RunAsUnknown = username, true
		return as, nil
	}
	if fault.KindOf(err) == fault.Unauthenticated && !by.Permissions.MayRunAs(username) {
		as.Username, as.RunAsUnknown = username, true // that the user is disabled is for those who may run as it
		return as, nil
	}
	if err != nil {
		return nil, wrongUser(err, username, uri)
	}
	if u.Permissions, err = a.Roles.Permissions(ctx, u.Roles); err != nil {
		return nil, err
	}
	as.Subject = u
	return as, nil
}
