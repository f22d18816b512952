package leak

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"latchkey/internal/secret"
)

// scan returns what is found in a text, each thing once, sorted.
func scan(t testing.TB, text io.Reader) (found []Finding, alone int) {
	t.Helper()
	alone, err := Scan(text, func(f Finding) error {
		found = append(found, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return slices.Compact(found), alone
}

func newKey() Finding {
	id := secret.NewKeyID(time.Now())
	return Finding{Key, id, secret.NewKeySecret(id)}
}

// random returns characters of ids and secrets that were made elsewhere.
func random(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[rand.IntN(64)]
	}
	return string(b)
}

// contexts are where a text with <c> may leak.
var contexts = []string{
	"<c>", "<c>\n", "Authorization: ApiKey <c>\r\nHost: x", `{"encoded":"<c>"}`, `{\"encoded\":\"<c>\"}`, "key: <c>\n", "key='<c>'", "export KEY=<c>;", "-H \"Authorization: ApiKey <c>\"",
	"https://host/path?key=<c>&x=1", "https://host/<c>/x", "https://<c>@host/", "%22<c>%22", "%20<c>", "(<c>)", "<a>\\n<c>\\n", "+<c>", "- <c>,", "x <c> <c> y", `\"<c>\"`, `C:\keys\<c>`, "tok<c>", "<c>.",
}

func TestEncodedKeysAreFound(t *testing.T) {
	for _, context := range contexts {
		for range 50 {
			k := newKey()
			text := strings.ReplaceAll(context, "<c>", secret.Encoded(k.ID, k.Secret))
			if got, alone := scan(t, strings.NewReader(text)); !slices.Equal(got, []Finding{k}) || alone != 0 {
				t.Fatalf("%q: %d found, %d alone", text, len(got), alone)
			}
		}
	}
}

func TestKeysAreFoundInOtherForms(t *testing.T) {
	rotated := random(olderID) // an id from elsewhere, and a secret made here
	tests := []struct {
		name, text string
		want       func(k Finding) []Finding
	}{
		{"id and secret", "curl -u <id>:<secret> http://x", func(k Finding) []Finding { return []Finding{k} }},
		{"id and secret of a URL", "http://<id>%3A<secret>@x", func(k Finding) []Finding { return []Finding{k} }},
		{"id and secret after an escape", `"\n<id>:<secret>"`, func(k Finding) []Finding { return []Finding{k} }},
		{"answer of a creation", `{"id":"<id>","name":"n","api_key":"<secret>"}`, func(k Finding) []Finding { return []Finding{k} }},
		{"secret before the id", "secret: <secret>\nname: my-long-name-of-key\nid: <id>\n", func(k Finding) []Finding { return []Finding{k} }},
		{"between others", "<other>\n<secret>\n<other>\n<id>\n", func(k Finding) []Finding { return []Finding{k} }},
		{"as near as it counts", "<secret>" + strings.Repeat(" ", near-secretLen) + "<id>", func(k Finding) []Finding { return []Finding{k} }},
	}
	for _, tt := range tests {
		for range 50 {
			k := newKey()
			text := strings.NewReplacer("<id>", k.ID, "<secret>", k.Secret, "<other>", newKey().ID).Replace(tt.text)
			if got, alone := scan(t, strings.NewReader(text)); !slices.Equal(got, tt.want(k)) || alone != 0 {
				t.Fatalf("%s: %q: %v, %d alone", tt.name, text, got, alone)
			}
		}
	}
	for range 50 {
		want := Finding{Key, rotated, secret.NewKeySecret(rotated)}
		text := "ApiKey " + secret.Encoded(want.ID, want.Secret) + " and " + want.ID + ":" + want.Secret
		if got, _ := scan(t, strings.NewReader(text)); !slices.Equal(got, []Finding{want}) {
			t.Fatalf("a new secret for an older id: %q: %v", text, got)
		}
	}
}

func TestTokensAreFound(t *testing.T) {
	for _, context := range contexts {
		for range 50 {
			a, r := Finding{Kind: AccessToken, Secret: secret.NewAccessToken()}, Finding{Kind: RefreshToken, Secret: secret.NewRefreshToken()}
			for _, encode := range []func(string) string{func(s string) string { return s }, url.QueryEscape, func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }} {
				text := strings.ReplaceAll(context, "<c>", encode(a.Secret)) + "\n" + encode(r.Secret)
				if got, _ := scan(t, strings.NewReader(text)); !slices.Equal(got, []Finding{a, r}) {
					t.Fatalf("%q: %v", text, got)
				}
			}
		}
	}
}

func TestOlderKeysAreFound(t *testing.T) {
	for _, idLength := range []int{idLen, olderID} {
		for _, context := range []string{"<c>", "ApiKey <c>\n", `"encoded":"<c>"`, "?key=<c>", `\"<c>\"`, "\\n<c>", "=<c>"} {
			for range 50 {
				k := Finding{OlderKey, random(idLength), random(olderSecret)}
				plain := k.ID + ":" + k.Secret
				encoded := base64.StdEncoding.EncodeToString([]byte(plain))
				for _, c := range []string{plain, encoded, url.QueryEscape(encoded), strings.TrimRight(encoded, "=")} {
					text := strings.ReplaceAll(context, "<c>", c)
					if got, alone := scan(t, strings.NewReader(text)); !slices.Equal(got, []Finding{k}) || alone != 0 {
						t.Fatalf("%q: %v, %d alone", text, got, alone)
					}
				}
			}
		}
	}
}

func TestWhatIsNoCredential(t *testing.T) {
	k := newKey()
	other := byte('A')
	if k.Secret[10] == other {
		other = 'B'
	}
	damaged := k.Secret[:10] + string(other) + k.Secret[11:]
	tests := []struct {
		name, text string
		alone      int
	}{
		{"nothing", "", 0},
		{"a damaged key", secret.Encoded(k.ID, damaged), 0},
		{"a secret by itself", k.Secret, 1},
		{"a secret and the id of another key", newKey().ID + " " + k.Secret, 1},
		{"a secret and its id too far away", k.Secret + strings.Repeat("\n", near) + k.ID, 1},
		{"an id", k.ID, 0},
		{"words", "bulk_update_api_key_request_of_the_server walk_through_it", 0},
		{"the end is missing", secret.Encoded(k.ID, k.Secret)[:57], 0},
		{"the begin is missing", secret.Encoded(k.ID, k.Secret)[2:], 0},
		{"half a token", secret.NewAccessToken()[:39], 0},
		{"a sum of a file", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 0},
		{"escapes without an end", `%`, 0},
		{"escapes without an end", `\u00`, 0},
	}
	for _, tt := range tests {
		if got, alone := scan(t, strings.NewReader(tt.text)); len(got) != 0 || alone != tt.alone {
			t.Errorf("%s: %q: %v, %d alone; want %d", tt.name, tt.text, got, alone, tt.alone)
		}
	}
}

// A credential may lie anywhere in a text that arrives in pieces.
func TestBordersOfTheWindow(t *testing.T) {
	k := newKey()
	for _, filler := range []string{" ", "x", "a.", "%41"} {
		for _, credential := range []string{secret.Encoded(k.ID, k.Secret), k.ID + ":" + k.Secret, `"` + k.ID + `","` + k.Secret + `"`} {
			for before := chunk - 200; before < chunk+20; before += 7 {
				text := strings.Repeat(filler, before/len(filler)) + " " + credential + " " + strings.Repeat(filler, 500)
				if got, alone := scan(t, strings.NewReader(text)); !slices.Equal(got, []Finding{k}) || alone != 0 {
					t.Fatalf("%d of %q before %q: %v, %d alone", before, filler, credential, got, alone)
				}
			}
		}
	}
}

func TestTextOfTwoBytesForEachCharacter(t *testing.T) {
	k := newKey()
	var wide bytes.Buffer
	for _, c := range []byte("key: " + secret.Encoded(k.ID, k.Secret) + "\n") {
		wide.Write([]byte{c, 0})
	}
	if got, _ := scan(t, &wide); !slices.Equal(got, []Finding{k}) {
		t.Errorf("found %v", got)
	}
}

func TestMemoryDoesNotDependOnTheText(t *testing.T) {
	s := scanner{found: func(Finding) error { return nil }}
	for _, filler := range []string{"x", " ", newKey().Secret + " ", newKey().ID + "\n", "%4"} {
		for range 200 {
			s.window, _ = unescape(s.window, []byte(strings.Repeat(filler, chunk/len(filler))), false)
			if err := s.pass(len(s.window) - ahead); err != nil {
				t.Fatal(err)
			}
		}
		if cap(s.window) > 4*chunk || len(s.ids) > maxIDs || len(s.secrets) > maxSecrets {
			t.Errorf("of many %q there are %d bytes, %d ids and %d secrets in memory", filler, cap(s.window), len(s.ids), len(s.secrets))
		}
	}
}

// What is found does not depend on the pieces in which a text comes.
func FuzzScan(f *testing.F) {
	k := newKey()
	for _, c := range contexts {
		f.Add([]byte(strings.ReplaceAll(c, "<c>", secret.Encoded(k.ID, k.Secret))))
	}
	f.Add([]byte(k.ID + ":" + k.Secret + secret.NewAccessToken() + `\u00`))
	f.Add([]byte(strings.Repeat(k.ID+" "+k.Secret+"\n", 20)))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, alone := scan(t, bytes.NewReader(text))
		pieces, alone2 := scan(t, iotest.OneByteReader(bytes.NewReader(text)))
		if !slices.Equal(whole, pieces) || alone != alone2 {
			t.Fatalf("at once %v, %d alone; byte by byte %v, %d alone", whole, alone, pieces, alone2)
		}
	})
}

func BenchmarkScanLog(b *testing.B) {
	line := `2026-01-02T03:04:05.678Z INFO  request method=GET path=/index/_search?q=user:42 status=200 took=12ms trace=4bf92f3577b34da6a3ce929d0e0e4736 user=app-7` + "\n"
	text := bytes.Repeat([]byte(line), 1<<20/len(line))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		scan(b, bytes.NewReader(text))
	}
}
