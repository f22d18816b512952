package conformance

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	elasticsearch7 "github.com/elastic/go-elasticsearch/v7"
	elasticsearch8 "github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// lowLevelCaller is a low-level client as the scenarios of tokens use it. In the
// releases these calls differ by their types alone.
type lowLevelCaller struct {
	getToken, invalidateToken func(body string) (*esapi.Response, error)
	authenticate              func() (*esapi.Response, error)
}

// lowLevelClients make a client of s that gives a password, or a token if username is "".
var lowLevelClients = []struct {
	name    string
	connect func(t *testing.T, s *server, username, secret string) lowLevelCaller
}{
	{"9", func(t *testing.T, s *server, username, secret string) lowLevelCaller {
		return tokens9(t, s, username, secret)
	}},
	{"9 in compatibility mode", func(t *testing.T, s *server, username, secret string) lowLevelCaller {
		return tokens9(t, s, username, secret, elasticsearch.WithCompatibilityMode())
	}},
	{"8", func(t *testing.T, s *server, username, secret string) lowLevelCaller {
		return tokens8(t, s, username, secret, false)
	}},
	{"8 in compatibility mode", func(t *testing.T, s *server, username, secret string) lowLevelCaller {
		return tokens8(t, s, username, secret, true)
	}},
	{"7.17", tokens7},
}

func tokens9(t *testing.T, s *server, username, secret string, mode ...elasticsearch.Option) lowLevelCaller {
	credential := elasticsearch.WithBasicAuth(username, secret)
	if username == "" {
		credential = elasticsearch.WithServiceToken(secret)
	}
	c := lowLevel(t, s.url, append(mode, credential)...).Security
	return lowLevelCaller{
		getToken:        func(body string) (*esapi.Response, error) { return c.GetToken(strings.NewReader(body)) },
		invalidateToken: func(body string) (*esapi.Response, error) { return c.InvalidateToken(strings.NewReader(body)) },
		authenticate:    func() (*esapi.Response, error) { return c.Authenticate() },
	}
}

func tokens8(t *testing.T, s *server, username, secret string, mode bool) lowLevelCaller {
	config := elasticsearch8.Config{Addresses: []string{s.url}, DisableRetry: true, EnableCompatibilityMode: mode, Username: username, Password: secret}
	if username == "" {
		config.Password, config.ServiceToken = "", secret
	}
	client, err := elasticsearch8.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c := client.Security
	return lowLevelCaller{
		getToken:        func(body string) (*esapi.Response, error) { return from8(c.GetToken(strings.NewReader(body))) },
		invalidateToken: func(body string) (*esapi.Response, error) { return from8(c.InvalidateToken(strings.NewReader(body))) },
		authenticate:    func() (*esapi.Response, error) { return from8(c.Authenticate()) },
	}
}

func tokens7(t *testing.T, s *server, username, secret string) lowLevelCaller {
	config := elasticsearch7.Config{Addresses: []string{s.url}, DisableRetry: true, Username: username, Password: secret}
	if username == "" {
		config.Password, config.ServiceToken = "", secret
	}
	client, err := elasticsearch7.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c := client.Security
	return lowLevelCaller{
		getToken:        func(body string) (*esapi.Response, error) { return from7(c.GetToken(strings.NewReader(body))) },
		invalidateToken: func(body string) (*esapi.Response, error) { return from7(c.InvalidateToken(strings.NewReader(body))) },
		authenticate:    func() (*esapi.Response, error) { return from7(c.Authenticate()) },
	}
}

type madeToken struct {
	AccessToken    string  `json:"access_token"`
	Type           string  `json:"type"`
	ExpiresIn      int     `json:"expires_in"`
	RefreshToken   *string `json:"refresh_token"`
	Scope          *string `json:"scope"`
	Authentication object  `json:"authentication"`
}

// refresh is the body of a request that refreshes a pair.
func (m madeToken) refresh() string {
	return `{"grant_type":"refresh_token","refresh_token":"` + *m.RefreshToken + `"}`
}

// counters are all that an invalidation answers if nothing failed.
type counters struct {
	Invalidated           *int  `json:"invalidated_tokens"`
	PreviouslyInvalidated *int  `json:"previously_invalidated_tokens"`
	ErrorCount            *int  `json:"error_count"`
	ErrorDetails          []any `json:"error_details"`
	Error                 any   `json:"error"`
}

const clientCredentials = `{"grant_type":"client_credentials"}`

// counted checks the status of an invalidation and how many tokens it found in use and off.
func counted(t *testing.T, status, now, before int) func(*esapi.Response, error) {
	return func(res *esapi.Response, err error) {
		t.Helper()
		got := want[counters](t, status)(res, err)
		if got.Invalidated == nil || got.PreviouslyInvalidated == nil || got.ErrorCount == nil {
			t.Fatalf("a counter is missing: %+v", got)
		}
		if *got.Invalidated != now || *got.PreviouslyInvalidated != before || *got.ErrorCount != 0 || got.ErrorDetails != nil || got.Error != nil {
			t.Errorf("got %d, %d and %d errors, want %d, %d and 0: %+v", *got.Invalidated, *got.PreviouslyInvalidated, *got.ErrorCount, now, before, got)
		}
	}
}

// tokenOff checks that an access token is refused, as one is that was invalidated or has expired.
func tokenOff(t *testing.T, holder lowLevelCaller) {
	t.Helper()
	res, err := holder.authenticate()
	if err != nil {
		t.Fatal(err)
	}
	const challenge = `Bearer realm="security", error="invalid_token", error_description="The access token expired"`
	if got := res.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != challenge {
		t.Errorf("challenges: got %q", got)
	}
	if e := want[apiError](t, 401)(res, nil); e.Error.Type != "security_exception" {
		t.Errorf("got %+v", e)
	}
}

// tokenDenied checks that a grant is refused in the words of OAuth2.
func tokenDenied(t *testing.T, code, description string) func(*esapi.Response, error) {
	return func(res *esapi.Response, err error) {
		t.Helper()
		got := want[object](t, 400)(res, err)
		if told, ok := got["error_description"].(string); len(got) != 2 || got["error"] != code || !ok || !strings.Contains(told, description) {
			t.Errorf("got %v, want %s: %s", got, code, description)
		}
	}
}

func TestGoLowLevelTokens(t *testing.T) { onEach(t, goLowLevelTokens) }

func goLowLevelTokens(t *testing.T) {
	for _, client := range lowLevelClients {
		t.Run(client.name, func(t *testing.T) { lowLevelTokens(t, client.connect) })
	}
}

func lowLevelTokens(t *testing.T, connect func(t *testing.T, s *server, username, secret string) lowLevelCaller) {
	admin := connect(t, shared(t), "elastic", password)
	// use returns the caller that holds a token, which has authenticated once.
	use := func(t *testing.T, m madeToken) lowLevelCaller {
		t.Helper()
		holder := connect(t, shared(t), "", m.AccessToken)
		want[object](t, 200)(holder.authenticate())
		return holder
	}
	// pair gets the tokens of the given user, or of a new one.
	pair := func(t *testing.T, user ...string) (madeToken, lowLevelCaller) {
		t.Helper()
		if user == nil {
			user = []string{tokenUser(t, "none")}
		}
		made := want[madeToken](t, 200)(admin.getToken(`{"grant_type":"password","username":"` + user[0] + `","password":"correct horse"}`))
		return made, use(t, made)
	}

	t.Run("TK-1 TK-2 TK-4 TK-7 for the caller: an access token alone", func(t *testing.T) {
		made := want[madeToken](t, 200)(admin.getToken(clientCredentials))
		if made.Type != "Bearer" || made.ExpiresIn != 1200 || made.RefreshToken != nil || made.Scope != nil || made.Authentication["username"] != "elastic" {
			t.Errorf("got %+v", made)
		}
		use(t, made)
	})
	t.Run("TK-3 TK-4 TK-7 TK-25 TK-26 for a password: a pair for its user, as whom the token acts", func(t *testing.T) {
		user := tokenUser(t, "none")
		made, holder := pair(t, user)
		if made.Type != "Bearer" || made.ExpiresIn != 1200 || made.RefreshToken == nil || made.Scope != nil ||
			made.Authentication["username"] != user || made.Authentication["authentication_type"] != "realm" {
			t.Errorf("got %+v", made)
		}
		if me := want[object](t, 200)(holder.authenticate()); me["username"] != user || me["authentication_type"] != "token" {
			t.Errorf("got %v", me)
		}
	})
	t.Run("TK-25 TK-28 TK-29 TK-30 a refresh gives another pair, and once more the same; the old access token stays", func(t *testing.T) {
		first, holder := pair(t)
		second, again := want[madeToken](t, 200)(admin.getToken(first.refresh())), want[madeToken](t, 200)(admin.getToken(first.refresh()))
		if second.AccessToken == first.AccessToken || *second.RefreshToken == *first.RefreshToken || second.Authentication["authentication_type"] != "token" {
			t.Errorf("got %+v after %+v", second, first)
		}
		if again.AccessToken != second.AccessToken || *again.RefreshToken != *second.RefreshToken {
			t.Errorf("got %+v and %+v", second, again)
		}
		use(t, second)
		want[object](t, 200)(holder.authenticate())
	})
	t.Run("TK-33 TK-37 TK-38 a refresh token that is not good is an invalid grant", func(t *testing.T) {
		made, _ := pair(t)
		other := connect(t, shared(t), tokenUser(t, "manage_token"), "correct horse")
		tokenDenied(t, "invalid_grant", "tokens must be refreshed by the creating client")(other.getToken(made.refresh()))
		counted(t, 200, 1, 0)(admin.invalidateToken(`{"refresh_token":"` + *made.RefreshToken + `"}`))
		tokenDenied(t, "invalid_grant", "token has been invalidated")(admin.getToken(made.refresh()))
		tokenDenied(t, "invalid_grant", "")(admin.getToken(`{"grant_type":"refresh_token","refresh_token":"not base64!"}`))
	})
	t.Run("TK-9 TK-10 TK-11 TK-12 TK-13 TK-14 TK-15 members that do not fit the grant are refused in the words of OAuth2", func(t *testing.T) {
		for _, tt := range []struct{ body, code, description string }{
			{`{}`, "unsupported_grant_type", "Validation Failed: 1: "},
			{`{"grant_type":"authorization_code"}`, "unsupported_grant_type", "Validation Failed: 1: "},
			{`{"grant_type":"password","password":"x"}`, "invalid_request", "Validation Failed: 1: "},
			{`{"grant_type":"password","username":"x","password":""}`, "invalid_request", "Validation Failed: 1: "},
			{`{"grant_type":"password","username":"x","password":"x","refresh_token":"x"}`, "unsupported_grant_type", "Validation Failed: 1: "},
			{`{"grant_type":"client_credentials","username":"x"}`, "unsupported_grant_type", "Validation Failed: 1: "},
			{`{"grant_type":"password","password":"x","kerberos_ticket":"x"}`, "unsupported_grant_type", ";2: "},
		} {
			tokenDenied(t, tt.code, tt.description)(admin.getToken(tt.body))
		}
	})
	t.Run("TK-16 TK-51 a member that nobody knows is named", func(t *testing.T) {
		e := want[apiError](t, 400)(admin.getToken(`{"grant_type":"client_credentials","client_id":"x"}`))
		if e.Error.Type != "x_content_parse_exception" || !strings.Contains(e.Error.Reason, "[token_request]") || !strings.Contains(e.Error.Reason, "client_id") {
			t.Errorf("got %+v", e)
		}
		if e := want[apiError](t, 400)(admin.invalidateToken(`{"realm":"x"}`)); e.Error.Type != "x_content_parse_exception" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("TK-39 TK-40 TK-52 TK-53 by token and by refresh token, and the same again", func(t *testing.T) {
		made, holder := pair(t)
		counted(t, 200, 1, 0)(admin.invalidateToken(`{"token":"` + made.AccessToken + `"}`))
		tokenOff(t, holder)
		counted(t, 200, 0, 1)(admin.invalidateToken(`{"token":"` + made.AccessToken + `"}`))
		counted(t, 200, 1, 0)(admin.invalidateToken(`{"refresh_token":"` + *made.RefreshToken + `"}`))
		counted(t, 200, 0, 1)(admin.invalidateToken(`{"refresh_token":"` + *made.RefreshToken + `"}`))
	})
	for _, tt := range []struct{ name, selector string }{
		{"TK-45 TK-53 by username: each half of each pair counts", `{"username":"USER"}`},
		{"TK-45 TK-53 by realm", `{"realm_name":"default_native"}`},
		{"TK-47 TK-53 by realm and username", `{"realm_name":"default_native","username":"USER"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want[counters](t, 200)(admin.invalidateToken(`{"realm_name":"default_native"}`)) // of other scenarios
			user := tokenUser(t, "none")
			_, a := pair(t, user)
			_, b := pair(t, user)
			selector := strings.ReplaceAll(tt.selector, "USER", user)
			counted(t, 200, 4, 0)(admin.invalidateToken(selector))
			tokenOff(t, a)
			tokenOff(t, b)
			counted(t, 200, 0, 0)(admin.invalidateToken(selector))
		})
	}
	t.Run("TK-43 TK-46 an unknown token is a 404 with counters, an unknown realm is not", func(t *testing.T) {
		made, _ := pair(t)
		for _, selector := range []string{`{"token":"not base64!"}`, `{"refresh_token":"bm8gdG9rZW4="}`, `{"token":"` + *made.RefreshToken + `"}`, `{"refresh_token":"` + made.AccessToken + `"}`} {
			counted(t, 404, 0, 0)(admin.invalidateToken(selector))
		}
		counted(t, 200, 0, 0)(admin.invalidateToken(`{"realm_name":"` + unique("no") + `"}`))
	})
	t.Run("TK-48 TK-49 TK-50 a request without a clear selector changes nothing", func(t *testing.T) {
		made, holder := pair(t)
		for _, tt := range []struct{ selector, exception string }{
			{`{}`, "action_request_validation_exception"},
			{`{"token":"` + made.AccessToken + `","username":"x"}`, "action_request_validation_exception"},
			{`{"token":"` + made.AccessToken + `","refresh_token":"` + *made.RefreshToken + `"}`, "x_content_parse_exception"},
		} {
			if e := want[apiError](t, 400)(admin.invalidateToken(tt.selector)); e.Error.Type != tt.exception || e.Status != 400 {
				t.Errorf("%s: got %+v", tt.selector, e)
			}
		}
		want[object](t, 200)(holder.authenticate())
	})
}

// tokenUser makes a user with one cluster privilege and the password correct horse.
func tokenUser(t *testing.T, privilege string) string {
	t.Helper()
	admin := lowLevel(t, shared(t).url, elasticsearch.WithBasicAuth("elastic", password)).Security
	user, role := unique("user"), unique("role")
	want[object](t, 200)(admin.PutRole(role, strings.NewReader(`{"cluster":["`+privilege+`"]}`)))
	want[object](t, 200)(admin.PutUser(user, strings.NewReader(`{"password":"correct horse","roles":["`+role+`"]}`)))
	return user
}

func freshServer(t *testing.T, connect func(t *testing.T, s *server, username, secret string) lowLevelCaller) {
	admin := connect(t, startFor(t), "elastic", password)
	const garbage = "this is not base64 at all"
	decodes := base64.StdEncoding.EncodeToString([]byte("no token, though it decodes"))
	// The form that tokens of Elasticsearch have.
	original := append([]byte{0xe3, 0xa4, 0xe8, 0x03, 0x18}, make([]byte, 24)...)
	if _, err := io.ReadFull(rand.Reader, original[5:]); err != nil {
		t.Fatal(err)
	}
	kinds := func(text string) []string {
		return []string{`{"token":"` + text + `"}`, `{"refresh_token":"` + text + `"}`}
	}
	wellFormed := append(kinds(decodes), kinds(base64.StdEncoding.EncodeToString(original))...)

	t.Run("TK-1 TK-4 TK-7 TK-43 TK-44 well-formed tokens are a 400 until the first is issued, and then a 404", func(t *testing.T) {
		for _, selector := range wellFormed {
			if e := want[apiError](t, 400)(admin.invalidateToken(selector)); e.Error.Type != "security_exception" || e.Status != 400 {
				t.Errorf("%s: got %+v", selector, e)
			}
		}
		for _, selector := range kinds(garbage) {
			counted(t, 404, 0, 0)(admin.invalidateToken(selector))
		}
		made := want[madeToken](t, 200)(admin.getToken(clientCredentials))
		if made.AccessToken == "" || made.Type != "Bearer" || made.ExpiresIn != 1200 || made.Scope != nil {
			t.Errorf("got %+v", made)
		}
		for _, selector := range append(wellFormed, kinds(garbage)...) {
			counted(t, 404, 0, 0)(admin.invalidateToken(selector))
		}
	})
}
