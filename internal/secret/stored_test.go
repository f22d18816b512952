package secret

import (
	"context"
	"errors"
	"regexp"
	"testing"
)

func TestStored(t *testing.T) {
	slowHasher, err := NewHasher("pbkdf2_stretch_1000")
	if err != nil {
		t.Fatal(err)
	}
	slowForm, err := slowHasher.Hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]string{"fast": HashRandom("right"), "slow": slowForm, "of no kind": "right"} {
		t.Run(name, func(t *testing.T) {
			var s Stored
			s.Set(form)
			for _, text := range []string{"right", "wrong", "right", "wrong", "", "right"} {
				got, err := s.Matches(t.Context(), text)
				if want := text == "right" && form != "right"; got != want || err != nil {
					t.Errorf("Matches(%q) = %v, %v; want %v", text, got, err, want)
				}
				if again, known := s.Recall(text); !known || again != got {
					t.Errorf("Recall(%q) = %v, %v after Matches = %v", text, again, known, got)
				}
			}
		})
	}
}

func TestStoredJudgesASecretSlowlyOnce(t *testing.T) {
	h, err := NewHasher("pbkdf2_1000")
	if err != nil {
		t.Fatal(err)
	}
	form, err := h.Hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	var s Stored
	s.Set(form)
	if _, known := s.Recall("right"); known {
		t.Error("a slow form knows a secret before it was compared")
	}
	before := SlowHashes()
	for range 5 {
		for _, text := range []string{"right", "wrong"} {
			if _, err := s.Matches(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := SlowHashes() - before; n != 2 {
		t.Errorf("%d slow hashes for two secrets; want 2", n)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if match, err := s.Matches(ended, "another"); match || !errors.Is(err, context.Canceled) {
		t.Errorf("Matches with an ended context = %v, %v; want the error of the context", match, err)
	}
	if match, err := s.Matches(t.Context(), "right"); !match || err != nil {
		t.Errorf("Matches after it = %v, %v", match, err)
	}
}

func TestServiceSecrets(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)
	seen := map[string]bool{}
	for range 1000 {
		text := NewServiceSecret()
		if !form.MatchString(text) || seen[text] {
			t.Fatalf("NewServiceSecret = %q", text)
		}
		seen[text] = true
	}
	if name := NewServiceTokenName(); !regexp.MustCompile(`^token_[A-Za-z0-9_-]{22}$`).MatchString(name) {
		t.Errorf("NewServiceTokenName = %q", name)
	}
}
