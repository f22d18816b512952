package latchkey_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"latchkey"
)

// newKey makes a key for an example.
func newKey(c *latchkey.Client, name string) latchkey.CreateAPIKeyResponse {
	made, err := c.CreateAPIKey(context.Background(), latchkey.CreateAPIKeyRequest{Name: name})
	if err != nil {
		log.Panic(err)
	}
	return made
}

// newUser makes a user who may manage own keys, and returns the user's client.
func newUser(c *latchkey.Client, name string) *latchkey.Client {
	ctx := context.Background()
	if _, err := c.PutRole(ctx, "key_owner", latchkey.Role{Cluster: []string{"manage_own_api_key"}}); err != nil {
		log.Panic(err)
	}
	if _, err := c.PutUser(ctx, name, latchkey.PutUserRequest{Password: "a-password", Roles: []string{"key_owner"}}); err != nil {
		log.Panic(err)
	}
	return c.As(latchkey.Basic(name, "a-password"))
}

func ExampleNew() {
	client, err := latchkey.New("https://keys-1.example.org:9200",
		latchkey.WithAddresses("https://keys-2.example.org:9200"),
		latchkey.WithCertificateFingerprint("5b:34:91:9f:0b:1c:2b:a5:3e:38:fa:5f:4e:4a:83:f3:c8:29:ad:6c:15:b2:12:48:79:cd:a9:26:40:b8:1c:31"),
		latchkey.WithCredential(latchkey.EncodedKey("VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==")))
	if err != nil {
		log.Panic(err)
	}
	defer client.Close()
}

func ExampleClient_Info() {
	client := newClient()
	defer client.Close()
	info, err := client.Info(context.Background())
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(info.Tagline)
	// Output: You Know, for Search
}

func ExampleClient_Ping() {
	client := newClient()
	defer client.Close()
	fmt.Println(client.Ping(context.Background()))
	// Output: <nil>
}

func ExampleClient_Authenticate() {
	client := newClient()
	defer client.Close()
	me, err := client.Authenticate(context.Background())
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(me.Username, me.Roles)
	// Output: elastic [superuser]
}

func ExampleClient_As() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "another-credential")
	me, err := client.As(made.Credential()).Authenticate(context.Background())
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(me.AuthenticationType, me.APIKey.Name)
	// Output: api_key another-credential
}

func ExampleClient_RunAs() {
	client := newClient()
	defer client.Close()
	newUser(client, "ann")
	me, err := client.RunAs("ann").Authenticate(context.Background())
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(me.Username, "of", me.LookupRealm.Name, "by", me.AuthenticationRealm.Name)
	// Output: ann of default_native by reserved
}

func ExampleClient_CreateAPIKey() {
	client := newClient()
	defer client.Close()
	made, err := client.CreateAPIKey(context.Background(), latchkey.CreateAPIKeyRequest{
		Name:            "a-day-of-monitoring",
		Expiration:      24 * time.Hour,
		RoleDescriptors: map[string]latchkey.Role{"watch": {Cluster: []string{"monitor"}}},
		Metadata:        []byte(`{"team":"ops"}`),
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(made.Name, "lives", time.Until(time.UnixMilli(made.Expiration)).Round(time.Hour))
	fmt.Println(made.Credential()) // hand over made.Encoded; nothing prints it by accident
	// Output:
	// a-day-of-monitoring lives 24h0m0s
	// ApiKey [redacted]
}

func ExampleClient_GrantAPIKey() {
	client := newClient()
	defer client.Close()
	newUser(client, "bea")
	made, err := client.GrantAPIKey(context.Background(), latchkey.GrantAPIKeyRequest{
		Username: "bea", Password: "a-password",
		APIKey: latchkey.CreateAPIKeyRequest{Name: "for-bea"},
	})
	if err != nil {
		log.Panic(err)
	}
	me, err := client.As(made.Credential()).Authenticate(context.Background())
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(me.Username)
	// Output: bea
}

func ExampleClient_GetAPIKeys() {
	client := newClient()
	defer client.Close()
	newKey(client, "listed-1")
	newKey(client, "listed-2")
	keys, err := client.GetAPIKeys(context.Background(), latchkey.GetAPIKeysRequest{Name: "listed-*", ActiveOnly: true})
	if err != nil {
		log.Panic(err)
	}
	for _, k := range keys {
		fmt.Println(k.Name, k.Username, k.Realm)
	}
	// Unordered output:
	// listed-1 elastic reserved
	// listed-2 elastic reserved
}

func ExampleClient_UpdateAPIKey() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "to-be-narrowed")
	updated, err := client.UpdateAPIKey(context.Background(), made.ID, latchkey.UpdateAPIKeyRequest{
		RoleDescriptors: map[string]latchkey.Role{"watch": {Cluster: []string{"monitor"}}},
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(updated)
	// Output: true
}

func ExampleClient_BulkUpdateAPIKeys() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "to-be-prolonged")
	done, err := client.BulkUpdateAPIKeys(context.Background(), []string{made.ID, "unknown"}, latchkey.UpdateAPIKeyRequest{Expiration: 24 * time.Hour})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(done.Updated), "updated;", done.Errors.Details["unknown"].Type)
	// Output: 1 updated; resource_not_found_exception
}

func ExampleClient_RotateAPIKey() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "rotated")
	next, err := client.RotateAPIKey(context.Background(), made.ID, 24*time.Hour)
	if err != nil {
		log.Panic(err)
	}
	for _, credential := range []latchkey.Credential{made.Credential(), next.Credential()} { // both are good for a day
		if _, err := client.As(credential).Authenticate(context.Background()); err != nil {
			log.Panic(err)
		}
	}
	ended, err := client.EndOverlap(context.Background(), made.ID) // as soon as nobody needs the old one
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(next.ID == made.ID, ended)
	// Output: true true
}

func ExampleClient_PreviewInvalidation() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "preview-1")
	would, err := client.PreviewInvalidation(context.Background(), latchkey.ByName("preview-*"))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(would.Invalidated), "would be invalidated")
	_, err = client.As(made.Credential()).Authenticate(context.Background())
	fmt.Println(err)
	// Output:
	// 1 would be invalidated
	// <nil>
}

func ExampleClient_InvalidateAPIKeys() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "leaked")
	done, err := client.InvalidateAPIKeys(context.Background(), latchkey.ByID(made.ID))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(done.Invalidated), "invalidated")
	_, err = client.As(made.Credential()).Authenticate(context.Background())
	if refusal, ok := errors.AsType[*latchkey.Error](err); ok {
		fmt.Println(refusal.Status, refusal.Type)
	}
	// Output:
	// 1 invalidated
	// 401 security_exception
}

// invalidate shows what a selection ended.
func invalidate(c *latchkey.Client, keys latchkey.KeySelection) {
	done, err := c.InvalidateAPIKeys(context.Background(), keys)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(done.Invalidated), "invalidated,", len(done.PreviouslyInvalidated), "before")
}

func ExampleByID() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "by-id")
	invalidate(client, latchkey.ByID(made.ID))
	invalidate(client, latchkey.ByID(made.ID))
	// Output:
	// 1 invalidated, 0 before
	// 0 invalidated, 1 before
}

func ExampleByIDs() {
	client := newClient()
	defer client.Close()
	one, two := newKey(client, "by-ids"), newKey(client, "by-ids")
	invalidate(client, latchkey.ByIDs(one.ID, two.ID, "no-such-key"))
	// Output: 2 invalidated, 0 before
}

func ExampleByName() {
	client := newClient()
	defer client.Close()
	newKey(client, "by-name-1")
	newKey(client, "by-name-2")
	invalidate(client, latchkey.ByName("by-name-1"))
	invalidate(client, latchkey.ByName("by-name-*"))
	// Output:
	// 1 invalidated, 0 before
	// 1 invalidated, 0 before
}

func ExampleByRealm() {
	client := newClient()
	defer client.Close()
	invalidate(client, latchkey.ByRealm("a-realm-without-keys"))
	// Output: 0 invalidated, 0 before
}

func ExampleByUser() {
	client := newClient()
	defer client.Close()
	newKey(newUser(client, "cleo"), "by-user")
	invalidate(client, latchkey.ByUser("cleo"))
	// Output: 1 invalidated, 0 before
}

func ExampleByRealmAndUser() {
	client := newClient()
	defer client.Close()
	newKey(newUser(client, "dana"), "by-realm-and-user")
	invalidate(client, latchkey.ByRealmAndUser("another_realm", "dana"))
	invalidate(client, latchkey.ByRealmAndUser("default_native", "dana"))
	// Output:
	// 0 invalidated, 0 before
	// 1 invalidated, 0 before
}

func ExampleOwned() {
	client := newClient()
	defer client.Close()
	eve := newUser(client, "eve")
	newKey(eve, "owned")
	newKey(eve, "owned")
	invalidate(eve, latchkey.Owned())
	// Output: 2 invalidated, 0 before
}

func ExampleOwnedByIDs() {
	client := newClient()
	defer client.Close()
	flo, gus := newUser(client, "flo"), newUser(client, "gus")
	invalidate(flo, latchkey.OwnedByIDs(newKey(flo, "hers").ID, newKey(gus, "his").ID))
	// Output: 1 invalidated, 0 before
}

func ExampleOwnedByName() {
	client := newClient()
	defer client.Close()
	hal, ida := newUser(client, "hal"), newUser(client, "ida")
	newKey(hal, "same-name")
	newKey(ida, "same-name")
	invalidate(hal, latchkey.OwnedByName("same-name"))
	// Output: 1 invalidated, 0 before
}

func ExampleClient_InvalidateAPIKeysAsync() {
	client := newClient()
	defer client.Close()
	made := newKey(client, "async")
	running := client.InvalidateAPIKeysAsync(context.Background(), latchkey.ByID(made.ID), latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{
		OnResponse: func(done latchkey.InvalidateAPIKeysResponse) { fmt.Println(len(done.Invalidated), "invalidated") },
		OnFailure:  func(err error) { fmt.Println("failed:", err) },
	})
	// What else there is to do goes here; running.Cancel() would end it early.
	<-running.Done()
	// Output: 1 invalidated
}

// newTokens gets tokens of a new user for an example.
func newTokens(c *latchkey.Client, name string) latchkey.TokenResponse {
	newUser(c, name)
	pair, err := c.GetToken(context.Background(), latchkey.PasswordGrant(name, "a-password"))
	if err != nil {
		log.Panic(err)
	}
	return pair
}

func ExampleClient_GetToken() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	newUser(client, "lea")
	pair, err := client.GetToken(ctx, latchkey.PasswordGrant("lea", "a-password"))
	if err != nil {
		log.Panic(err)
	}
	me, err := client.As(pair.Credential()).Authenticate(ctx)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(me.Username, "by", me.AuthenticationType, "for", time.Duration(pair.ExpiresIn)*time.Second)
	next, err := client.GetToken(ctx, latchkey.RefreshGrant(pair.RefreshToken)) // before the access token expires, or after
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(next.AccessToken != pair.AccessToken, next.RefreshToken != pair.RefreshToken)
	// Output:
	// lea by token for 20m0s
	// true true
}

func ExampleClientCredentialsGrant() {
	client := newClient()
	defer client.Close()
	own, err := client.GetToken(context.Background(), latchkey.ClientCredentialsGrant())
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(own.Authentication.Username, own.RefreshToken == "")
	// Output: elastic true
}

func ExampleClient_InvalidateTokens() {
	client := newClient()
	defer client.Close()
	pair := newTokens(client, "max")
	for _, half := range []latchkey.TokenSelection{latchkey.RefreshToken(pair.RefreshToken), latchkey.AccessToken(pair.AccessToken)} {
		done, err := client.InvalidateTokens(context.Background(), half)
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(done.Invalidated, "invalidated,", done.PreviouslyInvalidated, "before")
	}
	_, err := client.As(pair.Credential()).Authenticate(context.Background())
	if refusal, ok := errors.AsType[*latchkey.Error](err); ok {
		fmt.Println(refusal.Status)
	}
	_, err = client.GetToken(context.Background(), latchkey.RefreshGrant(pair.RefreshToken))
	if refusal, ok := errors.AsType[*latchkey.Error](err); ok {
		fmt.Println(refusal.Status, refusal.Type)
	}
	// Output:
	// 1 invalidated, 0 before
	// 1 invalidated, 0 before
	// 401
	// 400 invalid_grant
}

func ExampleTokensOfUser() {
	client := newClient()
	defer client.Close()
	newTokens(client, "nia")
	newTokens(client, "nia")
	done, err := client.InvalidateTokens(context.Background(), latchkey.TokensOfUser("nia"))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(done.Invalidated, "invalidated,", done.PreviouslyInvalidated, "before")
	// Output: 4 invalidated, 0 before
}

func ExampleClient_InvalidateTokensAsync() {
	client := newClient()
	defer client.Close()
	newTokens(client, "ola")
	running := client.InvalidateTokensAsync(context.Background(), latchkey.TokensOfUser("ola"), latchkey.Listener[latchkey.InvalidateTokensResponse]{
		OnResponse: func(done latchkey.InvalidateTokensResponse) { fmt.Println(done.Invalidated, "invalidated") },
		OnFailure:  func(err error) { fmt.Println("failed:", err) },
	})
	<-running.Done()
	// Output: 2 invalidated
}

func ExampleClient_ClearAPIKeyCache() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	keys, err := client.ClearAPIKeyCache(ctx)
	if err != nil {
		log.Panic(err)
	}
	realms, err := client.ClearRealmCache(ctx, []string{"default_native"}, "ann")
	if err != nil {
		log.Panic(err)
	}
	roles, err := client.ClearRoleCache(ctx, "key_owner")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(keys.Nodes.Failed, realms.Nodes.Failed, roles.Nodes.Failed)
	// Output: 0 0 0
}

func ExampleClient_PutUser() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	name := "Joan Smith"
	created, err := client.PutUser(ctx, "joan", latchkey.PutUserRequest{
		Password: "a-password", Roles: []string{"viewer"}, FullName: &name, Metadata: []byte(`{"desk":7}`),
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("created:", created)
	if err := client.ChangePassword(ctx, "joan", latchkey.ChangePasswordRequest{Password: "another-password"}); err != nil {
		log.Panic(err)
	}
	if err := client.DisableUser(ctx, "joan"); err != nil {
		log.Panic(err)
	}
	users, err := client.GetUsers(ctx, "joan")
	if err != nil {
		log.Panic(err)
	}
	joan := users["joan"]
	fmt.Println(*joan.FullName, joan.Roles, "enabled:", joan.Enabled)
	if err := client.EnableUser(ctx, "joan"); err != nil {
		log.Panic(err)
	}
	found, err := client.DeleteUser(ctx, "joan")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("deleted:", found)
	// Output:
	// created: true
	// Joan Smith [viewer] enabled: false
	// deleted: true
}

func ExampleClient_PutRole() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	created, err := client.PutRole(ctx, "log_reader", latchkey.Role{
		Cluster: []string{"monitor"},
		Indices: []latchkey.RoleIndices{{Names: []string{"logs-*"}, Privileges: []string{"read"}}},
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("created:", created)
	roles, err := client.GetRoles(ctx, "log_reader", "no-such-role")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(roles), roles["log_reader"].Indices[0].Names)
	found, err := client.DeleteRole(ctx, "log_reader")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("deleted:", found)
	// Output:
	// created: true
	// 1 [logs-*]
	// deleted: true
}

func ExampleClient_PutRoleMapping() {
	client := newClient()
	defer client.Close()
	ctx := context.Background()
	created, err := client.PutRoleMapping(ctx, "operators", latchkey.RoleMapping{
		Enabled: true,
		Roles:   []string{"ops"},
		Rules:   json.RawMessage(`{"field":{"groups":["cn=ops,dc=example,dc=org"]}}`),
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("created:", created)
	mappings, err := client.GetRoleMappings(ctx, "operators", "no-such-mapping")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(len(mappings), mappings["operators"].Roles, string(mappings["operators"].Rules))
	found, err := client.DeleteRoleMapping(ctx, "operators")
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("deleted:", found)
	// Output:
	// created: true
	// 1 [ops] {"field":{"groups":"cn=ops,dc=example,dc=org"}}
	// deleted: true
}

func ExampleClient_HasPrivileges() {
	client := newClient()
	defer client.Close()
	held, err := newUser(client, "kim").HasPrivileges(context.Background(), latchkey.HasPrivilegesRequest{
		Cluster: []string{"manage_own_api_key", "manage_security"},
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(held.Cluster["manage_own_api_key"], held.Cluster["manage_security"], held.HasAllRequested)
	// Output: true false false
}

func ExampleError() {
	client := newClient()
	defer client.Close()
	_, err := client.CreateAPIKey(context.Background(), latchkey.CreateAPIKeyRequest{Name: "_reserved"})
	if refusal, ok := errors.AsType[*latchkey.Error](err); ok {
		fmt.Println(refusal.Status, refusal.Type)
	}
	if answer, ok := errors.AsType[*latchkey.ResponseError](err); ok {
		fmt.Println(answer.Response.Header.Get("Content-Type"))
	}
	// Output:
	// 400 action_request_validation_exception
	// application/json
}

// What kind of failure it was decides what can be done about it.
func ExampleTransportError() {
	describe := func(err error) string {
		if refusal, ok := errors.AsType[*latchkey.Error](err); ok && refusal.Status == http.StatusUnauthorized {
			return "the credential is wrong"
		} else if ok {
			return "the server refused"
		}
		if _, ok := errors.AsType[*latchkey.UnreadableError](err); ok {
			return "that is no such server"
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return "it took too long"
		}
		if failure, ok := errors.AsType[*latchkey.TransportError](err); ok && !failure.Sent {
			return "no server was reached"
		}
		return "the outcome is not known"
	}
	client, err := latchkey.New("http://127.0.0.1:1", latchkey.WithRetries(0)) // nobody listens there
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(describe(client.Ping(context.Background())))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(describe(client.Ping(ctx)))
	// Output:
	// no server was reached
	// it took too long
}
