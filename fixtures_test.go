package latchkey_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"latchkey"
)

// replayed is the calls whose answers the wire fixtures of the server hold, by
// method and path. Each returns what the client made of the answer, in the shape
// that goes over the wire.
var replayed = []struct {
	request *regexp.Regexp
	call    func(context.Context, *latchkey.Client) (any, error)
}{
	{regexp.MustCompile(`^GET /$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.Info(ctx) }},
	{regexp.MustCompile(`^GET /_security/_authenticate$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.Authenticate(ctx)
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/api_key$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.CreateAPIKey(ctx, latchkey.CreateAPIKeyRequest{})
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/api_key/grant$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GrantAPIKey(ctx, latchkey.GrantAPIKeyRequest{})
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/api_key/clone$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.CloneAPIKey(ctx, latchkey.CloneAPIKeyRequest{})
	}},
	{regexp.MustCompile(`^POST /_security/cross_cluster/api_key$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.CreateCrossClusterAPIKey(ctx, latchkey.CreateCrossClusterAPIKeyRequest{})
	}},
	{regexp.MustCompile(`^PUT /_security/cross_cluster/api_key/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		updated, err := c.UpdateCrossClusterAPIKey(ctx, "i", latchkey.UpdateCrossClusterAPIKeyRequest{})
		return latchkey.UpdateAPIKeyResponse{Updated: updated}, err
	}},
	{regexp.MustCompile(`^PUT /_security/api_key/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		updated, err := c.UpdateAPIKey(ctx, "i", latchkey.UpdateAPIKeyRequest{})
		return latchkey.UpdateAPIKeyResponse{Updated: updated}, err
	}},
	{regexp.MustCompile(`^POST /_security/api_key/_bulk_update$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.BulkUpdateAPIKeys(ctx, []string{"i"}, latchkey.UpdateAPIKeyRequest{})
	}},
	{regexp.MustCompile(`^POST /_latchkey/api_key/[^/]+/_rotate$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.RotateAPIKey(ctx, "i", 0)
	}},
	{regexp.MustCompile(`^POST /_latchkey/api_key/[^/]+/_end_overlap$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		ended, err := c.EndOverlap(ctx, "i")
		return latchkey.EndOverlapResponse{Ended: ended}, err
	}},
	{regexp.MustCompile(`^GET /_security/api_key$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		keys, err := c.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{})
		return latchkey.GetAPIKeysResponse{APIKeys: keys}, err
	}},
	{regexp.MustCompile(`^DELETE /_security/api_key$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.InvalidateAPIKeys(ctx, latchkey.Owned())
	}},
	{regexp.MustCompile(`^POST /_security/(api_key|realm|role|privilege|service/[^/]+/[^/]+/credential/token)/[^/]+/_clear_cache$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.ClearAPIKeyCache(ctx)
	}},
	{regexp.MustCompile(`^POST /_security/oauth2/token$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetToken(ctx, latchkey.ClientCredentialsGrant())
	}},
	{regexp.MustCompile(`^DELETE /_security/oauth2/token$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.InvalidateTokens(ctx, latchkey.AccessToken("a"))
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/user/([^/]+/)?_password$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return latchkey.EmptyResponse{}, c.ChangePassword(ctx, "", latchkey.ChangePasswordRequest{})
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/user/[^/]+/_enable$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return latchkey.EmptyResponse{}, c.EnableUser(ctx, "u")
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/user/[^/]+/_disable$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.DisableUserAndRevoke(ctx, "u", latchkey.Revoke{APIKeys: true})
	}},
	{regexp.MustCompile(`^(GET|POST) /_security/_query/api_key/?$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.QueryAPIKeys(ctx, latchkey.QueryAPIKeysRequest{})
	}},
	{regexp.MustCompile(`^(GET|POST) /_security/_query/user$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.QueryUsers(ctx, latchkey.Query{})
	}},
	{regexp.MustCompile(`^(GET|POST) /_security/_query/role$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.QueryRoles(ctx, latchkey.Query{})
	}},
	{regexp.MustCompile(`^POST /_security/role$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.PutRoles(ctx, nil) }},
	{regexp.MustCompile(`^DELETE /_security/role$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.DeleteRoles(ctx) }},
	{regexp.MustCompile(`^GET /_security/settings$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.SecuritySettings(ctx) }},
	{regexp.MustCompile(`^PUT /_security/settings$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return latchkey.Acknowledged{Acknowledged: true}, c.UpdateSecuritySettings(ctx, nil)
	}},
	{regexp.MustCompile(`^GET /_security/stats$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.SecurityStats(ctx) }},
	{regexp.MustCompile(`^GET /_latchkey/leavers$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		leavers, err := c.Leavers(ctx)
		return latchkey.LeaversResponse{Leavers: leavers}, err
	}},
	{regexp.MustCompile(`^POST /_latchkey/api_key/_invalidate_leaked$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.InvalidateLeaked(ctx, strings.NewReader("a log"), false)
	}},
	{regexp.MustCompile(`^GET /_latchkey/api_key/expiring$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.ExpiringAPIKeys(ctx, 0)
	}},
	{regexp.MustCompile(`^POST /_security/profile/_activate$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.ActivateProfile(ctx, latchkey.ActivateProfileRequest{})
	}},
	{regexp.MustCompile(`^(GET|POST) /_security/profile/_suggest$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.SuggestProfiles(ctx, latchkey.SuggestProfilesRequest{})
	}},
	{regexp.MustCompile(`^(GET|POST) /_security/profile/_has_privileges$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.ProfilesWithPrivileges(ctx, nil, latchkey.HasPrivilegesRequest{})
	}},
	{regexp.MustCompile(`^GET /_security/profile/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetProfiles(ctx, []string{"u"})
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/profile/[^/]+/_data$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return latchkey.Acknowledged{Acknowledged: true}, c.UpdateProfile(ctx, "u", latchkey.UpdateProfileRequest{})
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/profile/[^/]+/_(en|dis)able$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return latchkey.Acknowledged{Acknowledged: true}, c.EnableProfile(ctx, "u")
	}},
	{regexp.MustCompile(`^(GET|POST) /_security/user/([^/]+/)?_has_privileges$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.HasPrivileges(ctx, latchkey.HasPrivilegesRequest{})
	}},
	{regexp.MustCompile(`^GET /_security/user/_privileges$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetUserPrivileges(ctx)
	}},
	{regexp.MustCompile(`^GET /_security/privilege/_builtin$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetBuiltinPrivileges(ctx)
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/privilege$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.PutPrivileges(ctx, nil)
	}},
	{regexp.MustCompile(`^GET /_security/privilege(/[^/]*){0,2}$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetPrivileges(ctx, "")
	}},
	{regexp.MustCompile(`^DELETE /_security/privilege/[^/]+/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.DeletePrivileges(ctx, "app", "p")
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/user/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		created, err := c.PutUser(ctx, "u", latchkey.PutUserRequest{})
		return latchkey.CreatedResponse{Created: created}, err
	}},
	{regexp.MustCompile(`^GET /_security/user(/[^/]+)?$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.GetUsers(ctx) }},
	{regexp.MustCompile(`^DELETE /_security/user/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.DeleteUserAndRevoke(ctx, "u", latchkey.Revoke{Tokens: true})
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/role/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		created, err := c.PutRole(ctx, "r", latchkey.Role{})
		return latchkey.PutRoleResponse{Role: latchkey.CreatedResponse{Created: created}}, err
	}},
	{regexp.MustCompile(`^GET /_security/role(/[^/]+)?$`), func(ctx context.Context, c *latchkey.Client) (any, error) { return c.GetRoles(ctx) }},
	{regexp.MustCompile(`^DELETE /_security/role/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		found, err := c.DeleteRole(ctx, "r")
		return latchkey.FoundResponse{Found: found}, err
	}},
	{regexp.MustCompile(`^GET /_security/service(/[^/]+){0,2}$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetServiceAccounts(ctx, "")
	}},
	{regexp.MustCompile(`^GET /_security/service/[^/]+/[^/]+/credential$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.GetServiceCredentials(ctx, "elastic/kibana")
	}},
	{regexp.MustCompile(`^(POST|PUT) /_security/service/[^/]+/[^/]+/credential/token(/[^/]+)?$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		return c.CreateServiceToken(ctx, "elastic/kibana", "")
	}},
	{regexp.MustCompile(`^DELETE /_security/service/[^/]+/[^/]+/credential/token/[^/]+$`), func(ctx context.Context, c *latchkey.Client) (any, error) {
		found, err := c.DeleteServiceToken(ctx, "elastic/kibana", "t")
		return latchkey.FoundResponse{Found: found}, err
	}},
}

// TestWireFixturesThroughTheClient gives the client every answer that the wire
// fixtures of the server expect to a call that the client has. What the client
// read, written again, must be what the fixture says; a refusal must have its
// status, type and reason.
func TestWireFixturesThroughTheClient(t *testing.T) {
	files, err := filepath.Glob("internal/httpapi/testdata/wire/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	seen := make([]int, len(replayed))
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			ar.Files = slices.DeleteFunc(ar.Files, func(f txtar.File) bool { return strings.HasSuffix(f.Name, " later") })
			for i := 0; i+1 < len(ar.Files); i += 2 {
				line, rest, _ := strings.Cut(string(ar.Files[i].Data), "\n")
				if asksForAnotherForm.MatchString(line + "\n" + rest) {
					continue
				}
				line, _, _ = strings.Cut(line, "?")
				for n, r := range replayed {
					if r.request.MatchString(line) {
						if replay(t, fmt.Sprintf("exchange %d, %s", i/2+1, line), string(ar.Files[i+1].Data), r.call) {
							seen[n]++
						}
						break
					}
				}
			}
		})
	}
	for n, r := range replayed {
		if seen[n] == 0 {
			t.Errorf("no fixture has an answer for %s", r.request)
		}
		t.Logf("%3d answers to %s", seen[n], r.request)
	}
}

// The client asks for JSON and for whole answers.
var asksForAnotherForm = regexp.MustCompile(`(?i)[?&](filter_path|format|pretty|human|error_trace)\b|\n(accept|content-type):`)

var jsonBody = regexp.MustCompile(`(?ms)^\{.*\}$`)

// replay reports whether the response of a fixture has a body to compare.
func replay(t *testing.T, name, response string, call func(context.Context, *latchkey.Client) (any, error)) bool {
	t.Helper()
	first, _, _ := strings.Cut(response, "\n")
	status, err := strconv.Atoi(strings.TrimSpace(first))
	text := jsonBody.FindString(response)
	if err != nil || text == "" {
		return false
	}
	var want any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	if o, ok := want.(map[string]any)["error"].(map[string]any); ok && o["type"] == nil && o["..."] != nil {
		o["type"] = "some_exception" // a fixture may leave it out, a server may not
	}
	if o, ok := want.(map[string]any); ok && strings.Contains(name, "GET /_security/role") {
		for role, v := range o { // of some roles a fixture says only that they are there
			if v == "<*>" {
				o[role] = map[string]any{"...": "..."}
			}
		}
	}
	sent, err := json.Marshal(plain("", want))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return false
	}
	client := newFake(t, func(r *http.Request) (*http.Response, error) {
		a := answering(status, string(sent))
		a.Request = r
		return a, nil
	}, latchkey.WithRetries(0))
	read, err := call(t.Context(), client)
	if envelope, refused := want.(map[string]any)["error"]; refused {
		if description, oauth := want.(map[string]any)["error_description"]; oauth { // its error is a code
			envelope = map[string]any{"type": envelope, "reason": description}
		}
		sameRefusal(t, name, err, status, plain("", envelope))
		return false
	}
	if err != nil {
		if _, open := want.(map[string]any)["..."]; open { // the fixture leaves out what the client needs
			return false
		}
		t.Errorf("%s: the client refuses %s: %v", name, sent, err)
		return true
	}
	b, err := json.Marshal(read)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return true
	}
	var got any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Errorf("%s: %v", name, err)
		return true
	}
	if problem := differs("the body", got, want); problem != "" {
		t.Errorf("%s: %s\n sent %s\n read %s", name, problem, sent, b)
	}
	return true
}

func sameRefusal(t *testing.T, name string, err error, status int, envelope any) {
	t.Helper()
	refusal, ok := errors.AsType[*latchkey.Error](err)
	if !ok {
		t.Errorf("%s: got %v, want a refusal", name, err)
		return
	}
	typ, reason := "", envelope
	if o, ok := envelope.(map[string]any); ok {
		typ, _ = o["type"].(string)
		reason = o["reason"]
		if reason == nil {
			reason = ""
		}
		_, caused := o["caused_by"]
		if causes, _ := o["root_cause"].([]any); len(causes) != len(refusal.RootCauses) || caused != (refusal.CausedBy != nil) {
			t.Errorf("%s: the causes of %v are not those of the fixture: %+v", name, o, *refusal)
		}
	}
	if refusal.Status != status || refusal.Type != typ || refusal.Reason != reason {
		t.Errorf("%s: got %d, %q, %q; want %d, %q, %q", name, refusal.Status, refusal.Type, refusal.Reason, status, typ, reason)
	}
}

// plain makes of a fixture's body a body that a server could send: what stands
// for any value becomes a value of the right kind for a member of that name.
func plain(member string, v any) any {
	switch v := v.(type) {
	case string:
		if !strings.HasPrefix(v, "<") || !strings.HasSuffix(v, ">") {
			return v
		}
		switch member {
		case "creation", "expiration", "invalidation", "last_used", "overlap_until", "until", "last_synchronized", "took":
			return 1700000000000
		case "metadata", "role_descriptors":
			return map[string]any{}
		}
		return v
	case []any:
		list := []any{}
		for _, e := range slices.DeleteFunc(slices.Clone(v), isMarker) {
			list = append(list, plain("", e))
		}
		return list
	case map[string]any:
		o := map[string]any{}
		for name, e := range v {
			if name != "..." {
				o[name] = plain(name, e)
			}
		}
		return o
	}
	return v
}

func isMarker(element any) bool { return element == "any order" || element == "..." }

// differs compares what the client wrote again with a fixture's body. In objects
// that are open the client writes all members of its shape.
func differs(at string, got, want any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, want an object", at, got)
		}
		_, open := w["..."]
		for name, e := range g {
			if _, named := w[name]; !named && !open {
				return fmt.Sprintf("%s has a member %s of %v too many", at, name, e)
			}
		}
		for name, e := range w {
			if _, has := g[name]; !has && name != "..." {
				return fmt.Sprintf("%s lost its member %s", at, name)
			}
			if problem := differs(at+"."+name, g[name], e); name != "..." && problem != "" {
				return problem
			}
		}
		return ""
	case []any:
		w = slices.DeleteFunc(slices.Clone(w), isMarker)
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s is %v, want %v", at, got, w)
		}
		for i := range w {
			if problem := differs(fmt.Sprintf("%s[%d]", at, i), g[i], w[i]); problem != "" {
				return problem
			}
		}
		return ""
	case string:
		if strings.HasPrefix(w, "<") && strings.HasSuffix(w, ">") {
			return "" // any value; that it was of the right kind is known by now
		}
	}
	if got != want {
		return fmt.Sprintf("%s is %v, want %v", at, got, want)
	}
	return ""
}
