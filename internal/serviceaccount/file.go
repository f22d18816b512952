package serviceaccount

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"latchkey/internal/secret"
)

// file is the tokens of the file service_tokens, of which each line is
// "namespace/service/name:hash" (spec/identity.md 1.3).
type file struct {
	path   string
	tokens atomic.Pointer[map[string]*loaded] // by account/name; what was read together counts together
	seen   string                             // tells the last look from the next; only ReadFile touches it
}

// missing is the look of a file that is not there.
const missing = "missing"

func (f *file) token(key string) *loaded {
	if tokens := f.tokens.Load(); tokens != nil {
		return (*tokens)[key]
	}
	return nil
}

// names returns the names of an account's tokens, sorted.
func (f *file) names(account string) []string {
	var names []string
	if tokens := f.tokens.Load(); tokens != nil {
		for key := range *tokens {
			if name, ok := strings.CutPrefix(key, account+"/"); ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// FileNews tells what a changed file holds now.
type FileNews struct {
	Tokens  int
	Skipped []string // why a line does not count, one sentence each, without any hash
}

// ReadFile takes over the tokens of the file if it has changed since the last
// look; else the news are nil. A file that is not there has no tokens. One that
// cannot be read or is no text ends all its tokens, and is an error, told once.
// One goroutine at a time may call it.
func (s *Service) ReadFile() (*FileNews, error) {
	f := &s.file
	if f.path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(f.path)
	look := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		look, err = missing, nil
	case err != nil:
		look = err.Error()
	default:
		sum := sha256.Sum256(content)
		look = hex.EncodeToString(sum[:])
		if !utf8.Valid(content) {
			err = fmt.Errorf("read %s: it is not UTF-8", f.path)
		}
	}
	if look == f.seen {
		return nil, nil
	}
	f.seen = look
	if err != nil {
		f.tokens.Store(nil)
		return nil, err
	}
	tokens, skipped := f.parse(content)
	f.tokens.Store(&tokens)
	return &FileNews{len(tokens), skipped}, nil
}

// parse reads the lines of a file; of two for one token the later counts. A
// token whose line is as it was keeps what is remembered of its secret.
func (f *file) parse(content []byte) (tokens map[string]*loaded, skipped []string) {
	tokens = make(map[string]*loaded)
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		key, hash, ok := strings.Cut(text, ":")
		slash := strings.LastIndexByte(key, '/')
		if !ok || slash < 0 || !validName(key[slash+1:]) {
			skipped = append(skipped, fmt.Sprintf("line %d is not namespace/service/token-name:hash", number))
			continue
		}
		a := accounts()[key[:slash]]
		switch _, fast := secret.ParseDigest(hash); {
		case a == nil:
			skipped = append(skipped, fmt.Sprintf("line %d: there is no service account [%s]", number, key[:slash]))
			continue
		case !fast && secret.ValidStored(hash) != nil:
			skipped = append(skipped, fmt.Sprintf("line %d: %v", number, secret.ValidStored(hash)))
			continue
		}
		if old := f.token(key); old != nil && old.hash == hash {
			tokens[key] = old
		} else {
			tokens[key] = newLoaded(a, key[slash+1:], fileToken, hash)
		}
	}
	return tokens, skipped
}

// readInterval is how long a change of the file may go unnoticed.
const readInterval = 5 * time.Second

// WatchFile reads the file again when it changes, until ctx ends, and tells report.
func (s *Service) WatchFile(ctx context.Context, report func(*FileNews, error)) error {
	if s.file.path == "" {
		return nil
	}
	tick := time.NewTicker(readInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if news, err := s.ReadFile(); news != nil || err != nil {
			report(news, err)
		}
	}
}
