package latchkey

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// Client makes the calls of the API. It is safe for concurrent use and holds
// connections open until [Client.Close].
type Client struct {
	servers    *servers // shared with the clients that As, RunAs and Tag return
	http       *http.Client
	ownConns   bool // the transport of http is ours to close
	credential Credential
	runAs      string
	opaqueID   string
	userAgent  string
	retries    int
	limit      int64 // bytes of one answer
	anyProduct bool
}

// servers is the addresses of one cluster, and which of them is in use.
type servers struct {
	addresses []string // without a slash at the end
	inUse     atomic.Int64
}

// New returns a client of the server at address, as "https://localhost:9200" or
// with a path before that of the API. It does not connect yet.
func New(address string, options ...Option) (*Client, error) {
	s := settings{addresses: []string{address}, userAgent: "latchkey-go", retries: 3, limit: 256 << 20}
	for _, o := range options {
		if err := o(&s); err != nil {
			return nil, fmt.Errorf("latchkey: %w", err)
		}
	}
	c := &Client{
		servers: &servers{}, credential: s.credential, runAs: s.runAs, opaqueID: s.opaqueID,
		userAgent: s.userAgent, retries: s.retries, limit: s.limit, anyProduct: s.anyProduct,
	}
	if err := c.checkHeaders(); err != nil {
		return nil, fmt.Errorf("latchkey: %w", err)
	}
	for _, a := range s.addresses {
		a, err := cleanAddress(a, s.tls != nil)
		if err != nil {
			return nil, fmt.Errorf("latchkey: %w", err)
		}
		c.servers.addresses = append(c.servers.addresses, a)
	}
	var err error
	if c.http, c.ownConns, err = s.httpClient(); err != nil {
		return nil, fmt.Errorf("latchkey: %w", err)
	}
	return c, nil
}

// cleanAddress checks an address. A wrong one is not repeated in the error,
// since it may hold a password.
func cleanAddress(address string, secure bool) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", errors.New("an address is not a URL; write it as https://host:9200")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", errors.New("an address does not begin with http://host or https://host")
	case u.User != nil:
		return "", errors.New("an address holds a user; give it with WithCredential")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("the address of %s goes on after its path", u.Host)
	case secure && u.Scheme != "https":
		return "", fmt.Errorf("the options of TLS would protect nothing on http://%s", u.Host)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// As returns a client that makes its calls with another credential and shares
// all else, the open connections too. An unusable credential is an error of each call.
func (c *Client) As(credential Credential) *Client {
	d := *c
	d.credential = credential
	return &d
}

// RunAs returns a client that makes its calls in the name of a user, for which
// the own credential needs the run_as privilege. It shares all else with c. The
// empty name ends it.
func (c *Client) RunAs(username string) *Client {
	d := *c
	d.runAs = username
	return &d
}

// Tag returns a client that sends an X-Opaque-Id, which the server repeats in its
// answers and writes into its logs. It shares all else with c.
func (c *Client) Tag(opaqueID string) *Client {
	d := *c
	d.opaqueID = opaqueID
	return &d
}

// Close closes the connections that no call uses, also those of the clients
// that c shares them with. With [WithHTTPClient] and [WithTransport] it does nothing.
// A closed client still works and connects anew.
func (c *Client) Close() {
	if c.ownConns {
		c.http.CloseIdleConnections()
	}
}

// checkHeaders says what keeps the headers of every call from being sent.
func (c *Client) checkHeaders() error {
	if c.credential.problem != "" {
		return errors.New(c.credential.problem)
	}
	switch {
	case !sendable(c.runAs):
		return errors.New("the username to run as cannot be sent in a header")
	case !sendable(c.opaqueID):
		return errors.New("the opaque id cannot be sent in a header")
	case !sendable(c.userAgent):
		return errors.New("the user agent cannot be sent in a header")
	}
	return nil
}

// sendable reports whether a text can be the value of a header.
func sendable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
