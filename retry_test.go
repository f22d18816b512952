package latchkey_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"latchkey"
)

var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
)

// script is a network that answers each request in turn as it is written, and
// notes which host was asked and when:
//
//	"reset"      the connection breaks after the request was sent
//	"refused"    there is no connection
//	"cut"        the answer breaks off
//	"503", ...   an error of this status; "503 2" asks to be left alone for 2 s
//	"200"        an answer that suits the calls that the tests make
type script struct {
	steps []string
	hosts []string
	at    []time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if b, err := io.ReadAll(r.Body); err != nil || len(b) == 0 {
			return nil, fmt.Errorf("the body did not come along: %q, %w", b, err)
		}
	}
	if len(s.steps) == len(s.hosts) {
		return nil, errors.New("the script is over")
	}
	step, after, asks := strings.Cut(s.steps[len(s.hosts)], " ")
	s.hosts, s.at = append(s.hosts, r.URL.Host), append(s.at, time.Now())
	var headers []string
	if asks {
		headers = append(headers, "Retry-After: "+strings.ReplaceAll(after, "%2C", ","))
	}
	switch step {
	case "reset":
		return nil, errReset
	case "refused":
		return nil, errRefused
	case "cut":
		a := answering(200, "")
		a.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"api`), brokenReader{}))
		return a, nil
	case "200":
		return answering(200, `{"id":"i","api_key":"s","access_token":"a","invalidated_tokens":0,"previously_invalidated_tokens":0,"api_keys":[],"invalidated_api_keys":[],"previously_invalidated_api_keys":[]}`), nil
	default:
		var status int
		if _, err := fmt.Sscan(step, &status); err != nil {
			return nil, err
		}
		return answering(status, `{"error":{"type":"t","reason":"r"},"status":`+step+`}`, headers...), nil
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRepetition(t *testing.T) {
	const get, end, create, grant = "GetAPIKeys", "InvalidateAPIKeys", "CreateAPIKey", "GrantAPIKey"
	tests := []struct {
		name     string
		call     string
		steps    string // separated by commas
		more     []string
		requests int    // that are made
		form     string // of the error
	}{
		{"a success is not repeated", get, "200", nil, 1, ""},
		{"a broken connection is tried again", get, "reset,200", nil, 2, ""},
		{"an answer that is cut off is asked for again", get, "cut,200", nil, 2, ""},
		{"502, 503 and 504 are tried again", end, "502,503,504,200", nil, 4, ""},
		{"three repetitions are the end", get, "503,503,503,503,200", nil, 4, "Error"},
		{"the last failure is the one that counts", get, "503,reset,503,cut,200", nil, 4, "UnreadableError"},
		{"what the server understood is not repeated", end, "400,200", nil, 1, "Error"},
		{"429 is left to the caller", get, "429,200", nil, 1, "Error"},
		{"500 is left to the caller", get, "500,200", nil, 1, "Error"},
		{"a key is not made again after the request was sent", create, "reset,200", nil, 1, "TransportError"},
		{"a key is not made again after an answer was cut off", create, "cut,200", nil, 1, "UnreadableError"},
		{"a key is not made again after a 503", create, "503,200", nil, 1, "Error"},
		{"a key is not granted again after the request was sent", grant, "reset,200", nil, 1, "TransportError"},
		{"a key is not granted again after a 504", grant, "504,200", nil, 1, "Error"},
		{"a key is made where no connection came about before", create, "refused,refused,200", nil, 3, ""},
		{"a key is granted where no connection came about before", grant, "refused,200", nil, 2, ""},
		{"an update is repeated", "UpdateAPIKey", "reset,503,200", nil, 3, ""},
		{"a token is not made again after the request was sent", "GetToken", "reset,200", nil, 1, "TransportError"},
		{"a token is made where no connection came about before", "GetToken", "refused,200", nil, 2, ""},
		{"a refresh is repeated: it brings the same tokens", "GetToken to refresh", "reset,503,200", nil, 3, ""},
		{"tokens are invalidated again", "InvalidateTokens", "cut,200", nil, 2, ""},
		{"a wait of up to 5 s is kept", get, "503 5,200", nil, 2, ""},
		{"a longer one is left to the caller", get, "503 6,200", nil, 1, "Error"},
		{"an unreadable wait is none", get, "503 soon,200", nil, 2, ""},
		{"the next address is tried", get, "refused,200", []string{"http://b"}, 2, ""},
		{"every address is tried", get, "refused,reset,503,200", []string{"http://b", "http://c"}, 4, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: strings.Split(tt.steps, ",")}
				err := everyCall[tt.call](t.Context(), newFake(t, s.RoundTrip, latchkey.WithAddresses(tt.more...)))
				if got := form(err); got != tt.form || len(s.hosts) != tt.requests {
					t.Errorf("%d requests and %s (%v); want %d and %s", len(s.hosts), got, err, tt.requests, tt.form)
				}
			})
		})
	}
}

func TestEveryCallThatMakesNothingNewIsRepeated(t *testing.T) {
	for call, do := range everyCall {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []string{"reset", "400"}}
			err := do(t.Context(), newFake(t, s.RoundTrip))
			makesNew := slices.Contains([]string{"CreateAPIKey", "GrantAPIKey", "RotateAPIKey", "CloneAPIKey", "CreateCrossClusterAPIKey", "GetToken", "CreateServiceToken", "DelegatePKI", "InvalidateLeaked"}, call)
			if repeated := len(s.hosts) == 2; repeated == makesNew || err == nil {
				t.Errorf("%s: repeated is %v (%v)", call, repeated, err)
			}
		})
	}
}

func TestIntervalsOfRepetition(t *testing.T) {
	tests := []struct {
		name     string
		steps    string
		more     []string
		min, max []time.Duration // between the requests
	}{
		{"they double, less a random half", "reset,reset,reset,200", nil,
			[]time.Duration{50e6, 100e6, 200e6}, []time.Duration{100e6, 200e6, 400e6}},
		{"the server may ask for more", "503 3,503 0,200", nil, []time.Duration{3e9, 100e6}, []time.Duration{3e9, 200e6}},
		{"the server may name the time", "503 Sat%2C 01 Jan 2000 00:00:03 GMT,200", nil, []time.Duration{3e9}, []time.Duration{3e9}},
		{"a time that has passed asks for nothing", "503 Fri%2C 31 Dec 1999 00:00:00 GMT,200", nil, []time.Duration{50e6}, []time.Duration{100e6}},
		{"another address is asked at once", "refused,503 3,reset,200", []string{"http://b"}, []time.Duration{0, 3e9, 0}, []time.Duration{0, 3e9, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: strings.Split(tt.steps, ",")}
				if _, err := newFake(t, s.RoundTrip, latchkey.WithAddresses(tt.more...)).GetAPIKeys(t.Context(), latchkey.GetAPIKeysRequest{}); err != nil {
					t.Fatal(err)
				}
				for i := range tt.min {
					if d := s.at[i+1].Sub(s.at[i]); d < tt.min[i] || d > tt.max[i] {
						t.Errorf("interval %d is %v, want %v to %v", i+1, d, tt.min[i], tt.max[i])
					}
				}
			})
		})
	}
}

func TestAddressesInTurn(t *testing.T) {
	s := &script{steps: []string{"200", "refused", "200", "200", "503", "200"}}
	client := newFake(t, s.RoundTrip, latchkey.WithAddresses("http://b", "http://c"))
	for _, c := range []*latchkey.Client{client, client.RunAs("u"), client.As(latchkey.Bearer("t")), client.Tag("x")} { // they share what they learn
		if _, err := c.GetAPIKeys(t.Context(), latchkey.GetAPIKeysRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a", "a", "b", "b", "b", "c"}; !slices.Equal(s.hosts, want) {
		t.Errorf("asked %v, want %v", s.hosts, want)
	}
}

func TestContextEndsTheRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{steps: []string{"503 4", "200"}}
		time.AfterFunc(time.Second, cancel)
		_, err := newFake(t, s.RoundTrip).GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{})
		e, ok := errors.AsType[*latchkey.InterruptedError](err)
		if !ok || !errors.Is(err, context.Canceled) || !e.Sent || form(e.Last) != "Error" || form(err) != "InterruptedError" {
			t.Errorf("cancelled in a wait: got %v, want that it was interrupted after a 503", err)
		}
		if waited := time.Since(s.at[0]); waited != time.Second {
			t.Errorf("it returned after %v, want 1s", waited)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s := &script{steps: []string{"503 4", "200"}}
		_, err := newFake(t, s.RoundTrip).GetAPIKeys(ctx, latchkey.GetAPIKeysRequest{})
		refusedWith(t, err, 503)
		if waited := time.Since(s.at[0]); waited != 0 {
			t.Errorf("it waited %v for a repetition that the deadline leaves no time for", waited)
		}
	})
}

func TestSentCountsAllAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []string{"reset", "refused", "refused", "refused"}}
		_, err := newFake(t, s.RoundTrip).InvalidateAPIKeys(t.Context(), latchkey.Owned())
		if e, ok := errors.AsType[*latchkey.TransportError](err); !ok || !e.Sent {
			t.Errorf("got %v, want a TransportError with Sent: the first attempt may have been carried out", err)
		}
	})
}
