package latchkey_test

import (
	"testing"

	"latchkey"
)

// Somebody leaves: what is left is told, and taken.
func TestLeaversOfARealNode(t *testing.T) {
	n, err := startNode()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	}()
	elastic, err := latchkey.New(n.address, latchkey.WithCredential(latchkey.Basic("elastic", elasticPassword)))
	if err != nil {
		t.Fatal(err)
	}
	defer elastic.Close()
	ctx := t.Context()
	if _, err := elastic.PutUser(ctx, "jane", latchkey.PutUserRequest{Password: "jane-password", Roles: []string{"superuser"}}); err != nil {
		t.Fatal(err)
	}
	jane := elastic.As(latchkey.Basic("jane", "jane-password"))
	made, err := jane.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := jane.GetToken(ctx, latchkey.PasswordGrant("jane", "jane-password"))
	if err != nil {
		t.Fatal(err)
	}
	holders := map[string]*latchkey.Client{"the key": elastic.As(latchkey.EncodedKey(made.Encoded)), "the token": elastic.As(latchkey.Bearer(pair.AccessToken))}
	for name, c := range holders { // warm
		if _, err := c.Authenticate(ctx); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	profile, err := elastic.ActivateProfile(ctx, latchkey.ActivateProfileRequest{GrantType: "access_token", AccessToken: pair.AccessToken})
	if err != nil || profile.User.Username != "jane" {
		t.Errorf("ActivateProfile = %+v, %v", profile, err)
	}
	if found, err := elastic.DeleteUser(ctx, "jane"); !found || err != nil {
		t.Fatalf("DeleteUser = %v, %v", found, err)
	}
	left, err := elastic.Leavers(ctx)
	if err != nil || len(left) != 1 || left[0].Username != "jane" || left[0].Reason != "deleted" || left[0].APIKeys.IDs[0] != made.ID || left[0].Tokens.Count != 1 {
		t.Fatalf("Leavers = %+v, %v; want jane with a key and a token", left, err)
	}
	gone, err := elastic.DeleteUserAndRevoke(ctx, "jane", latchkey.Revoke{Tokens: true, APIKeys: true})
	if err != nil || gone.Found || *gone.APIKeys != 1 || *gone.Tokens != 2 {
		t.Errorf("DeleteUserAndRevoke = %+v, %v", gone, err)
	}
	for name, c := range holders {
		if who, err := c.Authenticate(ctx); err == nil {
			t.Errorf("%s is still %s", name, who.Username)
		}
	}
	if left, err := elastic.Leavers(ctx); err != nil || len(left) != 0 {
		t.Errorf("Leavers = %+v, %v; want nobody", left, err)
	}
}
