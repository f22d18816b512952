package latchkey_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
)

func ExampleClient_InvalidateLeaked() {
	client := newClient()
	defer client.Close()
	key := newKey(client, "build")
	text := strings.NewReader("+ curl -H 'Authorization: ApiKey " + key.Encoded + "' https://keys.example.org/\n")
	done, err := client.InvalidateLeaked(context.Background(), text, false)
	if err != nil {
		log.Panic(err)
	}
	for _, c := range done.Invalidated {
		fmt.Println(c.Type, c.Name, "of", c.Username)
	}
	// Output: api_key build of elastic
}

// The text goes out as it comes, and is left open.
func TestTextsAreStreamed(t *testing.T) {
	var sent, contentType string
	c := newFake(t, func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		sent, contentType = string(b), r.Header.Get("Content-Type")
		if r.ContentLength > 0 || r.URL.RawQuery != "dry_run=true" {
			t.Errorf("length %d, query %q", r.ContentLength, r.URL.RawQuery)
		}
		return answering(200, `{"found":0,"dry_run":true}`), r.Body.Close()
	})
	text := &closable{Reader: strings.NewReader("a log")}
	got, err := c.InvalidateLeaked(t.Context(), text, true)
	if err != nil || !got.DryRun || sent != "a log" || contentType != "text/plain" || text.closed {
		t.Errorf("%+v, %v: sent %q as %q, closed is %v", got, err, sent, contentType, text.closed)
	}
	if _, err := c.InvalidateLeaked(t.Context(), nil, true); err == nil {
		t.Error("no text is no error")
	}
}

type closable struct {
	io.Reader
	closed bool
}

func (c *closable) Close() error { c.closed = true; return nil }
