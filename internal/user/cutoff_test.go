package user_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/query"
	"latchkey/internal/secret"
	"latchkey/internal/user"
	"latchkey/internal/xcontent"
)

// Who may change users and no credentials takes none from them, and changes nothing.
func TestToRevokeNeedsItsOwnRights(t *testing.T) {
	const security = "cluster:admin/xpack/security/"
	for _, tt := range []struct {
		name   string
		rights []string
		also   user.Credentials
		want   bool
	}{
		{"the user alone", []string{security + "user/*"}, user.Credentials{APIKeys: true}, false},
		{"and keys", []string{security + "user/*", security + "api_key/*"}, user.Credentials{APIKeys: true}, true},
		{"keys are no tokens", []string{security + "user/*", security + "api_key/*"}, user.Credentials{APIKeys: true, Tokens: true}, false},
		{"credentials without the user", []string{"manage_api_key", "manage_token"}, user.Credentials{APIKeys: true, Tokens: true}, false},
		{"everything", []string{"manage_security"}, user.Credentials{APIKeys: true, Tokens: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, open(t), nil)
			put(t, s, "jo", "jo-password")
			by := caller("root", admin.Realm, tt.rights...)
			if _, err := s.DisableAndRevoke(t.Context(), by, "jo", tt.also); (err == nil) != tt.want || err != nil && fault.KindOf(err) != fault.Forbidden {
				t.Errorf("DisableAndRevoke = %v; want it allowed: %v", err, tt.want)
			}
			logsIn(t, s, "jo", "jo-password", !tt.want)
			if found, _, err := s.DeleteAndRevoke(t.Context(), by, "jo", tt.also); found != tt.want || (err == nil) != tt.want {
				t.Errorf("DeleteAndRevoke = %v, %v; want it allowed: %v", found, err, tt.want)
			}
		})
	}
}

// lostCut is a store whose answer is lost after the act was done.
type lostCut struct{ user.Store }

var errLost = fault.New(fault.Unknown, "the answer was lost")

func (l lostCut) CutOffUser(ctx context.Context, c user.CutOff) (bool, user.Revoked, error) {
	c.Ended = user.Ended{Keys: func([]string) {}, Tokens: func([]secret.TokenHash) {}}
	if _, _, err := l.Store.CutOffUser(ctx, c); err != nil {
		return false, user.Revoked{}, err
	}
	return false, user.Revoked{}, errLost
}

func TestARevocationOfUnknownOutcomeIsAssumed(t *testing.T) {
	s := newService(t, lostCut{open(t)}, nil)
	put(t, s, "jo", "jo-password")
	logsIn(t, s, "jo", "jo-password", true)
	keys, tokens := false, false
	s.OnRevoked(user.Ended{
		Keys:   func(ids []string) { keys = ids == nil },
		Tokens: func(hashes []secret.TokenHash) { tokens = hashes == nil },
	})
	if _, _, err := s.DeleteAndRevoke(t.Context(), admin, "jo", user.Credentials{APIKeys: true}); !errors.Is(err, errLost) {
		t.Fatalf("DeleteAndRevoke = %v; want %v", err, errLost)
	}
	if !keys || !tokens {
		t.Errorf("all keys and tokens are looked up anew: %v and %v; want both", keys, tokens)
	}
	logsIn(t, s, "jo", "jo-password", false)
}

// Names that were ordinary when their user was made are not found as native users.
func TestQueryPassesOverNamesThatAreTaken(t *testing.T) {
	db := open(t)
	before := newService(t, db, nil)
	put(t, before, "guest", "password")
	put(t, before, "jo", "password")
	req, err := query.Parse(xcontent.Value{}, user.Schema, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	found, err := newService(t, db, anonymous).Query(t.Context(), admin, req)
	if err != nil || found.Total != 1 || found.Page[0].Document.Username != "jo" {
		t.Errorf("Query = %+v, %v; want jo alone", found, err)
	}
}
