package authn

import (
	"context"
	"encoding/base64"
	"net/http"
	"testing"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// watched counts who is asked. It has each key whose secret is its id, unless it is gone.
type watched struct {
	rooms
	judged, recalled int
	gone, forgetful  bool
	down             error // of what is asked again
}

func (w *watched) Verify(_ context.Context, id, secret string) (*access.Caller, error) {
	w.judged++
	if id != secret || w.gone {
		return nil, refused("API key: wrong")
	}
	return &access.Caller{Type: access.ByAPIKey, Subject: access.Subject{Username: id}}, nil
}

func (w *watched) Again(id, secret string) Again {
	if w.forgetful || id != secret {
		return nil
	}
	c := &access.Caller{Type: access.ByAPIKey, Subject: access.Subject{Username: id}}
	return func(context.Context) (*access.Caller, error) {
		w.recalled++
		switch {
		case w.down != nil:
			return nil, w.down
		case w.gone:
			return nil, nil
		}
		return c, nil
	}
}

func TestAConnectionIsRemembered(t *testing.T) {
	const a, b, wrong = "a:a", "b:b", "a:b"
	unavailable := fault.New(fault.Unavailable, "the lease is over")
	for name, tt := range map[string]struct {
		shown            []string
		before           func(w *watched, i int) // the i-th of shown
		judged, recalled int
		last             fault.Kind
	}{
		"the same credential is judged twice":     {shown: []string{a, a, a, a, a}, judged: 2, recalled: 3},
		"another one takes its place":             {shown: []string{a, a, a, b, b, b, a}, judged: 5, recalled: 2},
		"two in turns are judged each time":       {shown: []string{a, b, a, b, a, b}, judged: 6},
		"a refused one is judged each time":       {shown: []string{wrong, wrong, wrong}, judged: 3, last: fault.Unauthenticated},
		"a refused one does not disturb the good": {shown: []string{a, a, a, wrong, a}, judged: 4, recalled: 1},
		"one that its room cannot keep is judged": {shown: []string{a, a, a}, before: func(w *watched, _ int) { w.forgetful = true }, judged: 3},
		"one that has ended is judged and refused": {shown: []string{a, a, a, a}, before: func(w *watched, i int) { w.gone = i == 3 },
			judged: 3, recalled: 2, last: fault.Unauthenticated},
		"one that ends and comes back is judged": {shown: []string{a, a, a, a, a, a}, before: func(w *watched, i int) { w.gone = i == 3 },
			judged: 4, recalled: 3},
		"who cannot tell says so": {shown: []string{a, a, a}, before: func(w *watched, i int) {
			if i == 2 {
				w.down = unavailable
			}
		}, judged: 2, recalled: 1, last: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watched{}
			au := &Authenticator{APIKeys: w, Users: rooms{}, Roles: rooms{}}
			ctx := Remembering(t.Context())
			var c *access.Caller
			var err error
			for i, text := range tt.shown {
				if tt.before != nil {
					tt.before(w, i)
				}
				c, err = au.Authenticate(ctx, http.Header{"Authorization": {"ApiKey " + base64.StdEncoding.EncodeToString([]byte(text))}}, nil, "/")
				if err == nil && c.Username != text[:1] {
					t.Errorf("%s is %s", text, c.Username)
				}
			}
			if w.judged != tt.judged || w.recalled != tt.recalled {
				t.Errorf("judged %d times and recalled %d times; want %d and %d", w.judged, w.recalled, tt.judged, tt.recalled)
			}
			if (err != nil) != (tt.last != 0) || err != nil && fault.KindOf(err) != tt.last {
				t.Errorf("the last: %v; want kind %v", err, tt.last)
			}
		})
	}
}

// A connection does not make an access token of a key, or the other way round.
func TestAConnectionRemembersTheScheme(t *testing.T) {
	au := &Authenticator{APIKeys: &watched{}, Users: rooms{}, Roles: rooms{}}
	ctx := Remembering(t.Context())
	for _, tt := range []struct {
		scheme string
		ok     bool
	}{{"ApiKey ", true}, {"ApiKey ", true}, {"ApiKey ", true}, {"Bearer ", false}} {
		_, err := au.Authenticate(ctx, http.Header{"Authorization": {tt.scheme + base64.StdEncoding.EncodeToString([]byte("a:a"))}}, nil, "/")
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v, want it accepted: %t", tt.scheme, err, tt.ok)
		}
	}
}
