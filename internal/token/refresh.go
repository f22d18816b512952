package token

import (
	"context"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

func invalidGrant(description string) *Refusal { return &Refusal{"invalid_grant", description} }

const (
	notRefreshable = "the token could not be refreshed"
	usedTooLongAgo = "token has already been refreshed more than 30 seconds in the past"
)

// refresh exchanges a refresh token for a new pair; shown again within the replay
// window, it leads to the same pair, byte for byte (spec/tokens.md 6).
func (s *Service) refresh(ctx context.Context, by *access.Caller, req GrantRequest) (Granted, error) {
	old := *req.RefreshToken
	if !secret.IsRefreshToken(old) {
		return Granted{}, invalidGrant(notRefreshable)
	}
	// The pair is made and sealed before the act, which holds up other writes; a
	// replay throws it away.
	g := s.granted(req, nil)
	g.Access, g.Refresh = secret.NewAccessToken(), secret.NewRefreshToken()
	sealed, err := secret.Seal(old, g.Access+g.Refresh)
	if err != nil {
		return Granted{}, err
	}
	client := creatorOf(by)
	var who identity
	var refused *Refusal
	var failed error
	decide := func(r Record) Use {
		if who, failed = r.Identity.identity(); failed != nil {
			return Use{}
		}
		now := s.o.Now()
		refused = judge(r, who.Creator, client, now)
		switch {
		case refused == nil && r.RefreshedAt.IsZero():
			next := s.record(g, now)
			next.Username, next.Realm = r.Username, r.Realm
			if next.Identity, failed = who.next(old, g, r.Identity); failed != nil { // client is its creator, too
				return Use{}
			}
			return Use{At: next.CreatedAt, Next: &next, Sealed: sealed}
		case reused(refused) && !s.o.KeepFamily:
			return Use{At: now.Truncate(time.Millisecond), EndFamily: true}
		}
		return Use{}
	}
	ended := 0
	r, err := s.store.UseRefreshToken(ctx, secret.HashToken(old), decide, func(hashes []Hash) {
		s.kill(hashes)
		ended = len(hashes)
	})
	switch {
	case isNotFound(err):
		return Granted{}, invalidGrant(notRefreshable)
	case err != nil:
		return Granted{}, s.uncertain(err)
	case failed != nil:
		return Granted{}, failed
	}
	if reused(refused) {
		s.o.Log.WarnContext(ctx, "a refresh token came back long after its use: it may have been stolen",
			"username", r.Username, "realm", r.Realm, "client", by.Username, "client_realm", by.Realm.Name,
			"created_at", r.CreatedAt, "used_at", r.RefreshedAt, "pairs_revoked", ended)
	}
	if refused != nil {
		return Granted{}, refused
	}
	if !r.RefreshedAt.IsZero() {
		pair, err := secret.Open(old, r.Sealed)
		if err != nil {
			return Granted{}, err
		}
		g.Access, g.Refresh = pair[:len(pair)/2], pair[len(pair)/2:]
	}
	g.By = who.caller(access.ByToken)
	return g, nil
}

func reused(r *Refusal) bool { return r != nil && r.Description == usedTooLongAgo }

// judge returns why a refresh token may not be used now by a client, or nil. The
// first reason wins.
func judge(r Record, made, client *creator, now time.Time) *Refusal {
	used := !r.RefreshedAt.IsZero()
	switch {
	case now.After(r.CreatedAt.Add(refreshLife)):
		return invalidGrant("the refresh token has expired")
	case !r.RefreshOffAt.IsZero():
		return invalidGrant("token has been invalidated")
	case made == nil || !made.is(client):
		return invalidGrant("tokens must be refreshed by the creating client")
	case used && now.After(r.RefreshedAt.Add(replayWindow)):
		return invalidGrant(usedTooLongAgo)
	case used && r.RefreshedAt.After(now.Add(replayWindow)):
		return invalidGrant("the token was refreshed at a time that is yet to come: the clocks disagree")
	}
	return nil
}
