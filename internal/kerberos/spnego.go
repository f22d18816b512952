package kerberos

import (
	"bytes"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	spnego    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
	krb5      = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	krb5Wrong = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2} // the same mechanism, as Windows 2000 wrote its name
)

// States of a negotiation (RFC 4178 4.2.2).
const (
	acceptCompleted  = 0
	acceptIncomplete = 1
	requestMIC       = 3
)

// offer is what a client's token of SPNEGO says.
type offer struct {
	mechanism asn1.ObjectIdentifier // Kerberos, by the name that the client uses; nil in the answer to [offer.ask]
	preferred bool                  // it is the client's first choice
	token     []byte                // of Kerberos; nil: the client did not send one
}

// readOffer reads the token that opens a negotiation, or the second one of it.
// Nothing is kept between the two: there is one mechanism to agree on, so
// nobody can talk the two sides into a weaker one.
func readOffer(b []byte) (offer, error) {
	if bytes.HasPrefix(b, []byte("NTLMSSP\x00")) {
		return offer{}, errors.New("the client sent NTLM: it has no ticket for this service")
	}
	bad := errors.New("the token is not one of SPNEGO")
	in, body := cryptobyte.String(b), cryptobyte.String(nil)
	switch {
	case in.PeekASN1Tag(application(0)):
		var name asn1.ObjectIdentifier
		if !in.ReadASN1(&body, application(0)) || !in.Empty() || !body.ReadASN1ObjectIdentifier(&name) || !name.Equal(spnego) {
			return offer{}, bad
		}
		return readInit(body)
	case in.PeekASN1Tag(tagged(1)):
		if !in.ReadASN1(&body, tagged(1)) || !in.Empty() {
			return offer{}, bad
		}
		return readResponse(body)
	}
	return offer{}, bad
}

// readInit reads NegTokenInit.
func readInit(body cryptobyte.String) (offer, error) {
	var init, fields, mechanisms, flags, mic cryptobyte.String
	var token []byte
	var hasToken bool
	if !body.ReadASN1(&init, tagged(0)) || !body.Empty() ||
		!init.ReadASN1(&fields, der.SEQUENCE) || !init.Empty() ||
		!fields.ReadASN1(&mechanisms, tagged(0)) || !mechanisms.ReadASN1(&mechanisms, der.SEQUENCE) ||
		!fields.ReadOptionalASN1(&flags, nil, tagged(1)) ||
		!fields.ReadOptionalASN1OctetString(&token, &hasToken, tagged(2)) ||
		!fields.ReadOptionalASN1(&mic, nil, tagged(3)) || !fields.Empty() {
		return offer{}, errors.New("the opening token of SPNEGO is damaged")
	}
	for first := true; !mechanisms.Empty(); first = false {
		var m asn1.ObjectIdentifier
		if !mechanisms.ReadASN1ObjectIdentifier(&m) {
			return offer{}, errors.New("the list of mechanisms is damaged")
		}
		if !m.Equal(krb5) && !m.Equal(krb5Wrong) {
			continue
		}
		o := offer{mechanism: m, preferred: first}
		if first && hasToken { // the token belongs to the first mechanism
			o.token = token
		}
		return o, nil
	}
	return offer{}, errors.New("the client does not offer Kerberos")
}

// readResponse reads NegTokenResp.
func readResponse(body cryptobyte.String) (offer, error) {
	var fields, state, mechanism, mic cryptobyte.String
	var token []byte
	var hasToken bool
	if !body.ReadASN1(&fields, der.SEQUENCE) || !body.Empty() ||
		!fields.ReadOptionalASN1(&state, nil, tagged(0)) ||
		!fields.ReadOptionalASN1(&mechanism, nil, tagged(1)) ||
		!fields.ReadOptionalASN1OctetString(&token, &hasToken, tagged(2)) ||
		!fields.ReadOptionalASN1(&mic, nil, tagged(3)) || !fields.Empty() {
		return offer{}, errors.New("the second token of SPNEGO is damaged")
	}
	if !hasToken {
		return offer{}, errors.New("the second token of SPNEGO holds no ticket")
	}
	return offer{token: token}, nil
}

// ask returns the answer to a client that has not sent a ticket yet.
func (o offer) ask() []byte {
	if o.preferred {
		return response(acceptIncomplete, o.mechanism, nil)
	}
	return response(requestMIC, o.mechanism, nil)
}

// accept returns the last token of a negotiation.
func (o offer) accept(proof []byte) []byte { return response(acceptCompleted, o.mechanism, proof) }

// response writes NegTokenResp. A nil mechanism was told before.
func response(state int64, mechanism asn1.ObjectIdentifier, token []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tagged(1), func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tagged(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(state) })
			if mechanism != nil {
				b.AddASN1(tagged(1), func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(mechanism) })
			}
			if token != nil {
				b.AddASN1(tagged(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(token) })
			}
		})
	})
	return b.BytesOrPanic()
}

func application(n uint8) der.Tag { return der.Tag(0x40 | n).Constructed() }
func tagged(n uint8) der.Tag      { return der.Tag(n).ContextSpecific().Constructed() }
