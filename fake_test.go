package latchkey_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"latchkey"
)

// transport stands for a network that answers as a test wants.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns an answer as a server of this API gives it, with further
// headers as "Name: value".
func answering(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		h.Set("X-Elastic-Product", "Elasticsearch")
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if h.Del(name); value != "" {
			h.Set(name, value)
		}
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// always answers every request alike.
func always(status int, body string, headers ...string) transport {
	return func(r *http.Request) (*http.Response, error) {
		a := answering(status, body, headers...)
		a.Request = r
		return a, nil
	}
}

// newFake returns a client of servers at http://a, http://b and so on, one for
// each of the addresses "a", "b", over a network of the test's.
func newFake(t testing.TB, f transport, options ...latchkey.Option) *latchkey.Client {
	t.Helper()
	c, err := latchkey.New("http://a", append([]latchkey.Option{latchkey.WithTransport(f),
		latchkey.WithCredential(latchkey.Basic("jo", "the-password"))}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// everyCall makes each call of the client once, and returns its error.
var everyCall = map[string]func(ctx context.Context, c *latchkey.Client) error{
	"DelegatePKI": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.DelegatePKI(ctx, nil)
		return err
	},
	"Info":         func(ctx context.Context, c *latchkey.Client) error { _, err := c.Info(ctx); return err },
	"Ping":         func(ctx context.Context, c *latchkey.Client) error { return c.Ping(ctx) },
	"Authenticate": func(ctx context.Context, c *latchkey.Client) error { _, err := c.Authenticate(ctx); return err },
	"CreateAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{Name: "n"})
		return err
	},
	"GrantAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{Username: "u", Password: "p", APIKey: latchkey.CreateAPIKeyRequest{Name: "n"}})
		return err
	},
	"CloneAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.CloneAPIKey(ctx, latchkey.CloneAPIKeyRequest{Encoded: "aTpz"})
		return err
	},
	"CreateCrossClusterAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.CreateCrossClusterAPIKey(ctx, latchkey.CreateCrossClusterAPIKeyRequest{Name: "n"})
		return err
	},
	"UpdateCrossClusterAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.UpdateCrossClusterAPIKey(ctx, "i", latchkey.UpdateCrossClusterAPIKeyRequest{})
		return err
	},
	"ExpiringAPIKeys": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.ExpiringAPIKeys(ctx, time.Hour)
		return err
	},
	"InvalidateLeaked": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.InvalidateLeaked(ctx, strings.NewReader("a log"), false)
		return err
	},
	"GetAPIKeys": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{ID: "i"})
		return err
	},
	"QueryAPIKeys": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.QueryAPIKeys(ctx, latchkey.QueryAPIKeysRequest{})
		return err
	},
	"EveryAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		for _, err := range c.EveryAPIKey(ctx, latchkey.QueryAPIKeysRequest{}) {
			return err
		}
		return nil
	},
	"UpdateAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.UpdateAPIKey(ctx, "i", latchkey.UpdateAPIKeyRequest{})
		return err
	},
	"BulkUpdateAPIKeys": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.BulkUpdateAPIKeys(ctx, []string{"i"}, latchkey.UpdateAPIKeyRequest{})
		return err
	},
	"RotateAPIKey": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.RotateAPIKey(ctx, "i", time.Hour)
		return err
	},
	"EndOverlap": func(ctx context.Context, c *latchkey.Client) error { _, err := c.EndOverlap(ctx, "i"); return err },
	"PreviewInvalidation": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.PreviewInvalidation(ctx, latchkey.Owned())
		return err
	},
	"InvalidateAPIKeys": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.InvalidateAPIKeys(ctx, latchkey.Owned())
		return err
	},
	"InvalidateAPIKeysAsync": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.InvalidateAPIKeysAsync(ctx, latchkey.Owned(), latchkey.Listener[latchkey.InvalidateAPIKeysResponse]{}).Wait()
		return err
	},
	"ClearAPIKeyCache": func(ctx context.Context, c *latchkey.Client) error { _, err := c.ClearAPIKeyCache(ctx); return err },
	"GetToken": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GetToken(ctx, latchkey.ClientCredentialsGrant())
		return err
	},
	"GetToken to refresh": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GetToken(ctx, latchkey.RefreshGrant("r"))
		return err
	},
	"InvalidateTokens": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.InvalidateTokens(ctx, latchkey.AccessToken("a"))
		return err
	},
	"InvalidateTokensAsync": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.InvalidateTokensAsync(ctx, latchkey.AccessToken("a"), latchkey.Listener[latchkey.InvalidateTokensResponse]{}).Wait()
		return err
	},
	"PutUser": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.PutUser(ctx, "u", latchkey.PutUserRequest{Password: "password"})
		return err
	},
	"GetUsers":   func(ctx context.Context, c *latchkey.Client) error { _, err := c.GetUsers(ctx, "u"); return err },
	"DeleteUser": func(ctx context.Context, c *latchkey.Client) error { _, err := c.DeleteUser(ctx, "u"); return err },
	"ChangePassword": func(ctx context.Context, c *latchkey.Client) error {
		return c.ChangePassword(ctx, "u", latchkey.ChangePasswordRequest{Password: "password"})
	},
	"EnableUser":  func(ctx context.Context, c *latchkey.Client) error { return c.EnableUser(ctx, "u") },
	"DisableUser": func(ctx context.Context, c *latchkey.Client) error { return c.DisableUser(ctx, "u") },
	"PutRole": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.PutRole(ctx, "r", latchkey.Role{})
		return err
	},
	"GetRoles":   func(ctx context.Context, c *latchkey.Client) error { _, err := c.GetRoles(ctx, "r"); return err },
	"DeleteRole": func(ctx context.Context, c *latchkey.Client) error { _, err := c.DeleteRole(ctx, "r"); return err },
	"PutRoleMapping": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.PutRoleMapping(ctx, "m", latchkey.RoleMapping{Roles: []string{"r"}, Rules: json.RawMessage(`{"all":[]}`)})
		return err
	},
	"GetRoleMappings": func(ctx context.Context, c *latchkey.Client) error { _, err := c.GetRoleMappings(ctx, "m"); return err },
	"DeleteRoleMapping": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.DeleteRoleMapping(ctx, "m")
		return err
	},
	"HasPrivileges": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.HasPrivileges(ctx, latchkey.HasPrivilegesRequest{Cluster: []string{"all"}})
		return err
	},
	"GetUserPrivileges": func(ctx context.Context, c *latchkey.Client) error { _, err := c.GetUserPrivileges(ctx); return err },
	"GetBuiltinPrivileges": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GetBuiltinPrivileges(ctx)
		return err
	},
	"PutPrivileges": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.PutPrivileges(ctx, map[string]map[string]latchkey.ApplicationPrivilege{"app": {"p": {Actions: []string{"a:*"}}}})
		return err
	},
	"GetPrivileges": func(ctx context.Context, c *latchkey.Client) error { _, err := c.GetPrivileges(ctx, "app"); return err },
	"DeletePrivileges": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.DeletePrivileges(ctx, "app", "p")
		return err
	},
	"ClearPrivilegeCache": func(ctx context.Context, c *latchkey.Client) error { _, err := c.ClearPrivilegeCache(ctx); return err },
	"GetServiceAccounts": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GetServiceAccounts(ctx, "")
		return err
	},
	"GetServiceCredentials": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.GetServiceCredentials(ctx, "elastic/kibana")
		return err
	},
	"CreateServiceToken": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.CreateServiceToken(ctx, "elastic/kibana", "t")
		return err
	},
	"DeleteServiceToken": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.DeleteServiceToken(ctx, "elastic/kibana", "t")
		return err
	},
	"ClearServiceTokenCache": func(ctx context.Context, c *latchkey.Client) error {
		_, err := c.ClearServiceTokenCache(ctx, "elastic/kibana")
		return err
	},
	"ClearRealmCache": func(ctx context.Context, c *latchkey.Client) error { _, err := c.ClearRealmCache(ctx, nil); return err },
	"ClearRoleCache":  func(ctx context.Context, c *latchkey.Client) error { _, err := c.ClearRoleCache(ctx); return err },
}
