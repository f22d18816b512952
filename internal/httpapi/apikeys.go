package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"latchkey"
	"latchkey/internal/access"
	"latchkey/internal/apikey"
	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

func (s *Server) routeAPIKeys() {
	for _, method := range []string{"POST", "PUT"} {
		s.routeNew(method+" /_security/api_key", s.createAPIKey)
		s.routeNew(method+" /_security/api_key/grant", s.grantAPIKey)
		s.routeNew(method+" /_security/api_key/clone", s.cloneAPIKey)
	}
	s.route("GET /_security/api_key", s.getAPIKeys)
	s.route("GET /_security/_query/api_key", s.queryAPIKeys)
	s.route("POST /_security/_query/api_key", s.queryAPIKeys)
	s.route("DELETE /_security/api_key", s.invalidateAPIKeys)
	s.route("PUT /_security/api_key/{id}", s.updateAPIKey)
	s.route("POST /_security/api_key/_bulk_update", s.updateAPIKeys)
	s.route("POST /_security/api_key/{ids}/_clear_cache", s.clearAPIKeyCache)
}

// POST or PUT /_security/api_key
func (s *Server) createAPIKey(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	req, err := readKey(body)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.APIKeys.Create(ctx, c.by, req)
		return newKey(made), err
	}, nil
}

// POST or PUT /_security/api_key/grant
func (s *Server) grantAPIKey(c *call) (act, error) {
	c.query.Refresh()
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req apikey.GrantRequest
	err = body.Read("grant_api_key_request", xcontent.Fields{
		"grant_type":   xcontent.ToString(&req.Type),
		"username":     xcontent.ToString(&req.Username),
		"password":     xcontent.ToString(&req.Password),
		"access_token": xcontent.ToString(&req.AccessToken),
		"run_as":       xcontent.ToString(&req.RunAs),
		"client_authentication": func(v xcontent.Value) error {
			req.ClientAuth = &apikey.ClientAuth{}
			return v.Read("client_authentication", xcontent.Fields{
				"scheme": xcontent.ToString(&req.ClientAuth.Scheme), "value": xcontent.ToString(&req.ClientAuth.Value)})
		},
		"api_key": func(v xcontent.Value) (err error) {
			req.Key, err = readGrantedKey(v)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		made, err := s.APIKeys.Grant(ctx, c.by, req)
		return newKey(made), err
	}, nil
}

// readKey reads the body of create (spec/api-keys.md 2.1).
func readKey(v xcontent.Value) (apikey.CreateRequest, error) {
	return readKeyWith(v, readAssigned)
}

func readAssigned(v xcontent.Value) (access.Descriptors, error) {
	if v.Kind != xcontent.Object {
		return nil, v.Mismatch("an object")
	}
	return readDescriptors(v)
}

// readGrantedKey is readKey, and takes an array of objects for role_descriptors
// as well: the Java client knows no other way (spec/api-keys.md, top).
func readGrantedKey(v xcontent.Value) (apikey.CreateRequest, error) {
	return readKeyWith(v, func(v xcontent.Value) (access.Descriptors, error) {
		switch v.Kind {
		case xcontent.Object:
			return readDescriptors(v)
		case xcontent.Array:
			return readDescriptors(v.Items...)
		default:
			return nil, v.Mismatch("an object or an array of objects")
		}
	})
}

// readDescriptors merges objects of descriptors by name. One parser reads them
// all, since it bounds the work that one body can cause.
func readDescriptors(objects ...xcontent.Value) (access.Descriptors, error) {
	parser := access.NewParser(true)
	roles := access.Descriptors{}
	for _, o := range objects {
		if o.Kind != xcontent.Object {
			return nil, o.Mismatch("an object or an array of objects")
		}
		for _, m := range o.Members {
			if _, twice := roles[m.Name]; twice {
				return nil, fault.New(fault.Argument, "the role descriptor [%s] is given twice", m.Name)
			}
			d, err := parser.Parse(m.Name, m.Value)
			if err != nil {
				return nil, err
			}
			roles[m.Name] = d
		}
	}
	return roles, nil
}

func readKeyWith(v xcontent.Value, roles func(xcontent.Value) (access.Descriptors, error)) (apikey.CreateRequest, error) {
	var req apikey.CreateRequest
	named := false
	err := v.Read("api_key_request", xcontent.Fields{
		"name": func(v xcontent.Value) error {
			named = true
			return xcontent.ToString(&req.Name)(v)
		},
		"expiration": toExpiration(&req.Expiration),
		"role_descriptors": func(v xcontent.Value) (err error) {
			req.Roles, err = roles(v)
			return err
		},
		"metadata": xcontent.ToObject(&req.Metadata),
	})
	if err == nil && !named {
		err = fault.New(fault.Argument, "[name] is required")
	}
	return req, err
}

func toExpiration(p **time.Duration) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		text, err := v.AsString()
		if err != nil {
			return err
		}
		d, err := xcontent.ParseDuration(text, "expiration")
		*p = &d
		return err
	}
}

func newKey(k apikey.Created) reply {
	return ok(latchkey.CreateAPIKeyResponse{ID: k.ID, Name: k.Name, Expiration: epoch(k.ExpiresAt), APIKey: k.Secret, Encoded: k.Encoded, OverlapUntil: epoch(k.OverlapUntil)})
}

// epoch is t in milliseconds, 0 for none.
func epoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// GET /_security/api_key
func (s *Server) getAPIKeys(c *call) (act, error) {
	req := apikey.GetRequest{
		ID: c.query.String("id"), Name: c.query.String("name"),
		Username: c.query.String("username"), Realm: c.query.String("realm_name"),
		Owner: c.query.Bool("owner"), ActiveOnly: c.query.Bool("active_only"), WithLimitedBy: c.query.Bool("with_limited_by"), WithLastUsed: c.query.Bool("with_last_used"),
	}
	withUID := c.query.Bool("with_profile_uid")
	return func(ctx context.Context) (reply, error) {
		infos, err := s.APIKeys.Get(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		uids, err := s.ownerProfiles(ctx, infos, withUID)
		if err != nil {
			return reply{}, err
		}
		keys := make([]latchkey.APIKey, len(infos))
		for i, info := range infos {
			keys[i] = c.shownKey(info, uids[i])
		}
		return found(len(keys) > 0 || strings.TrimSpace(req.ID) == "", latchkey.GetAPIKeysResponse{APIKeys: keys}), nil
	}, nil
}

// shownKey is a key as the client is shown it, with the uid of its owner's profile.
func (c *call) shownKey(k apikey.Info, uid string) latchkey.APIKey {
	shown := latchkey.APIKey{
		ID: k.ID, Name: k.Name, Type: string(k.Type),
		Creation: epoch(k.CreatedAt), Expiration: epoch(k.ExpiresAt),
		Invalidated: !k.InvalidatedAt.IsZero(), Invalidation: epoch(k.InvalidatedAt),
		Username: k.Owner.Username, Realm: k.Owner.Realm, RealmType: k.Owner.RealmType,
		Metadata: k.Metadata, RoleDescriptors: k.Descriptors.Canonical(), CertificateIdentity: k.CertificateIdentity,
		ProfileUID: uid,
	}
	if k.Type == apikey.CrossCluster {
		shown.Access = k.Descriptors.CrossClusterAccess().JSON()
	}
	if use := k.LastUse; !use.At.IsZero() {
		shown.LastUsed, shown.LastUsedAddress, shown.LastUsedUserAgent = epoch(use.At), use.Address, use.Agent
	}
	if k.Limit != nil {
		shown.LimitedBy = []json.RawMessage{k.Limit.Canonical()}
	}
	if c.java7 {
		return shownToJava7(shown)
	}
	return shown
}

// shownToJava7 leaves out what servers of 7.x did not show: the Java high-level
// client refuses a key with a member that it does not know.
func shownToJava7(k latchkey.APIKey) latchkey.APIKey {
	k.Type, k.RealmType, k.Invalidation, k.RoleDescriptors, k.Access, k.CertificateIdentity = "", "", 0, nil, nil, ""
	k.LastUsed, k.LastUsedAddress, k.LastUsedUserAgent, k.ProfileUID = 0, "", "", ""
	return k
}

// DELETE /_security/api_key
func (s *Server) invalidateAPIKeys(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	req := apikey.InvalidateRequest{DryRun: c.query.Bool("dry_run")}
	var byID bool
	err = body.Read("invalidate_api_key", xcontent.Fields{
		"ids": func(v xcontent.Value) error {
			if byID {
				return errIDTwice
			}
			byID = true
			return readIDs(v, &req.IDs)
		},
		"id": func(v xcontent.Value) error {
			if byID {
				return errIDTwice
			}
			byID = true
			if v.Kind != xcontent.String {
				return v.Mismatch("a string")
			}
			return readIDs(v, &req.IDs)
		},
		"name":       toTextOrNull(&req.Name),
		"username":   toTextOrNull(&req.Username),
		"realm_name": toTextOrNull(&req.Realm),
		"owner":      xcontent.ToBool(&req.Owner),
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (reply, error) {
		done, err := s.APIKeys.Invalidate(ctx, c.by, req)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.InvalidateAPIKeysResponse{
			Invalidated: done.IDs, PreviouslyInvalidated: done.Before, ErrorCount: len(done.NotReached)}
		for _, id := range done.NotReached {
			answer.ErrorDetails = append(answer.ErrorDetails, latchkey.ErrorDetails{
				Type:   "security_exception",
				Reason: fmt.Sprintf("the cross-cluster API key [%s] can only be invalidated with the cluster privilege [manage_security]", id),
			})
		}
		return ok(answer), nil
	}, nil
}

var errIDTwice = fault.New(fault.Argument, "only one of [id] and [ids] can be given")

// readIDs reads one id or an array of them; each must name something (spec/api-keys.md 1.2).
func readIDs(v xcontent.Value, ids *[]string) error {
	if err := xcontent.ToStrings(ids)(v); err != nil {
		return err
	}
	var p fault.Problems
	if len(*ids) == 0 {
		p.Add("[ids] must not be empty")
	}
	var blank []string
	for i, id := range *ids {
		if strings.TrimSpace(id) == "" {
			blank = append(blank, fmt.Sprint(i))
		}
	}
	if len(blank) > 0 {
		p.Add("[ids] must not hold blank texts, as at position [%s]", strings.Join(blank, ", "))
	}
	return p.Err(fault.Invalid)
}

func toTextOrNull(p *string) func(xcontent.Value) error {
	return func(v xcontent.Value) error {
		if v.Kind == xcontent.Null {
			return nil
		}
		return xcontent.ToString(p)(v)
	}
}

// PUT /_security/api_key/{id}
func (s *Server) updateAPIKey(c *call) (act, error) {
	var req apikey.UpdateRequest
	if len(c.content) > 0 {
		body, err := c.body()
		if err != nil {
			return nil, err
		}
		if err := body.Read("update_api_key_request", updateFields(&req)); err != nil {
			return nil, err
		}
	}
	id := c.path("id")
	return func(ctx context.Context) (reply, error) {
		changed, err := s.APIKeys.Update(ctx, c.by, id, req)
		return ok(latchkey.UpdateAPIKeyResponse{Updated: changed}), err
	}, nil
}

// POST /_security/api_key/_bulk_update
func (s *Server) updateAPIKeys(c *call) (act, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var req apikey.UpdateRequest
	var ids []string
	given := false
	fields := updateFields(&req)
	fields["ids"] = func(v xcontent.Value) error {
		given = true
		return xcontent.ToStrings(&ids)(v)
	}
	if err := body.Read("bulk_update_api_key_request", fields); err != nil {
		return nil, err
	}
	if !given {
		return nil, fault.New(fault.Argument, "[ids] is required")
	}
	return func(ctx context.Context) (reply, error) {
		done, err := s.APIKeys.UpdateAll(ctx, c.by, ids, req)
		if err != nil {
			return reply{}, err
		}
		answer := latchkey.BulkUpdateAPIKeysResponse{Updated: done.Changed, Noops: done.Same}
		if n := len(done.Failed); n > 0 {
			answer.Errors = &latchkey.BulkErrors{Count: n, Details: make(map[string]latchkey.ErrorDetails, n)}
			for _, f := range done.Failed {
				answer.Errors.Details[f.ID] = latchkey.ErrorDetails{Type: failures[f.Err.Kind].typ, Reason: f.Err.Reason}
			}
		}
		return ok(answer), nil
	}, nil
}

// updateFields are the members of both bodies of an update (spec/api-keys.md 2.4).
func updateFields(req *apikey.UpdateRequest) xcontent.Fields {
	return xcontent.Fields{
		"expiration": toExpiration(&req.Expiration),
		"role_descriptors": func(v xcontent.Value) (err error) {
			req.Roles, err = readAssigned(v)
			return err
		},
		"metadata": xcontent.ToObject(&req.Metadata),
	}
}

// POST /_security/api_key/{ids}/_clear_cache
func (s *Server) clearAPIKeyCache(c *call) (act, error) {
	ids := strings.Split(c.path("ids"), ",")
	return func(ctx context.Context) (reply, error) {
		if err := s.APIKeys.ClearCache(ctx, c.by, ids); err != nil {
			return reply{}, err
		}
		return s.cleared(ctx)
	}, nil
}
