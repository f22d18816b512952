package latchkey_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"latchkey"
)

// form is the type by which a caller tells an error from the others.
func form(err error) string {
	var forms []string
	if _, ok := errors.AsType[*latchkey.Error](err); ok {
		forms = append(forms, "Error")
	}
	if _, ok := errors.AsType[*latchkey.TransportError](err); ok {
		forms = append(forms, "TransportError")
	}
	if _, ok := errors.AsType[*latchkey.InterruptedError](err); ok {
		forms = append(forms, "InterruptedError")
	}
	if _, ok := errors.AsType[*latchkey.UnreadableError](err); ok {
		forms = append(forms, "UnreadableError")
	}
	return strings.Join(forms, "+")
}

func TestErrorHoldsWhatTheServerSaid(t *testing.T) {
	const body = `{"error":{"root_cause":[{"type":"inner","reason":"deep"}],"type":"outer","reason":"high","caused_by":{"type":"middle","reason":null,"caused_by":{"type":"inner","reason":"deep"}},"header":{"WWW-Authenticate":"ApiKey"}},"status":401}`
	client := newFake(t, always(401, body, "WWW-Authenticate: ApiKey"))
	_, err := client.As(latchkey.EncodedKey("c2VjcmV0")).Authenticate(t.Context())
	refusal := refusedWith(t, err, 401)
	if refusal.Type != "outer" || refusal.Reason != "high" || len(refusal.RootCauses) != 1 || refusal.RootCauses[0].Type != "inner" ||
		refusal.CausedBy.Type != "middle" || refusal.CausedBy.CausedBy.Reason != "deep" {
		t.Errorf("got %+v", *refusal)
	}
	answer, ok := errors.AsType[*latchkey.ResponseError](err)
	if !ok {
		t.Fatalf("%v does not unwrap to its answer", err)
	}
	again, readErr := io.ReadAll(answer.Response.Body)
	if string(answer.Body) != body || string(again) != body || readErr != nil {
		t.Errorf("the answer's body is %q and reads as %q, %v", answer.Body, again, readErr)
	}
	if answer.Response.StatusCode != 401 || answer.Response.Header.Get("WWW-Authenticate") != "ApiKey" {
		t.Errorf("the answer is %v %v", answer.Response.Status, answer.Response.Header)
	}
	if sent := answer.Response.Request; sent == nil || sent.Method != "GET" || sent.Header.Get("Authorization") != "" {
		t.Errorf("the answer's request is %+v, want it without its credential", sent)
	}
	if want := "latchkey: GET /_security/_authenticate: 401 Unauthorized: outer: high"; err.Error() != want {
		t.Errorf("it prints %q, want %q", err, want)
	}
}

func TestAnswersOfFailure(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		form   string
		reason string
	}{
		{"an unknown route is a text without a status", 400, `{"error":"no handler found for uri [/x] and method [GET]"}`, "Error", "no handler found for uri [/x] and method [GET]"},
		{"a wrong method is a text", 405, `{"error":"Incorrect HTTP method","status":405}`, "Error", "Incorrect HTTP method"},
		{"a wrong content type is a text", 406, `{"error":"Content-Type header [] is not supported","status":406}`, "Error", "Content-Type header [] is not supported"},
		{"a brief error", 400, `{"error":{"type":"t","reason":"r"},"status":400}`, "Error", "r"},
		{"a null reason", 400, `{"error":{"type":"t","reason":null},"status":400}`, "Error", ""},
		{"a 404 that is an error", 404, `{"error":{"type":"resource_not_found_exception","reason":"r"},"status":404}`, "Error", "r"},
		{"a page of a proxy", 400, `<html>bad</html>`, "UnreadableError", ""},
		{"an empty body", 500, ``, "UnreadableError", ""},
		{"another API", 400, `{"message":"bad"}`, "UnreadableError", ""},
		{"a 404 of another API", 404, `{}`, "UnreadableError", ""},
		{"a null error", 400, `{"error":null}`, "UnreadableError", ""},
		{"an empty error", 400, `{"error":{}}`, "UnreadableError", ""},
		{"an error of a wrong kind", 400, `{"error":[1]}`, "UnreadableError", ""},
		{"an array", 400, `[]`, "UnreadableError", ""},
		{"a redirection", 302, ``, "UnreadableError", ""},
		{"an error cut short", 400, `{"error":{"type":"t"`, "UnreadableError", ""},
		{"deep causes", 400, `{"error":{"type":"t","reason":"r"` + strings.Repeat(`,"caused_by":{"type":"t","reason":"r"`, 500) + strings.Repeat("}", 502), "Error", "r"},
		{"causes too deep to be read", 400, strings.Repeat(`{"error":`, 20000), "UnreadableError", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newFake(t, always(tt.status, tt.body)).Authenticate(t.Context())
			if got := form(err); got != tt.form {
				t.Fatalf("got %s (%v), want %s", got, err, tt.form)
			}
			if refusal, ok := errors.AsType[*latchkey.Error](err); ok && (refusal.Reason != tt.reason || refusal.Status != tt.status) {
				t.Errorf("got status %d, reason %q; want %d, %q", refusal.Status, refusal.Reason, tt.status, tt.reason)
			}
			if answer, ok := errors.AsType[*latchkey.ResponseError](err); !ok || answer.Response.StatusCode != tt.status || string(answer.Body) != tt.body {
				t.Errorf("the answer is not to be had from %v", err)
			}
		})
	}
}

// Nothing that is not an answer of this API passes for a success, whatever the call.
func TestSuccessesThatAreNone(t *testing.T) {
	for name, body := range map[string]string{
		"a page": "<!DOCTYPE html><html>", "nothing": "", "null": "null", "an array": "[]", "a text": `"ok"`, "a number": "1",
		"half an object": `{"a":`, "two objects": `{}{}`, "not UTF-8 around": "\xff{}",
	} {
		for call, do := range everyCall {
			if call == "Ping" { // reads no body
				continue
			}
			err := do(t.Context(), newFake(t, always(200, body), latchkey.WithRetries(0)))
			if got := form(err); got != "UnreadableError" {
				t.Errorf("%s with %s: got %s (%v), want UnreadableError", call, name, got, err)
			}
		}
	}
	for call, body := range map[string]string{
		"CreateAPIKey": `{"id":"i","name":"n"}`, "RotateAPIKey": `{"id":"i","name":"n"}`, "GrantAPIKey": `{"api_key":"s"}`, "GetAPIKeys": `{"keys":[]}`, "Authenticate": `{}`,
		"PreviewInvalidation": `{"error_count":0}`, "InvalidateAPIKeys": `{"previously_invalidated_api_keys":[],"error_count":0}`, "InvalidateAPIKeysAsync": `{"acknowledged":true}`,
		"BulkUpdateAPIKeys": `{"updated":[]}`, "GetToken": `{"type":"Bearer"}`, "InvalidateTokens": `{"error_count":0}`, "InvalidateTokensAsync": `{"acknowledged":true}`,
		"GetUsers": `{"u":[]}`, "GetRoles": `{"r":1}`, "GetRoleMappings": `{"m":1}`,
		"CreateServiceToken": `{"created":true,"token":{"name":"t"}}`, "GetServiceCredentials": `{"tokens":{}}`,
	} {
		if err := everyCall[call](t.Context(), newFake(t, always(200, body))); form(err) != "UnreadableError" {
			t.Errorf("%s accepts %s (%v)", call, body, err)
		}
	}
}

func TestProductCheck(t *testing.T) {
	for name, headers := range map[string][]string{
		"the header is missing":           {"X-Elastic-Product: "},
		"the header names something else": {"X-Elastic-Product: elasticsearch"},
	} {
		for call, do := range everyCall {
			err := do(t.Context(), newFake(t, always(200, `{}`, headers...)))
			if form(err) != "UnreadableError" || !errors.Is(err, latchkey.ErrUnknownProduct) {
				t.Errorf("%s, %s: got %v, want ErrUnknownProduct", name, call, err)
			}
		}
		ok := newFake(t, always(200, `{"cluster_name":"c"}`, headers...), latchkey.WithoutProductCheck())
		if info, err := ok.Info(t.Context()); err != nil || info.ClusterName != "c" {
			t.Errorf("%s and is not looked for: got %+v, %v", name, info, err)
		}
	}
	_, err := newFake(t, always(401, `{"error":{"type":"security_exception","reason":"r"},"status":401}`)).Authenticate(t.Context())
	refusedWith(t, err, 401) // the header is not there on purpose
	_, err = newFake(t, always(404, `{}`, "X-Elastic-Product: ")).GetUsers(t.Context(), "u")
	if !errors.Is(err, latchkey.ErrUnknownProduct) {
		t.Errorf("a 404 of another product passes for an empty list: %v", err)
	}
}

func TestFailuresOfTheNetwork(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	hangsUp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangsUp.Close()
	cutsOff := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"api_keys":[`)
	}))
	defer cutsOff.Close()

	stalls := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"api_keys":[`)
		_ = http.NewResponseController(w).Flush()
		<-release
	}))
	defer stalls.Close()
	defer close(release) // before the servers close, which wait for their requests

	short := func(t *testing.T) (context.Context, context.CancelFunc) {
		return context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	whole := func(t *testing.T) (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) }
	tests := []struct {
		name, address string
		ctx           func(*testing.T) (context.Context, context.CancelFunc)
		options       []latchkey.Option
		form          string
		sent          bool
		is            error
	}{
		{"nobody listens", nobody, whole, nil, "TransportError", false, nil},
		{"the server hangs up", hangsUp.URL, whole, nil, "TransportError", true, io.EOF},
		{"the answer is cut off", cutsOff.URL, whole, nil, "UnreadableError", true, io.ErrUnexpectedEOF},
		{"the deadline passes", silent.URL, short, nil, "InterruptedError", true, context.DeadlineExceeded},
		{"the deadline passes in the middle of the answer", stalls.URL, short, nil, "InterruptedError", true, context.DeadlineExceeded},
		{"the call was cancelled before", silent.URL, func(t *testing.T) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx, cancel
		}, nil, "InterruptedError", false, context.Canceled},
		{"the call is cancelled", silent.URL, func(t *testing.T) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			return ctx, cancel
		}, nil, "InterruptedError", true, context.Canceled},
		{"the call is cancelled for a reason", silent.URL, func(t *testing.T) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(io.ErrNoProgress) })
			return ctx, func() { cancel(nil) }
		}, nil, "InterruptedError", true, io.ErrNoProgress},
		{"the limit of the HTTP client passes", silent.URL, whole, []latchkey.Option{latchkey.WithHTTPClient(&http.Client{Timeout: 20 * time.Millisecond})},
			"TransportError", true, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, err := latchkey.New(tt.address, append(tt.options, latchkey.WithRetries(0), latchkey.WithCredential(latchkey.Basic("jo", "the-password")))...)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := tt.ctx(t)
			defer cancel()
			_, err = client.GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{})
			if got := form(err); got != tt.form {
				t.Fatalf("got %s (%v), want %s", got, err, tt.form)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if e, ok := errors.AsType[*latchkey.TransportError](err); ok && (e.Sent != tt.sent || e.Timeout() != (tt.is == context.DeadlineExceeded)) {
				t.Errorf("%v has Sent %v and Timeout %v", e, e.Sent, e.Timeout())
			}
			if e, ok := errors.AsType[*latchkey.InterruptedError](err); ok && e.Sent != tt.sent {
				t.Errorf("%v has Sent %v, want %v", e, e.Sent, tt.sent)
			}
			for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
				if strings.Contains(text, "the-password") || strings.Contains(text, "am86dGhlLXBhc3N3b3Jk") {
					t.Errorf("the error shows the credential: %s", text)
				}
			}
		})
	}
}

func TestAnswersThatDoNotEnd(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		for page := strings.Repeat(" ", 1<<12); ; {
			if _, err := io.WriteString(w, page); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	client, err := latchkey.New(endless.URL, latchkey.WithResponseLimit(1<<16))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Info(t.Context())
	answer, ok := errors.AsType[*latchkey.ResponseError](err)
	if !errors.Is(err, latchkey.ErrTooLong) || !ok || len(answer.Body) != 1<<16 {
		t.Errorf("got %v, want ErrTooLong after 64 KiB", err)
	}
}

func TestPingTellsTheStatus(t *testing.T) {
	client := newClient()
	defer client.Close()
	if err := client.As(latchkey.Basic("elastic", "wrong")).Ping(t.Context()); refusedWith(t, err, 401).Type != "" {
		t.Errorf("got %v, want no type", err)
	}
}
