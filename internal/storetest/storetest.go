// Package storetest is the contract that every store keeps. An engine proves
// itself by calling [Run] from its own tests; a rule that is not tested here is
// not part of the contract.
package storetest

import (
	"testing"
	"time"

	"latchkey/internal/apikey"
	"latchkey/internal/application"
	"latchkey/internal/leaver"
	"latchkey/internal/profile"
	"latchkey/internal/role"
	"latchkey/internal/rolemapping"
	"latchkey/internal/serviceaccount"
	"latchkey/internal/settings"
	"latchkey/internal/token"
	"latchkey/internal/user"
)

// Store is all that the rooms need from storage.
type Store interface {
	apikey.Store
	user.Store
	role.Store
	rolemapping.Store
	serviceaccount.Store
	token.Store
	application.Store
	profile.Store
	leaver.Store
	settings.Store
}

type rule struct {
	name  string
	check func(t *testing.T, s Store)
}

// Run checks the contract. open returns an empty store and arranges for it to
// be closed when t ends; it is called once for each rule.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, rules := range [][]rule{apiKeyRules, expiryRules, keySearchRules, keyUseRules, userRules, roleRules, roleMappingRules, serviceTokenRules, tokenRules, applicationRules, profileRules, leaverRules} {
		for _, r := range rules {
			t.Run(r.name, func(t *testing.T) { r.check(t, open(t)) })
		}
	}
}

// t0 has the precision that stores keep.
var t0 = time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
