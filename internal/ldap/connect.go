package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"latchkey/internal/fault"
)

// Balance is how one of several servers is chosen.
type Balance string

const (
	Failover      Balance = "failover"        // the last that answered, then the next in order
	RoundRobin    Balance = "round_robin"     // each connection goes to the next one
	DNSFailover   Balance = "dns_failover"    // the addresses of one name, in order, from the first on
	DNSRoundRobin Balance = "dns_round_robin" // the addresses of one name in turn
)

// servers opens connections.
type servers struct {
	o *Options

	mu        sync.Mutex
	next      int // of the servers: the first to be tried
	addresses []string
	resolved  time.Time // when addresses were looked up
}

// conn is a connection and who it is bound as.
type conn struct {
	*ldap.Conn
	o         *Options
	tls       bool
	dn        string
	password  string
	idleSince time.Time
}

// open returns a connection to the first server that can be reached.
// fault.Unavailable: none can.
func (s *servers) open(ctx context.Context) (*conn, error) {
	targets, err := s.targets(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	s.mu.Lock()
	first := s.next % len(targets)
	if s.o.Balance == RoundRobin || s.o.Balance == DNSRoundRobin {
		s.next = first + 1
	}
	s.mu.Unlock()
	var problems []error
	for i := range targets {
		at := (first + i) % len(targets)
		c, err := dial(ctx, s.o, targets[at].url, targets[at].address)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", targets[at].url.Host, err))
			continue
		}
		if s.o.Balance == Failover {
			s.mu.Lock()
			s.next = at
			s.mu.Unlock()
		}
		return c, nil
	}
	return nil, unavailable(errors.Join(problems...))
}

func unavailable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "the directory cannot be asked")
}

// target is a server: where it is, and what its certificate has to be about.
type target struct {
	url     *url.URL
	address string // host and port
}

func (s *servers) targets(ctx context.Context) ([]target, error) {
	var all []target
	for _, text := range s.o.URLs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, target{u, hostPort(u)})
	}
	if s.o.Balance != DNSFailover && s.o.Balance != DNSRoundRobin {
		return all, nil
	}
	u := all[0].url
	ips, err := s.resolve(ctx, u.Hostname())
	if err != nil {
		return nil, err
	}
	all = nil
	_, port, err := net.SplitHostPort(hostPort(u))
	if err != nil {
		return nil, err
	}
	for _, ip := range ips {
		all = append(all, target{u, net.JoinHostPort(ip, port)})
	}
	return all, nil
}

// resolve returns the addresses of a name, which are kept for a while.
func (s *servers) resolve(ctx context.Context, host string) ([]string, error) {
	s.mu.Lock()
	known, at := s.addresses, s.resolved
	s.mu.Unlock()
	if known != nil && s.o.Now().Sub(at) < s.o.BalanceTTL {
		return known, nil
	}
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.addresses, s.resolved = found, s.o.Now()
	s.mu.Unlock()
	return found, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "ldaps":
		port = ldap.DefaultLdapsPort
	default:
		port = ldap.DefaultLdapPort
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func dial(ctx context.Context, o *Options, u *url.URL, address string) (*conn, error) {
	if o.Connect > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Connect) // the handshake of TLS included
		defer cancel()
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	secure := u.Scheme == "ldaps"
	if secure {
		cfg := &tls.Config{}
		if o.TLS != nil {
			cfg = o.TLS().Clone()
		}
		cfg.ServerName = u.Hostname()
		t := tls.Client(nc, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, nc.Close())
		}
		nc = t
	}
	c := &conn{Conn: ldap.NewConn(nc, secure), o: o, tls: secure}
	c.SetTimeout(o.Response)
	c.Start()
	return c, nil
}

// login binds as dn. An empty dn is nobody. A refusal is fault.Unauthenticated.
func (c *conn) login(dn, password string) error {
	var err error
	if dn == "" {
		err = c.UnauthenticatedBind("")
	} else {
		err = c.Bind(dn, password)
	}
	if err != nil {
		c.dn, c.password = "", ""
		return failure(err)
	}
	c.dn, c.password = dn, password
	return nil
}

// failure sorts the errors of the directory: its refusals of a bind are
// fault.Unauthenticated, everything else is fault.Unavailable.
func failure(err error) error {
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax,
		ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultConstraintViolation,
		ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired) {
		return fault.Wrap(errors.Join(errWrong, err), fault.Unauthenticated, "the directory does not accept the user")
	}
	return unavailable(err)
}

// broken reports whether the connection, not the question, is at fault.
func broken(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.LDAPResultUnavailable, ldap.LDAPResultServerDown, ldap.LDAPResultConnectError)
}

// maxHops is how far referrals are followed.
const maxHops = 5

// search asks for entries, also at the servers that this one refers to. An entry
// that is not there is no error.
func (c *conn) search(ctx context.Context, base string, scope Scope, filter string, attributes []string, most int) ([]*ldap.Entry, error) {
	return c.searchFrom(ctx, base, scope, filter, attributes, most, maxHops)
}

func (c *conn) searchFrom(ctx context.Context, base string, scope Scope, filter string, attributes []string, most, hops int) ([]*ldap.Entry, error) {
	depth := ldap.ScopeWholeSubtree
	switch scope {
	case OneLevel:
		depth = ldap.ScopeSingleLevel
	case Base:
		depth = ldap.ScopeBaseObject
	}
	req := ldap.NewSearchRequest(base, depth, ldap.NeverDerefAliases, most, int((c.o.SearchTime+time.Second-1)/time.Second), false, filter, attributes, nil)
	var res *ldap.SearchResult
	var err error
	if most > 0 {
		res, err = c.Search(req)
	} else {
		res, err = c.SearchWithPaging(req, 1000)
	}
	var refs []string
	switch {
	case err == nil:
		refs = res.Referrals
	case ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject):
		return nil, nil
	case most > 0 && ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) && res != nil: // more than the caller wants
	case ldap.IsErrorWithCode(err, ldap.LDAPResultReferral) && c.o.Referrals:
		if refs = referralOf(err); len(refs) == 0 {
			return nil, err
		}
	default:
		return nil, err
	}
	var entries []*ldap.Entry
	if res != nil {
		entries = res.Entries
	}
	if !c.o.Referrals {
		return entries, nil
	}
	var problems []error
	for _, ref := range refs {
		if most > 0 && len(entries) >= most {
			break
		}
		more, err := c.follow(ctx, ref, base, scope, filter, attributes, most, hops-1)
		if err != nil {
			problems = append(problems, fmt.Errorf("the referral to %s: %w", ref, err))
			continue
		}
		for _, e := range more {
			if !slices.ContainsFunc(entries, func(known *ldap.Entry) bool { return sameDN(known.DN, e.DN) }) { // some lead in a circle
				entries = append(entries, e)
			}
		}
	}
	if len(entries) == 0 && len(problems) > 0 { // what was looked for may be there
		return nil, errors.Join(problems...)
	}
	return entries, nil
}

// follow searches where a referral points to, as whom the connection is bound.
func (c *conn) follow(ctx context.Context, ref, base string, scope Scope, filter string, attributes []string, most, hops int) ([]*ldap.Entry, error) {
	u, err := url.Parse(ref)
	switch {
	case hops <= 0:
		return nil, errors.New("referrals lead too far")
	case err != nil:
		return nil, errors.New("is no URL")
	case u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "":
		return nil, errors.New("is not of ldap:// or ldaps:// and a host")
	case c.tls && u.Scheme != "ldaps":
		return nil, errors.New("leads from TLS to a connection without it")
	}
	if dn := strings.TrimPrefix(u.Path, "/"); dn != "" {
		base = dn
	}
	if parts := strings.Split(u.RawQuery, "?"); len(parts) > 1 { // attributes ? scope ? filter
		switch strings.ToLower(parts[1]) {
		case "base":
			scope = Base
		case "one":
			scope = OneLevel
		}
	}
	there, err := dial(ctx, c.o, u, hostPort(u))
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := there.login(c.dn, c.password); err != nil {
		return nil, err
	}
	return there.searchFrom(ctx, base, scope, filter, attributes, most, hops)
}

// referralOf returns the URLs of a result that says that others know.
func referralOf(err error) []string {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || e.Packet == nil || len(e.Packet.Children) < 2 {
		return nil
	}
	var urls []string
	for _, part := range e.Packet.Children[1].Children {
		if part.ClassType != 0x80 || part.Tag != 3 { // [3] Referral (RFC 4511, 4.1.9)
			continue
		}
		for _, u := range part.Children {
			if text, ok := u.Value.(string); ok {
				urls = append(urls, text)
			}
		}
	}
	if len(urls) > 1 {
		urls = urls[:1] // all lead to the same
	}
	return urls
}
