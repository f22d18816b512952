package kerberos

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// What a token of the mechanism holds (RFC 4121 4.1).
const (
	isAPReq = 0x0100
	isAPRep = 0x0200
)

// ticket is one that holds.
type ticket struct {
	name      []string // the components of the client's principal
	realm     string   // the client's
	mutual    bool     // the client wants proof of the service
	mechanism asn1.ObjectIdentifier
	key       types.EncryptionKey // of the session
	auth      types.Authenticator
}

// verify judges a token of the Kerberos mechanism, and remembers it if it is
// good: the second time it is refused. The error is for the operator.
func (r *Realm) verify(token []byte) (t ticket, err error) {
	defer func() {
		if p := recover(); p != nil { // a stranger wrote what gokrb5 reads here
			t, err = ticket{}, errors.New("the ticket is damaged")
		}
	}()
	in, body := cryptobyte.String(token), cryptobyte.String(nil)
	var kind uint16
	if !in.ReadASN1(&body, application(0)) || !in.Empty() ||
		!body.ReadASN1ObjectIdentifier(&t.mechanism) || !t.mechanism.Equal(krb5) && !t.mechanism.Equal(krb5Wrong) ||
		!body.ReadUint16(&kind) || kind != isAPReq {
		return ticket{}, errors.New("the token is not the first one of Kerberos")
	}
	var req messages.APReq
	if err := req.Unmarshal(body); err != nil {
		return ticket{}, err
	}
	if ok, err := req.Verify(r.keys.get(), skew, types.HostAddress{}, nil); err != nil || !ok {
		return ticket{}, errors.Join(errors.New("the ticket does not verify"), err)
	}
	// The KDC vouches for what is in the ticket. What is in the authenticator the client wrote itself.
	inside := &req.Ticket.DecryptedEncPart
	t.name, t.realm, t.key, t.auth = inside.CName.NameString, inside.CRealm, inside.Key, req.Authenticator
	t.mutual = req.APOptions.At(flags.APOptionMutualRequired) == 1
	switch foreign := t.realm != req.Ticket.Realm; {
	case t.auth.CRealm != t.realm:
		return ticket{}, errors.New("the authenticator names another realm than the ticket")
	case foreign && len(inside.Transited.Contents) > 0 && inside.Flags.At(flags.TransitedPolicyChecked) == 0:
		return ticket{}, fmt.Errorf("the ticket of the realm %s came by way of others, and no KDC has checked them", t.realm)
	case !t.named():
		return ticket{}, fmt.Errorf("the principal %q is nobody's name", t.username(false))
	case !r.replays.first(req.EncryptedAuthenticator.Cipher):
		return ticket{}, fmt.Errorf("the ticket of %s was sent before with the same authenticator", t.username(false))
	}
	return t, nil
}

// named reports whether the principal stands for somebody. Of the anonymous
// principal (RFC 8062) anybody may get a ticket.
func (t *ticket) named() bool {
	whole := strings.Join(t.name, "")
	return whole != "" && t.realm != "" && utf8.ValidString(whole+t.realm) && !strings.ContainsFunc(whole+t.realm, unicode.IsControl) &&
		t.name[0] != "WELLKNOWN" && !strings.HasPrefix(t.realm, "WELLKNOWN:")
}

// username is the client's principal, in one way only: separators within a
// component are escaped, as Kerberos' own tools show them.
func (t *ticket) username(withoutRealm bool) string {
	escape := strings.NewReplacer(`\`, `\\`, `/`, `\/`, `@`, `\@`)
	parts := make([]string, len(t.name))
	for i, s := range t.name {
		parts[i] = escape.Replace(s)
	}
	name := strings.Join(parts, "/")
	if withoutRealm {
		return name
	}
	return name + "@" + t.realm
}

// prove returns the token by which the client knows that the service could read
// its ticket: KRB_AP_REP (RFC 4120 5.5.2), with the client's own time under the
// key of the session.
func (t *ticket) prove() ([]byte, error) {
	var inner cryptobyte.Builder
	inner.AddASN1(application(asnAppTag.EncAPRepPart), func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tagged(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(t.auth.CTime.UTC()) })
			b.AddASN1(tagged(1), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(t.auth.Cusec)) })
			// No message follows that would be counted from here.
			b.AddASN1(tagged(3), func(b *cryptobyte.Builder) { b.AddASN1Int64(t.auth.SeqNumber) })
		})
	})
	plain, err := inner.Bytes()
	if err != nil {
		return nil, err
	}
	sealed, err := crypto.GetEncryptedData(plain, t.key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(application(0), func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(t.mechanism)
		b.AddUint16(isAPRep)
		b.AddASN1(application(asnAppTag.APREP), func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(tagged(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(iana.PVNO) })
				b.AddASN1(tagged(1), func(b *cryptobyte.Builder) { b.AddASN1Int64(msgtype.KRB_AP_REP) })
				b.AddASN1(tagged(2), func(b *cryptobyte.Builder) {
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(tagged(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(sealed.EType)) })
						b.AddASN1(tagged(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sealed.Cipher) })
					})
				})
			})
		})
	})
	return b.Bytes()
}
