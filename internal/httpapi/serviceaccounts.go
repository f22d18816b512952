package httpapi

import (
	"context"

	"latchkey"
)

func (s *Server) routeServiceAccounts() {
	const account = "/_security/service/{namespace}/{service}"
	s.route("GET /_security/service", s.getServiceAccounts)
	s.route("GET /_security/service/{namespace}", s.getServiceAccounts)
	s.route("GET "+account, s.getServiceAccounts)
	s.route("GET "+account+"/credential", s.getServiceCredentials)
	s.routeNew("POST "+account+"/credential/token", s.createServiceToken)
	s.routeNew("POST "+account+"/credential/token/{name}", s.createServiceToken)
	s.routeNew("PUT "+account+"/credential/token/{name}", s.createServiceToken)
	s.route("DELETE "+account+"/credential/token/{name}", s.deleteServiceToken)
	s.route("POST "+account+"/credential/token/{names}/_clear_cache", s.clearServiceTokenCache)
}

// account is the service account that the path names.
func (c *call) account() string { return c.path("namespace") + "/" + c.path("service") }

// GET /_security/service[/{namespace}[/{service}]]
func (s *Server) getServiceAccounts(c *call) (act, error) {
	var of [2]string // namespace and service, as far as they are given
	copy(of[:], c.wild)
	return func(context.Context) (reply, error) {
		accounts, err := s.ServiceAccounts.Get(c.by, of[0], of[1])
		if err != nil {
			return reply{}, err
		}
		shown := make(latchkey.GetServiceAccountsResponse, len(accounts))
		for principal, d := range accounts {
			shown[principal] = latchkey.ServiceAccount{RoleDescriptor: d.JSON()}
		}
		return ok(shown), nil
	}, nil
}

// GET /_security/service/{namespace}/{service}/credential
func (s *Server) getServiceCredentials(c *call) (act, error) {
	return func(ctx context.Context) (reply, error) {
		has, err := s.ServiceAccounts.Credentials(ctx, c.by, c.account())
		if err != nil {
			return reply{}, err
		}
		shown := latchkey.ServiceCredentialsResponse{
			ServiceAccount: c.account(), Count: len(has.Index) + len(has.File),
			Tokens: make(map[string]latchkey.EmptyResponse, len(has.Index)),
		}
		for _, name := range has.Index {
			shown.Tokens[name] = latchkey.EmptyResponse{}
		}
		shown.Nodes.Summary.Total, shown.Nodes.Summary.Successful = 1, 1
		shown.Nodes.FileTokens = make(map[string]latchkey.FileToken, len(has.File))
		for _, name := range has.File {
			shown.Nodes.FileTokens[name] = latchkey.FileToken{Nodes: []string{s.opts.NodeName}}
		}
		return ok(shown), nil
	}, nil
}

// POST /_security/service/{namespace}/{service}/credential/token, PUT or POST .../token/{name}
func (s *Server) createServiceToken(c *call) (act, error) {
	c.query.Refresh()
	name := ""
	if len(c.wild) > 2 {
		name = c.path("name")
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.ServiceAccounts.Create(ctx, c.by, c.account(), name)
		if err != nil {
			return reply{}, err
		}
		return ok(latchkey.CreateServiceTokenResponse{Created: true, Token: latchkey.ServiceToken{Name: made.Name, Value: made.Value}}), nil
	}, nil
}

// DELETE /_security/service/{namespace}/{service}/credential/token/{name}
func (s *Server) deleteServiceToken(c *call) (act, error) {
	c.query.Refresh()
	return func(ctx context.Context) (reply, error) {
		had, err := s.ServiceAccounts.Delete(ctx, c.by, c.account(), c.path("name"))
		return found(had, latchkey.FoundResponse{Found: had}), err
	}, nil
}

// POST /_security/service/{namespace}/{service}/credential/token/{names}/_clear_cache
func (s *Server) clearServiceTokenCache(c *call) (act, error) {
	names := names(c.path("names"))
	return func(ctx context.Context) (reply, error) {
		if err := s.ServiceAccounts.ClearCache(ctx, c.by, c.account(), names); err != nil {
			return reply{}, err
		}
		return s.cleared(ctx)
	}, nil
}
