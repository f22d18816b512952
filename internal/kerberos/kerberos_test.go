package kerberos

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/kerberos/kdctest"
	"latchkey/internal/rolemapping"
	"latchkey/internal/token"
)

var started *kdctest.KDC

var startKDC = sync.OnceValues(func() (*kdctest.KDC, error) {
	dir, err := os.MkdirTemp("", "latchkey-kdc-")
	if err != nil {
		return nil, err
	}
	folder = dir
	started, err = kdctest.Start(dir, "alice", "bob/admin")
	return started, err
})

var folder string // of the KDC, if it was started

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			code = 1
			os.Stderr.WriteString(err.Error() + "\n")
		}
	}
	if folder != "" {
		if err := os.RemoveAll(folder); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
		}
	}
	os.Exit(code)
}

func kdc(t testing.TB) *kdctest.KDC {
	t.Helper()
	k, err := startKDC()
	if errors.Is(err, kdctest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRealm(t testing.TB, change func(*Options)) *Realm {
	t.Helper()
	o := Options{Name: "kerb1", Keytab: kdc(t).Keytab, Users: others{}, Roles: mapped{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// client has a ticket of the KDC.
func client(t testing.TB, user string) *kdctest.Client {
	t.Helper()
	c, err := kdc(t).Client(user)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// forged is a client with a ticket that no KDC gave out, which whoever has the
// key of the service can write. Change is made to what the ticket says.
func forged(t testing.TB, change func(*messages.EncTicketPart)) *kdctest.Client {
	t.Helper()
	kt, err := readKeytab(kdc(t).Keytab)
	if err != nil {
		t.Fatal(err)
	}
	service := kt.Entries[0]
	kind, err := crypto.GetEtype(service.Key.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	key, err := types.GenerateEncryptionKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	part := messages.EncTicketPart{
		Flags: types.NewKrbFlags(), Key: key, CRealm: kdctest.Realm, CName: kdctest.Principal("alice"),
		AuthTime: now, StartTime: now.Add(-time.Hour), EndTime: now.Add(time.Hour), RenewTill: now.Add(time.Hour),
	}
	if change != nil {
		change(&part)
	}
	plain, err := asn1.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(plain, asnAppTag.EncTicketPart), service.Key, keyusage.KDC_REP_TICKET, int(service.KVNO))
	if err != nil {
		t.Fatal(err)
	}
	return &kdctest.Client{
		Ticket: messages.Ticket{TktVNO: 5, Realm: kdctest.Realm, SName: kdctest.Principal(kdctest.Service), EncPart: sealed},
		Key:    key, Auth: types.Authenticator{CName: part.CName, CRealm: part.CRealm},
	}
}

func send(t testing.TB, c *kdctest.Client, mutual bool) []byte {
	t.Helper()
	b, err := c.Token(mutual)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func accepts(t *testing.T, r *Realm, ticket []byte, want string) {
	t.Helper()
	s, _, err := r.Authenticate(t.Context(), ticket)
	if err != nil || s.Username != want {
		t.Errorf("got %q, %v (%v); want %q", s.Username, err, errors.Unwrap(err), want)
	}
}

// refuses expects one and the same sentence, whatever the reason; the cause says why.
func refuses(t *testing.T, r *Realm, ticket []byte, why string) {
	t.Helper()
	s, reply, err := r.Authenticate(t.Context(), ticket)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Unauthenticated || f.Reason != "unable to authenticate with the given Kerberos ticket" || !strings.Contains(f.Error(), why) {
		t.Errorf("got %v; want a refusal because %q", err, why)
	}
	if !reflect.DeepEqual(s, access.Subject{}) || reply != nil {
		t.Errorf("a refusal comes with %v and %x", s, reply)
	}
}

func TestATicketOfAKDC(t *testing.T) {
	tests := []struct {
		user   string
		remove bool
		want   string
	}{
		{"alice", false, "alice@LATCHKEY.TEST"},
		{"alice", true, "alice"},
		{"bob/admin", false, "bob/admin@LATCHKEY.TEST"},
		{"bob/admin", true, "bob/admin"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			r := newRealm(t, func(o *Options) { o.RemoveRealmName = tt.remove })
			got, _, err := r.Authenticate(t.Context(), send(t, client(t, tt.user), false))
			want := access.Subject{Username: tt.want, Roles: []string{}, Realm: access.Realm{Name: "kerb1", Type: "kerberos"}}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// TK-kerberos: the reply is there with mutual authentication (3.6).
func TestTheServiceProvesItself(t *testing.T) {
	r := newRealm(t, nil)
	c := client(t, "alice")
	_, reply, err := r.Authenticate(t.Context(), send(t, c, true))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(reply); err != nil {
		t.Error(err)
	}
	got, err := kdctest.ReadReply(reply)
	if err != nil || !got.Mechanism.Equal(kdctest.Krb5) {
		t.Errorf("the reply names %v, %v", got.Mechanism, err)
	}
	if _, reply, err = r.Authenticate(t.Context(), send(t, c, false)); err != nil || reply != nil {
		t.Errorf("who does not ask gets %x, %v; want nothing", reply, err)
	}
	_, reply, err = r.Authenticate(t.Context(), send(t, client(t, "alice"), true))
	if err != nil || c.Check(reply) == nil {
		t.Errorf("the proof for another is good for c: %v", err)
	}
}

func TestATicketIsUsedOnce(t *testing.T) {
	r := newRealm(t, nil)
	c := client(t, "alice")
	first := send(t, c, true)
	accepts(t, r, first, "alice@LATCHKEY.TEST")
	refuses(t, r, first, "was sent before")
	accepts(t, r, send(t, c, true), "alice@LATCHKEY.TEST") // the same ticket with a new authenticator

	request, err := c.Request(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	accepts(t, r, kdctest.Init(request, kdctest.Krb5), "alice@LATCHKEY.TEST")
	refuses(t, r, kdctest.Next(request), "was sent before") // in another wrapping

	at, again := send(t, c, true), atomic.Int32{}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if _, _, err := r.Authenticate(t.Context(), at); err == nil {
				again.Add(1)
			}
		})
	}
	all.Wait()
	if n := again.Load(); n != 1 {
		t.Errorf("%d of 32 requests at once were accepted with one token; want 1", n)
	}
}

func TestClocksMayDiffer(t *testing.T) {
	r := newRealm(t, nil)
	for _, tt := range []struct {
		off  time.Duration
		good bool
	}{{-4 * time.Minute, true}, {4 * time.Minute, true}, {-6 * time.Minute, false}, {6 * time.Minute, false}} {
		t.Run(tt.off.String(), func(t *testing.T) {
			request, err := client(t, "alice").Request(false, func(a *types.Authenticator) { a.CTime = a.CTime.Add(tt.off) })
			if err != nil {
				t.Fatal(err)
			}
			if ticket := kdctest.Init(request, kdctest.Krb5); tt.good {
				accepts(t, r, ticket, "alice@LATCHKEY.TEST")
			} else {
				refuses(t, r, ticket, "clock skew")
			}
		})
	}
}

func TestWhatATicketSays(t *testing.T) {
	hour := time.Hour
	tests := []struct {
		name   string
		change func(*messages.EncTicketPart)
		want   string // the username; "" for a refusal
		why    string
	}{
		{"nothing strange", func(*messages.EncTicketPart) {}, "alice@LATCHKEY.TEST", ""},
		{"it has expired", func(p *messages.EncTicketPart) { p.EndTime = p.AuthTime.Add(-hour) }, "", "expired"},
		{"it begins later", func(p *messages.EncTicketPart) { p.StartTime = p.AuthTime.Add(hour) }, "", "not yet valid"},
		{"it is marked as not valid", func(p *messages.EncTicketPart) { types.SetFlag(&p.Flags, flags.Invalid) }, "", "not yet valid"},
		{"it is bound to addresses", func(p *messages.EncTicketPart) {
			p.CAddr = types.HostAddresses{{AddrType: 2, Address: []byte{192, 0, 2, 1}}}
		}, "", "client address"},
		{"it has no flags", func(p *messages.EncTicketPart) { p.Flags = asn1.BitString{} }, "", "damaged"},
		{"a neighbour realm", func(p *messages.EncTicketPart) { p.CRealm = "OTHER.TEST" }, "alice@OTHER.TEST", ""},
		{"a realm beyond others", func(p *messages.EncTicketPart) {
			p.CRealm, p.Transited = "FAR.TEST", messages.TransitedEncoding{TRType: 1, Contents: []byte("EVIL.TEST")}
		}, "", "no KDC has checked them"},
		{"a realm beyond others that a KDC checked", func(p *messages.EncTicketPart) {
			p.CRealm, p.Transited = "FAR.TEST", messages.TransitedEncoding{TRType: 1, Contents: []byte("GOOD.TEST")}
			types.SetFlag(&p.Flags, flags.TransitedPolicyChecked)
		}, "alice@FAR.TEST", ""},
		{"nobody", func(p *messages.EncTicketPart) { p.CName = kdctest.Principal("WELLKNOWN/ANONYMOUS") }, "", "nobody's name"},
		{"nobody of nowhere", func(p *messages.EncTicketPart) { p.CRealm = "WELLKNOWN:ANONYMOUS" }, "", "nobody's name"},
		{"an empty name", func(p *messages.EncTicketPart) { p.CName.NameString = []string{""} }, "", "nobody's name"},
		{"no name", func(p *messages.EncTicketPart) { p.CName.NameString = nil }, "", "nobody's name"},
		{"a line break in the name", func(p *messages.EncTicketPart) { p.CName.NameString = []string{"al\nice"} }, "", "nobody's name"},
		{"a name that is not UTF-8", func(p *messages.EncTicketPart) { p.CName.NameString = []string{"al\xffice"} }, "", ""},
		{"a separator within the name", func(p *messages.EncTicketPart) { p.CName.NameString = []string{"bob/admin"} }, `bob\/admin@LATCHKEY.TEST`, ""},
		{"a realm within the name", func(p *messages.EncTicketPart) { p.CName.NameString = []string{`al\ice@OTHER.TEST`} }, `al\\ice\@OTHER.TEST@LATCHKEY.TEST`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if ticket := send(t, forged(t, tt.change), false); tt.want != "" {
				accepts(t, newRealm(t, nil), ticket, tt.want)
			} else {
				refuses(t, newRealm(t, nil), ticket, tt.why)
			}
		})
	}
}

// What a client says of itself beside its ticket counts for nothing.
func TestTheAuthenticatorAgreesWithTheTicket(t *testing.T) {
	tests := []struct {
		name   string
		change func(*types.Authenticator)
		why    string
	}{
		{"another name", func(a *types.Authenticator) { a.CName = kdctest.Principal("elastic") }, "CName in Authenticator does not match"},
		{"another realm", func(a *types.Authenticator) { a.CRealm = "OTHER.TEST" }, "another realm than the ticket"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request, err := client(t, "alice").Request(false, tt.change)
			if err != nil {
				t.Fatal(err)
			}
			refuses(t, newRealm(t, nil), kdctest.Init(request, kdctest.Krb5), tt.why)
		})
	}
}

func TestTicketsForOthers(t *testing.T) {
	c := client(t, "alice")
	t.Run("another service", func(t *testing.T) {
		other := *c
		other.Ticket.SName = kdctest.Principal("HTTP/elsewhere")
		refuses(t, newRealm(t, nil), send(t, &other, false), "matching key not found in keytab")
	})
	t.Run("another key of the same service", func(t *testing.T) {
		old := newRealm(t, nil)
		keytab := filepath.Join(t.TempDir(), "new.keytab")
		kt, err := readKeytab(kdc(t).Keytab)
		if err != nil {
			t.Fatal(err)
		}
		for i := range kt.Entries {
			kt.Entries[i].Key.KeyValue = bytes.Repeat([]byte{7}, len(kt.Entries[i].Key.KeyValue))
		}
		writeKeytab(t, keytab, kt)
		refuses(t, newRealm(t, func(o *Options) { o.Keytab = keytab }), send(t, c, false), "integrity")
		accepts(t, old, send(t, c, false), "alice@LATCHKEY.TEST")
	})
	t.Run("another session", func(t *testing.T) {
		other := *client(t, "alice")
		other.Ticket = c.Ticket
		refuses(t, newRealm(t, nil), send(t, &other, false), "could not decrypt authenticator")
	})
}

func TestNegotiation(t *testing.T) {
	request := func(t *testing.T) []byte {
		b, err := client(t, "alice").Request(true, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("one round", func(t *testing.T) {
		accepts(t, newRealm(t, nil), kdctest.Init(request(t), kdctest.Krb5, kdctest.NTLM), "alice@LATCHKEY.TEST")
		accepts(t, newRealm(t, nil), kdctest.Init(request(t), kdctest.Krb5Wrong, kdctest.Krb5), "alice@LATCHKEY.TEST")
	})
	for _, tt := range []struct {
		name    string
		opening []byte
		want    kdctest.Reply
	}{
		{"a client that waits to be asked", kdctest.Init(nil, kdctest.Krb5), kdctest.Reply{State: 1, Mechanism: kdctest.Krb5}},
		{"a client that prefers another mechanism", kdctest.Init([]byte("NTLMSSP\x00"), kdctest.NTLM, kdctest.Krb5), kdctest.Reply{State: 3, Mechanism: kdctest.Krb5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRealm(t, nil)
			_, _, err := r.Authenticate(t.Context(), tt.opening)
			more, ok := errors.AsType[*token.Continue](err)
			if !ok {
				t.Fatalf("got %v; want another round", err)
			}
			if got, err := kdctest.ReadReply(more.Reply); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			c := client(t, "alice")
			second, err := c.Request(true, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, reply, err := r.Authenticate(t.Context(), kdctest.Next(second))
			if err != nil || s.Username != "alice@LATCHKEY.TEST" {
				t.Errorf("the second round: %q, %v", s.Username, err)
			}
			if err := c.Check(reply); err != nil {
				t.Error(err)
			}
		})
	}
	good := kdctest.Init([]byte("x"), kdctest.Krb5)
	for _, tt := range []struct {
		name  string
		token []byte
		why   string
	}{
		{"nothing", nil, "not one of SPNEGO"},
		{"no Kerberos", kdctest.Init(nil, kdctest.NTLM), "does not offer Kerberos"},
		{"no mechanism", kdctest.Init(nil), "does not offer Kerberos"},
		{"NTLM without SPNEGO", []byte("NTLMSSP\x00\x01"), "sent NTLM"},
		{"no ticket in the second round", kdctest.Next(nil), "holds no ticket"},
		{"no ticket in the token", good, "not the first one of Kerberos"},
		{"more than a token", append(slices.Clone(good), 0), "not one of SPNEGO"},
		{"less than a token", good[:len(good)-1], "not one of SPNEGO"},
		{"a token without SPNEGO", request(t), "not one of SPNEGO"},
	} {
		t.Run(tt.name, func(t *testing.T) { refuses(t, newRealm(t, nil), tt.token, tt.why) })
	}
}

// others is the users of other realms.
type others map[string]access.Subject

func (o others) LookupIn(_ context.Context, realms []string, username string) (access.Subject, error) {
	switch u, ok := o[username]; {
	case username == "down":
		return access.Subject{}, fault.New(fault.Unavailable, "the store is away")
	case username == "off":
		return access.Subject{}, fault.New(fault.Unauthenticated, "disabled")
	case !ok || !slices.Contains(realms, u.Realm.Name):
		return access.Subject{}, fault.New(fault.NotFound, "user [%s] not found", username)
	default:
		return u, nil
	}
}

// mapped is the roles of users of the realm.
type mapped map[string][]string

func (m mapped) Roles(_ context.Context, u rolemapping.User) ([]string, error) {
	return append([]string{}, m[u.Username+" of "+u.Realm.Name]...), nil
}

func (o others) WithAnonymous(roles []string) []string {
	return append(roles, o["_anonymous"].Roles...)
}

func TestAuthorizationRealms(t *testing.T) {
	email := "alice@example.org"
	users := others{
		"alice":   {Username: "alice", Email: &email, Roles: []string{"editor"}, Metadata: []byte(`{"a":1}`), Realm: access.Realm{Name: "native1", Type: "native"}},
		"elastic": {Username: "elastic", Roles: []string{"superuser"}, Realm: access.Realm{Name: "reserved", Type: "reserved"}},
	}
	realm := func(t *testing.T, names ...string) *Realm {
		return newRealm(t, func(o *Options) { o.AuthorizationRealms, o.Users, o.RemoveRealmName = names, users, true })
	}
	of := func(name string) []byte {
		return send(t, forged(t, func(p *messages.EncTicketPart) { p.CName = kdctest.Principal(name) }), false)
	}
	t.Run("roles are those of the namesake, the realm is that of the ticket", func(t *testing.T) {
		got, _, err := realm(t, "native1").Authenticate(t.Context(), of("alice"))
		want := users["alice"]
		want.Realm = access.Realm{Name: "kerb1", Type: "kerberos"}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	})
	t.Run("roles of all who log in", func(t *testing.T) {
		r := newRealm(t, func(o *Options) { o.Users = others{"_anonymous": {Roles: []string{"guest"}}} })
		if got, _, err := r.Authenticate(t.Context(), of("alice")); err != nil || !slices.Equal(got.Roles, []string{"guest"}) {
			t.Errorf("got %q, %v; want those of the anonymous user", got.Roles, err)
		}
	})
	t.Run("roles that are mapped", func(t *testing.T) {
		r := newRealm(t, func(o *Options) { o.Roles, o.RemoveRealmName = mapped{"alice of kerb1": {"mapped"}}, true })
		if got, _, err := r.Authenticate(t.Context(), of("alice")); err != nil || !slices.Equal(got.Roles, []string{"mapped"}) {
			t.Errorf("got %q, %v; want those of the mapping", got.Roles, err)
		}
	})
	t.Run("any of several realms", func(t *testing.T) {
		accepts(t, realm(t, "reserved", "native1"), of("elastic"), "elastic")
	})
	t.Run("a realm that is not named", func(t *testing.T) {
		refuses(t, realm(t, "native1"), of("elastic"), "there is no user [elastic] in [native1]")
	})
	t.Run("nobody of that name", func(t *testing.T) {
		refuses(t, realm(t, "native1"), of("carol"), "there is no user [carol] in [native1]")
	})
	t.Run("a disabled user", func(t *testing.T) {
		refuses(t, realm(t, "native1"), of("off"), "disabled")
	})
	t.Run("a store that is away", func(t *testing.T) {
		if _, _, err := realm(t, "native1").Authenticate(t.Context(), of("down")); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("got %v; want fault.Unavailable", err)
		}
	})
}

// TK-69: no ticket and no key is logged, also where the log tells why one was refused.
func TestTheLogSaysWhyIfAsked(t *testing.T) {
	for _, debug := range []bool{false, true} {
		var log bytes.Buffer
		r := newRealm(t, func(o *Options) {
			o.Debug, o.Log = debug, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		c := client(t, "alice")
		ticket := send(t, c, true)
		accepts(t, r, ticket, "alice@LATCHKEY.TEST")
		refuses(t, r, ticket, "was sent before")
		if got := strings.Contains(log.String(), "the ticket of alice@LATCHKEY.TEST was sent before"); got != debug {
			t.Errorf("krb.debug %t: the log is %q", debug, &log)
		}
		for _, hidden := range [][]byte{ticket[:64], ticket[len(ticket)-64:], c.Key.KeyValue, c.Ticket.EncPart.Cipher[:32]} {
			for _, text := range []string{string(hidden), base64.StdEncoding.EncodeToString(hidden)[:20], hex.EncodeToString(hidden)} {
				if strings.Contains(log.String(), text) {
					t.Errorf("the log tells %q", text)
				}
			}
		}
	}
}

// FuzzToken shows that no token brings the realm down, and that only tickets get anybody in.
func FuzzToken(f *testing.F) {
	r := newRealm(f, nil)
	c := forged(f, nil)
	request, err := c.Request(true, nil)
	if err != nil {
		f.Fatal(err)
	}
	good := kdctest.Init(request, kdctest.Krb5)
	if _, _, err := r.Authenticate(f.Context(), good); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(kdctest.Next(request))
	f.Add(kdctest.Init(nil, kdctest.Krb5))
	f.Add(kdctest.Init([]byte("x"), kdctest.NTLM, kdctest.Krb5))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, reply, err := r.Authenticate(t.Context(), b)
		_, more := errors.AsType[*token.Continue](err)
		if reply != nil || !more && fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%x got %x, %v", b, reply, err)
		}
	})
}
