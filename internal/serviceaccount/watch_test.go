package serviceaccount

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/secret"
)

func TestTheFileIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service_tokens")
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, Options{File: path, Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		news := make(chan int, 10)
		stopped := make(chan error)
		go func() {
			stopped <- s.WatchFile(ctx, func(n *FileNews, err error) {
				if err != nil {
					t.Error(err)
					return
				}
				news <- n.Tokens
			})
		}()
		want := func(when string, tokens ...int) {
			t.Helper()
			time.Sleep(readInterval)
			synctest.Wait()
			var got []int
			for len(news) > 0 {
				got = append(got, <-news)
			}
			if !slices.Equal(got, tokens) {
				t.Errorf("%s: the news are %v; want %v", when, got, tokens)
			}
		}
		want("no file")
		line := "elastic/kibana/t:" + secret.HashRandom("a-secret-of-a-file")
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		want("a new file", 1)
		want("as it was")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want("the file is gone", 0)
		if s.file.token("elastic/kibana/t") != nil {
			t.Error("the token outlives its file")
		}
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("WatchFile ended with %v; want nil when its context ends", err)
		}
	})
}
