package kdctest

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Mechanisms as clients name them.
var (
	SPNEGO    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
	Krb5      = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	Krb5Wrong = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}
	NTLM      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
)

// Client is somebody with a ticket for a service.
type Client struct {
	Ticket messages.Ticket
	Key    types.EncryptionKey
	Auth   types.Authenticator // the last one that was sent
}

// Client gets a ticket for [Service] from the KDC.
func (k *KDC) Client(user string) (*Client, error) {
	conf, err := config.Load(k.Config)
	if err != nil {
		return nil, err
	}
	c := client.NewWithPassword(user, Realm, Password, conf, client.DisablePAFXFAST(true))
	defer c.Destroy()
	if err := c.Login(); err != nil {
		return nil, err
	}
	ticket, key, err := c.GetServiceTicket(Service)
	if err != nil {
		return nil, err
	}
	return &Client{Ticket: ticket, Key: key, Auth: types.Authenticator{CRealm: c.Credentials.Domain(), CName: c.Credentials.CName()}}, nil
}

// Request returns a new token of the Kerberos mechanism for the ticket. Change,
// if not nil, is made to its authenticator.
func (c *Client) Request(mutual bool, change func(*types.Authenticator)) ([]byte, error) {
	auth, err := types.NewAuthenticator(c.Auth.CRealm, c.Auth.CName)
	if err != nil {
		return nil, err
	}
	sum := make([]byte, 24)
	sum[0] = 16 // the length of the channel bindings, of which there are none
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	if change != nil {
		change(&auth)
	}
	c.Auth = auth
	req, err := messages.NewAPReq(c.Ticket, c.Key, auth)
	if err != nil {
		return nil, err
	}
	if mutual {
		types.SetFlag(&req.APOptions, flags.APOptionMutualRequired)
	}
	body, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(application(0), func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(Krb5)
		b.AddUint16(0x0100)
		b.AddBytes(body)
	})
	return b.Bytes()
}

// Token is the SPNEGO token that clients send.
func (c *Client) Token(mutual bool) ([]byte, error) {
	request, err := c.Request(mutual, nil)
	if err != nil {
		return nil, err
	}
	return Init(request, Krb5), nil
}

// Init opens a negotiation. A nil token is none.
func Init(token []byte, mechanisms ...asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1(application(0), func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(SPNEGO)
		b.AddASN1(field(0), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(field(0), func(b *cryptobyte.Builder) {
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
						for _, m := range mechanisms {
							b.AddASN1ObjectIdentifier(m)
						}
					})
				})
				addToken(b, token)
			})
		})
	})
	return b.BytesOrPanic()
}

// Next is the second token of a client.
func Next(token []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(field(1), func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { addToken(b, token) })
	})
	return b.BytesOrPanic()
}

func addToken(b *cryptobyte.Builder, token []byte) {
	if token != nil {
		b.AddASN1(field(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(token) })
	}
}

// Reply is what a service answers in SPNEGO.
type Reply struct {
	State     int
	Mechanism asn1.ObjectIdentifier // nil: not told
	Token     []byte                // nil: none
}

// ReadReply reads an answer.
func ReadReply(b []byte) (r Reply, err error) {
	in := cryptobyte.String(b)
	var fields, mechanism cryptobyte.String
	var hasMechanism, hasToken bool
	if !in.ReadASN1(&fields, field(1)) || !in.Empty() || !fields.ReadASN1(&fields, der.SEQUENCE) {
		return r, errors.New("the reply is no NegTokenResp")
	}
	var state cryptobyte.String
	if !fields.ReadASN1(&state, field(0)) || !state.ReadASN1Enum(&r.State) ||
		!fields.ReadOptionalASN1(&mechanism, &hasMechanism, field(1)) || hasMechanism && !mechanism.ReadASN1ObjectIdentifier(&r.Mechanism) ||
		!fields.ReadOptionalASN1OctetString(&r.Token, &hasToken, field(2)) || !fields.Empty() {
		return r, errors.New("the reply is damaged")
	}
	return r, nil
}

// Check returns nil if a SPNEGO reply proves that the service could read the last request.
func (c *Client) Check(reply []byte) error {
	r, err := ReadReply(reply)
	if err != nil {
		return err
	}
	if r.State != 0 {
		return fmt.Errorf("the state is %d, not accept-completed", r.State)
	}
	in, body := cryptobyte.String(r.Token), cryptobyte.String(nil)
	var mechanism asn1.ObjectIdentifier
	var kind uint16
	if !in.ReadASN1(&body, application(0)) || !body.ReadASN1ObjectIdentifier(&mechanism) || !mechanism.Equal(Krb5) || !body.ReadUint16(&kind) || kind != 0x0200 {
		return errors.New("the reply holds no proof")
	}
	var rep messages.APRep
	if err := rep.Unmarshal(body); err != nil {
		return err
	}
	plain, err := crypto.DecryptEncPart(rep.EncPart, c.Key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return err
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return err
	}
	if part.Cusec != c.Auth.Cusec || part.CTime.Unix() != c.Auth.CTime.Unix() {
		return fmt.Errorf("the proof is of another request: %v %d", part.CTime, part.Cusec)
	}
	return nil
}

// Principal reads a name such as alice or alice/admin.
func Principal(name string) types.PrincipalName {
	return types.PrincipalName{NameType: 1, NameString: strings.Split(name, "/")}
}

func application(n uint8) der.Tag { return der.Tag(0x40 | n).Constructed() }
func field(n uint8) der.Tag       { return der.Tag(n).ContextSpecific().Constructed() }
