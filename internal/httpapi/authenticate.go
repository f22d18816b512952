package httpapi

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"latchkey"
	"latchkey/internal/access"
)

func (s *Server) routeAuthenticate() {
	s.route("GET /_security/_authenticate", s.authenticate)
}

// mayAuthenticate is a right of everybody; only a run-as can be refused.
var mayAuthenticate = access.Request{Action: "cluster:admin/xpack/security/user/authenticate", Self: true}

// GET /_security/_authenticate
func (s *Server) authenticate(c *call) (act, error) {
	return func(context.Context) (reply, error) {
		if err := c.by.Authorize(mayAuthenticate); err != nil {
			return reply{}, err
		}
		shown, err := c.by.Shown(showIdentity)
		return ok(jsontext.Value(shown)), err
	}, nil
}

// showIdentity is [identity] in JSON, in less than half the time that it takes by its
// type: of all answers this one is given most, and for many keys over one connection it
// is made each time.
func showIdentity(by *access.Caller) ([]byte, error) {
	id := identity(by)
	w := writer{make([]byte, 0, 384)}
	w.text(`{"username":`, id.Username)
	for i, role := range id.Roles {
		w.text([]string{`,"roles":[`, ","}[min(i, 1)], role)
	}
	if len(id.Roles) == 0 {
		w.raw(`,"roles":[`)
	}
	w.optional(`],"full_name":`, id.FullName)
	w.optional(`,"email":`, id.Email)
	w.raw(`,"metadata":`)
	if err := w.object(id.Metadata); err != nil {
		return nil, err
	}
	w.raw(`,"enabled":true`)
	w.text(`,"authentication_realm":{"name":`, id.AuthenticationRealm.Name)
	w.text(`,"type":`, id.AuthenticationRealm.Type)
	w.text(`},"lookup_realm":{"name":`, id.LookupRealm.Name)
	w.text(`,"type":`, id.LookupRealm.Type)
	w.text(`},"authentication_type":`, id.AuthenticationType)
	if key := id.APIKey; key != nil {
		w.text(`,"api_key":{"id":`, key.ID)
		if key.Name != "" {
			w.text(`,"name":`, key.Name)
		}
		w.text(`,"managed_by":`, key.ManagedBy)
		w.raw("}")
	}
	if token := id.Token; token != nil {
		w.text(`,"token":{"name":`, token.Name)
		w.text(`,"type":`, token.Type)
		w.text(`,"managed_by":`, token.ManagedBy)
		w.raw("}")
	}
	w.raw("}")
	return w.b, nil
}

// writer appends JSON.
type writer struct{ b []byte }

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

// text appends what comes before a text, and the text.
func (w *writer) text(before, s string) {
	w.raw(before)
	w.b, _ = jsontext.AppendQuote(w.b, s) // its error tells of bytes that are no UTF-8, which it has replaced
}

func (w *writer) optional(before string, s *string) {
	if s == nil {
		w.raw(before + "null")
		return
	}
	w.text(before, *s)
}

func (w *writer) object(o []byte) (err error) {
	if string(o) == "{}" {
		w.raw("{}")
		return nil
	}
	w.b, err = jsontext.AppendFormat(w.b, o, jsontext.AllowInvalidUTF8(true))
	return err
}

var emptyObject = []byte("{}")

func identity(by *access.Caller) *latchkey.AuthenticateResponse {
	id := &latchkey.AuthenticateResponse{
		Username: by.Username, Roles: by.Roles, FullName: by.FullName, Email: by.Email,
		Metadata: by.Metadata, Enabled: true,
		AuthenticationRealm: shownRealm(&by.Subject), LookupRealm: shownRealm(&by.Subject),
		AuthenticationType: by.Type.String(),
	}
	if len(id.Metadata) == 0 {
		id.Metadata = emptyObject
	}
	if by.By != nil {
		id.AuthenticationRealm = shownRealm(by.By)
	}
	if key := by.APIKey; key != nil {
		id.Roles = nil
		id.APIKey = &latchkey.AuthenticatedKey{ID: key.ID, Name: key.Name, ManagedBy: "elasticsearch"}
	}
	if service := by.Service; service != nil {
		id.Token = &latchkey.AuthenticatedToken{Name: service.TokenName, Type: service.TokenType, ManagedBy: "elasticsearch"}
	}
	return id
}

// shownRealm is the realm of who or what acts: of an API key not its owner's.
func shownRealm(s *access.Subject) latchkey.Realm {
	if s.APIKey != nil {
		return latchkey.Realm(access.APIKeyRealm)
	}
	return latchkey.Realm(s.Realm)
}
