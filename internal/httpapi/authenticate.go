package httpapi

import (
	"context"

	"github.com/go-json-experiment/json"
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

func showIdentity(by *access.Caller) ([]byte, error) { return json.Marshal(identity(by), jsonOptions) }

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
