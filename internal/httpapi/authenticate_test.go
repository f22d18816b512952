package httpapi

import (
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"latchkey/internal/access"
)

// The identity that is put together by hand is the one that its type says.
func TestIdentityIsAsItsTypeSays(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z<&>"\\/]{0,5}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	metadata := rapid.SampledFrom([]string{"", "{}", `{"_reserved":true}`, ` { "a" : [ 1.50, "\u003c\/é" , null ], "b":{"c":"<&>"} } `, "{\"a\":\"\xff\"}"})
	realm := rapid.Custom(func(t *rapid.T) access.Realm {
		return access.Realm{Name: text.Draw(t, "realm"), Type: text.Draw(t, "type")}
	})
	subject := rapid.Custom(func(t *rapid.T) access.Subject {
		s := access.Subject{
			Username: text.Draw(t, "username"), Realm: realm.Draw(t, "realm"), Metadata: []byte(metadata.Draw(t, "metadata")),
			Roles: rapid.SliceOfN(text, 0, 3).Draw(t, "roles"), FullName: rapid.Ptr(text, true).Draw(t, "full name"), Email: rapid.Ptr(text, true).Draw(t, "email"),
		}
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			s.APIKey = &access.APIKey{ID: text.Draw(t, "id"), Name: text.Draw(t, "name")}
		case 1:
			s.Service = &access.ServiceAccount{TokenName: text.Draw(t, "token"), TokenType: text.Draw(t, "token type")}
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		by := &access.Caller{Subject: subject.Draw(t, "subject"), Type: access.AuthenticationType(rapid.IntRange(1, 4).Draw(t, "by"))}
		if rapid.Bool().Draw(t, "run as") {
			runner := subject.Draw(t, "runner")
			by.By = &runner
		}
		got, err := showIdentity(by)
		want, wantErr := json.Marshal(identity(by), jsonOptions)
		if string(got) != string(want) || err != nil || wantErr != nil {
			t.Fatalf("by hand %s, %v\nby type %s, %v", got, err, want, wantErr)
		}
	})
	if _, err := showIdentity(&access.Caller{Subject: access.Subject{Metadata: []byte(`{"a":`)}, Type: access.ByRealm}); err == nil {
		t.Error("metadata that is no JSON was sent")
	}
}

func BenchmarkShowIdentity(b *testing.B) {
	by := &access.Caller{Type: access.ByAPIKey, Subject: access.Subject{
		Username: "elastic", Metadata: []byte(`{"_reserved":true}`), Realm: access.Realm{Name: "reserved", Type: "reserved"},
		APIKey: &access.APIKey{ID: "VuaCfGcBCdbkQm-e5aOx", Name: "my-api-key"},
	}}
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = showIdentity(by)
		}
	})
	b.Run("by type", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(identity(by), jsonOptions)
		}
	})
}
