package latchkey

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// ServiceAccount is a built-in account of a service.
type ServiceAccount struct {
	RoleDescriptor json.RawMessage `json:"role_descriptor"` // a [Role]
}

// Role reads RoleDescriptor.
func (a ServiceAccount) Role() (Role, error) {
	var role Role
	if err := json.Unmarshal(a.RoleDescriptor, &role); err != nil {
		return Role{}, fmt.Errorf("latchkey: read the role descriptor of a service account: %w", err)
	}
	return role, nil
}

// GetServiceAccountsResponse is the answer to GET /_security/service: accounts
// by name, as "elastic/fleet-server". Where none is as asked for, it is empty.
type GetServiceAccountsResponse map[string]ServiceAccount

// ServiceToken is a new token of a service account. It prints without its value.
type ServiceToken struct {
	Name  string `json:"name"`
	Value string `json:"value"` // for "Authorization: Bearer"
}

func (t ServiceToken) hidden() any {
	type plain ServiceToken
	hide(&t.Value)
	return plain(t)
}

// Format prints the token without its value.
func (t ServiceToken) Format(f fmt.State, verb rune) { printHidden(f, verb, t.hidden()) }

// LogValue is the token without its value.
func (t ServiceToken) LogValue() slog.Value { return slog.AnyValue(t.hidden()) }

// CreateServiceTokenResponse is the answer of making a token of a service
// account, and the only one that holds its value. It prints without it.
type CreateServiceTokenResponse struct {
	Created bool         `json:"created"`
	Token   ServiceToken `json:"token"`
}

// Credential makes calls with the new token.
func (r CreateServiceTokenResponse) Credential() Credential { return Bearer(r.Token.Value) }

func (r *CreateServiceTokenResponse) missing() string {
	switch {
	case r.Token.Name == "":
		return "token.name"
	case r.Token.Value == "":
		return "token.value"
	}
	return ""
}

func (r CreateServiceTokenResponse) hidden() any {
	type plain CreateServiceTokenResponse
	hide(&r.Token.Value)
	return plain(r)
}

// Format prints the answer without the value of the token.
func (r CreateServiceTokenResponse) Format(f fmt.State, verb rune) { printHidden(f, verb, r.hidden()) }

// LogValue is the answer without the value of the token.
func (r CreateServiceTokenResponse) LogValue() slog.Value { return slog.AnyValue(r.hidden()) }

// ServiceCredentialsResponse is the answer to GET
// /_security/service/{namespace}/{service}/credential: which tokens an account has.
type ServiceCredentialsResponse struct {
	ServiceAccount string                   `json:"service_account"`
	Count          int                      `json:"count"`
	Tokens         map[string]EmptyResponse `json:"tokens"` // by name; made through the API
	Nodes          struct {
		Summary NodesSummary `json:"_nodes"`
		// FileTokens holds those that stand in a file of a node, by name.
		FileTokens map[string]FileToken `json:"file_tokens"`
	} `json:"nodes_credentials"`
}

// FileToken tells where a token stands in a file.
type FileToken struct {
	Nodes []string `json:"nodes"` // names of nodes
}

func (r *ServiceCredentialsResponse) missing() string {
	if r.ServiceAccount == "" {
		return "service_account"
	}
	return ""
}

const servicePath = "/_security/service"

// accountPath is the path of an account that is named as "elastic/fleet-server".
func accountPath(account string) (string, error) {
	namespace, service, ok := strings.Cut(account, "/")
	if !ok || namespace == "" || service == "" || strings.Contains(service, "/") {
		return "", fmt.Errorf("latchkey: %q is no name of a service account; write namespace/service, as in elastic/fleet-server", account)
	}
	return servicePath + "/" + url.PathEscape(namespace) + "/" + url.PathEscape(service), nil
}

// GetServiceAccounts returns the accounts of services by name: all for "", those
// of a namespace for "elastic", and one for "elastic/fleet-server". That there
// are none is no error.
func (c *Client) GetServiceAccounts(ctx context.Context, of string) (GetServiceAccountsResponse, error) {
	path, err := servicePath, error(nil)
	switch {
	case strings.Contains(of, "/"):
		path, err = accountPath(of)
	case of != "":
		path = under(servicePath, of)
	}
	if err != nil {
		return nil, err
	}
	return call[GetServiceAccountsResponse](ctx, c, request{method: http.MethodGet, path: path})
}

// GetServiceCredentials returns which tokens an account has.
func (c *Client) GetServiceCredentials(ctx context.Context, account string) (ServiceCredentialsResponse, error) {
	path, err := accountPath(account)
	if err != nil {
		return ServiceCredentialsResponse{}, err
	}
	return call[ServiceCredentialsResponse](ctx, c, request{method: http.MethodGet, path: path + "/credential"})
}

// CreateServiceToken makes a token of an account, under a name that the server
// chooses if it is empty. Its value is in the answer and nowhere else, and it
// never expires. A name that is taken is an [*Error] of status 409.
func (c *Client) CreateServiceToken(ctx context.Context, account, name string) (CreateServiceTokenResponse, error) {
	path, err := accountPath(account)
	if err != nil {
		return CreateServiceTokenResponse{}, err
	}
	path += "/credential/token"
	if name != "" {
		path = under(path, name)
	}
	return call[CreateServiceTokenResponse](ctx, c, request{method: http.MethodPost, path: path, makesNew: true})
}

// DeleteServiceToken ends a token of an account, and reports whether there was
// one. When it returns without an error the server refuses the token from then on.
func (c *Client) DeleteServiceToken(ctx context.Context, account, name string) (found bool, err error) {
	path, err := accountPath(account)
	if err == nil {
		err = needName("name of the token", name)
	}
	if err != nil {
		return false, err
	}
	got, err := call[FoundResponse](ctx, c, request{method: http.MethodDelete, path: under(path+"/credential/token", name), mayMiss: true})
	return got.Found, err
}

// ClearServiceTokenCache makes the server look up the named tokens of an account
// anew, or all of them for no names. It changes no token.
func (c *Client) ClearServiceTokenCache(ctx context.Context, account string, names ...string) (ClearCacheResponse, error) {
	path, err := accountPath(account)
	if err != nil {
		return ClearCacheResponse{}, err
	}
	return c.clearCache(ctx, path+"/credential/token", names, nil)
}
