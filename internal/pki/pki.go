// Package pki is the realms of those who show a certificate: to the TLS layer,
// or to somebody who is trusted to say so for them.
package pki

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/rolemapping"
)

// Type is the type of the realms, as clients see it.
const Type = "pki"

// Mapper gives roles to users.
type Mapper interface {
	// Roles returns the roles of u. It answers from memory.
	Roles(ctx context.Context, u rolemapping.User) ([]string, error)
}

// FileRoles is the file of roles by distinguished names.
type FileRoles interface {
	// Roles returns the roles that the file gives to any of the names, sorted.
	Roles(dns []string) []string
}

// Others knows the users of other realms.
type Others interface {
	// LookupIn returns a user of one of the realms, the first that has one of that
	// name; fault.NotFound if none has.
	LookupIn(ctx context.Context, realms []string, username string) (access.Subject, error)
}

// Options says how a [Realm] works. Name, Mapper and Now are required.
type Options struct {
	Name string
	// Username finds the name in the subject as RFC 2253 writes it, as what the
	// first group matches. RDN is the attribute whose value is the name. Without
	// both it is the common name.
	Username *regexp.Regexp
	RDN      asn1.ObjectIdentifier
	// Authorities are whom certificates must come from. nil: whatever the TLS
	// layer has verified will do, and nobody is trusted to show those of others.
	Authorities func() *x509.CertPool
	// Delegation lets others show certificates for their owners.
	Delegation bool

	FileRoles           FileRoles // nil: there is no such file
	Mapper              Mapper
	AuthorizationRealms []string // whose users lend their roles; empty: roles come from the mappings
	Others              Others

	CacheTTL time.Duration // how long after its last use a chain that was verified is kept; 0 keeps nothing
	CacheMax int
	Lease    func() error // as of cache.Options
	Now      func() time.Time
}

// Realm judges certificates. It is safe for concurrent use.
type Realm struct {
	o     Options
	id    access.Realm
	known *cache.Cache[*verified] // by the chain's digest
}

// verified is a chain that an authority stands for.
type verified struct {
	username, dn string
	by           *x509.CertPool // that of [Options.Authorities] at the time
	ends         time.Time      // of the certificate that expires first
}

// New returns a realm.
func New(o Options) *Realm {
	return &Realm{o: o, id: access.Realm{Name: o.Name, Type: Type}, known: cache.New[*verified](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Now, Lease: o.Lease})}
}

// Identity is the realm's name and type.
func (r *Realm) Identity() access.Realm { return r.id }

// Forget drops what is kept, of whichever user: only chains are known by name.
func (r *Realm) Forget([]string) { r.known.Flush() }

// AuthenticateCertificate returns who showed a chain to the TLS layer, the own
// certificate first. What this realm takes for nobody's is fault.NotFound.
func (r *Realm) AuthenticateCertificate(ctx context.Context, chain []*x509.Certificate) (access.Subject, error) {
	return r.owner(ctx, chain, nil)
}

// AuthenticateDelegated returns whose chain it is that by has shown.
func (r *Realm) AuthenticateDelegated(ctx context.Context, chain []*x509.Certificate, by access.Subject) (access.Subject, error) {
	if !r.o.Delegation || r.o.Authorities == nil {
		return access.Subject{}, fault.New(fault.NotFound, "the realm [%s] takes no certificates from others", r.o.Name)
	}
	return r.owner(ctx, chain, &by)
}

// owner returns whose chain it is, by what is kept of it, if that is not forgotten
// meanwhile.
func (r *Realm) owner(ctx context.Context, chain []*x509.Certificate, by *access.Subject) (access.Subject, error) {
	if len(chain) == 0 {
		return access.Subject{}, r.nobody(nil, "there is no certificate")
	}
	var authorities *x509.CertPool
	if r.o.Authorities != nil {
		authorities = r.o.Authorities()
	}
	e, err := r.judge(ctx, chain, authorities)
	if err != nil {
		return access.Subject{}, err
	}
	s, err := r.subject(ctx, e.Value, by)
	switch alive, lapsed := r.known.Trust(e); { // last
	case lapsed != nil:
		return access.Subject{}, lapsed
	case alive:
		return s, err
	}
	v, err := r.verify(chain, authorities)
	if err != nil {
		return access.Subject{}, err
	}
	return r.subject(ctx, v, by)
}

func (r *Realm) judge(ctx context.Context, chain []*x509.Certificate, authorities *x509.CertPool) (*cache.Entry[*verified], error) {
	digest := sha256.New()
	for _, c := range chain {
		sum := sha256.Sum256(c.Raw)
		digest.Write(sum[:])
	}
	key := string(digest.Sum(nil))
	e := r.known.Get(key)
	if e == nil || e.Value.by != authorities {
		r.known.Kill(key)
		var err error
		e, err = r.known.Fill(ctx, key, func(context.Context, string) (*verified, error) { return r.verify(chain, authorities) })
		if err != nil {
			return nil, err
		}
	}
	if now := r.o.Now(); now.After(e.Value.ends) || now.Before(chain[0].NotBefore) { // the connection may be older than that
		return nil, r.nobody(nil, "the certificate is not valid now")
	}
	return e, nil
}

func (r *Realm) nobody(cause error, why string) error {
	return fault.Wrap(cause, fault.NotFound, "the realm [%s] does not accept the certificate: %s", r.o.Name, why)
}

// verify builds the chain up to an authority and reads the name.
func (r *Realm) verify(chain []*x509.Certificate, authorities *x509.CertPool) (*verified, error) {
	leaf := chain[0]
	v := &verified{by: authorities, ends: leaf.NotAfter}
	if authorities != nil {
		between := x509.NewCertPool()
		for _, c := range chain[1:] {
			between.AddCert(c)
		}
		paths, err := leaf.Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between, CurrentTime: r.o.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			return nil, r.nobody(err, "no authority of the realm stands for it")
		}
		for _, c := range paths[0] {
			if c.NotAfter.Before(v.ends) {
				v.ends = c.NotAfter
			}
		}
	}
	name, err := readName(leaf.RawSubject)
	if err != nil {
		return nil, r.nobody(err, "its subject cannot be read")
	}
	v.dn = name.String()
	if v.username = r.username(name, v.dn); v.username == "" {
		return nil, r.nobody(nil, "its subject has no name for a user")
	}
	return v, nil
}

func (r *Realm) username(name distinguishedName, dn string) string {
	switch {
	case r.o.RDN != nil:
		return name.value(r.o.RDN)
	case r.o.Username == nil:
		return name.value(commonName)
	}
	found := r.o.Username.FindStringSubmatch(dn)
	if len(found) < 2 {
		return ""
	}
	return found[1]
}

// subject gives roles to whoever owns a chain.
func (r *Realm) subject(ctx context.Context, v *verified, by *access.Subject) (access.Subject, error) {
	metadata := map[string]string{"pki_dn": v.dn}
	if by != nil {
		metadata["pki_delegated_by_user"], metadata["pki_delegated_by_realm"] = by.Username, by.Realm.Name
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return access.Subject{}, fmt.Errorf("write the metadata of a certificate: %w", err)
	}
	if lenders := r.o.AuthorizationRealms; len(lenders) > 0 {
		u, err := r.o.Others.LookupIn(ctx, lenders, v.username)
		if fault.KindOf(err) == fault.NotFound {
			err = fault.Wrap(err, fault.Unauthenticated, "the certificate is good, and there is no user [%s] in [%s]", v.username, strings.Join(lenders, ","))
		}
		u.Realm = r.id
		return u, err
	}
	roles, err := r.o.Mapper.Roles(ctx, rolemapping.User{Username: v.username, DN: v.dn, Metadata: text, Realm: r.id})
	if err != nil {
		return access.Subject{}, err
	}
	if r.o.FileRoles != nil {
		roles = merge(roles, r.o.FileRoles.Roles([]string{v.dn}))
	}
	return access.Subject{Username: v.username, Metadata: text, Roles: merge(roles, nil), Realm: r.id}, nil
}
