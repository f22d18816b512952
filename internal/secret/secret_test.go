package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"latchkey/internal/secret"
)

func TestSecretNeverPrints(t *testing.T) {
	const text = "hunter2"
	s := secret.Of(text)
	type holder struct {
		Shown  secret.Secret
		hidden secret.Secret
	}
	h := holder{s, s}

	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		for _, v := range []any{s, &s, h, &h, []secret.Secret{s}, map[string]secret.Secret{"k": s}} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("started", "secret", s, "holder", h, "pointer", &s)
	}
	asJSON, err := json.Marshal(map[string]any{"s": s, "h": h})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(asJSON)
	if err := json.NewEncoder(&printed).Encode(map[secret.Secret]int{s: 1}); err != nil {
		t.Fatal(err)
	}

	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprint([]byte(text))} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("the secret shows as %q in:\n%s", form, &printed)
		}
	}
	if !bytes.Contains(asJSON, []byte(`"s":"[redacted]"`)) {
		t.Errorf("got %s, want the secret redacted", asJSON)
	}
}

func TestSecretReveals(t *testing.T) {
	if got := secret.Of("hunter2").Reveal(); got != "hunter2" {
		t.Errorf("got %q, want the text that was hidden", got)
	}
	var zero secret.Secret
	if zero.Reveal() != "" || !zero.IsZero() || !secret.Of("").IsZero() || secret.Of("x").IsZero() {
		t.Error("the empty secret, and only that, is zero")
	}
}
