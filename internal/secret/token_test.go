package secret

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFormsOfTokens(t *testing.T) {
	form := regexp.MustCompile(`^lk[ar]t[A-Za-z0-9+/]{36}$`)
	seen := map[string]bool{}
	for range 200 {
		access, refresh := NewAccessToken(), NewRefreshToken()
		for _, s := range []string{access, refresh} {
			if !form.MatchString(s) || seen[s[4:36]] {
				t.Errorf("%s is not of the form %s, or came before", s, form)
			}
			seen[s[4:36]] = true // 192 bits
			if b, err := base64.StdEncoding.DecodeString(s); err != nil || len(b) != 30 {
				t.Errorf("%s is %d bytes of Base64, %v; want 30", s, len(b), err)
			}
		}
		if !IsAccessToken(access) || IsRefreshToken(access) || IsAccessToken(refresh) || !IsRefreshToken(refresh) {
			t.Errorf("%s or %s is not known as what it is", access, refresh)
		}
		if HashToken(access) == HashToken(refresh) {
			t.Errorf("%s and %s have the same hash", access, refresh)
		}
	}
}

// One text means one token: nothing that differs from it passes for it.
func TestADamagedTokenIsNone(t *testing.T) {
	whole := NewAccessToken()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range whole {
		for _, c := range []byte(alphabet + "-_= \n\x00é") {
			damaged := whole[:i] + string(c) + whole[i+1:]
			if damaged != whole && IsAccessToken(damaged) {
				t.Errorf("%q passes for %q", damaged, whole)
			}
		}
	}
	for _, s := range []string{"", "lkat", whole[:39], whole + "=", whole + "A", whole[:20] + "\n" + whole[20:], whole[:19] + "\n" + whole[20:], " " + whole, strings.ToLower(whole)} {
		if IsAccessToken(s) {
			t.Errorf("%q passes for a token", s)
		}
	}
}

func TestSealedTextsOpenForTheHolderAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String().Draw(rt, "text")
		holder, thief := NewRefreshToken(), NewRefreshToken()
		sealed, err := Seal(holder, text)
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := Open(holder, sealed); err != nil || got != text {
			rt.Fatalf("Open = %q, %v; want %q", got, err, text)
		}
		again, err := Seal(holder, text)
		if err != nil || bytes.Equal(again, sealed) {
			rt.Errorf("two seals of one text are alike, %v", err)
		}
		hash := HashToken(holder)
		for _, key := range []string{thief, "", string(hash[:]), holder[:39]} {
			if got, err := Open(key, sealed); err == nil {
				rt.Errorf("%q opens for %q", got, key)
			}
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(rt, "at")
		sealed[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if got, err := Open(holder, sealed); err == nil {
			rt.Errorf("a damaged seal opens as %q", got)
		}
		if got, err := Open(holder, sealed[:at]); err == nil {
			rt.Errorf("a cut seal opens as %q", got)
		}
	})
}

func FuzzIsToken(f *testing.F) {
	f.Add(NewAccessToken())
	f.Add(NewRefreshToken())
	f.Add("AAEAAWVsYXN0aWMva2liYW5hL3Q6c2VjcmV0")
	f.Fuzz(func(t *testing.T, s string) {
		if IsAccessToken(s) && (IsRefreshToken(s) || len(s) != 40 || strings.ContainsAny(s, ".\r\n")) {
			t.Errorf("%q passes for an access token", s)
		}
	})
}
