package leak

import (
	"bytes"
	"encoding/base64"
	"io"

	"latchkey/internal/secret"
)

// Kind is what a finding has the form of.
type Kind uint8

const (
	Key Kind = iota // an API key made here: its checksum is right
	// OlderKey is an id and a secret of 22 characters without mark and checksum:
	// only a look-up can tell whether it is a key.
	OlderKey
	AccessToken  // its checksum is right
	RefreshToken // its checksum is right
)

// Finding is something in a text that has the form of a credential. Nobody has
// looked up yet whether it is one.
type Finding struct {
	Kind   Kind
	ID     string // of an API key
	Secret string // or the token
}

// Scan passes what is found in text to found, in about the order of the text; the
// same thing may come again. It stops at an error of text or of found. Alone counts
// the secrets made here whose id does not stand near them.
//
// Found are API keys as Base64 of id:secret, as id:secret and, if they were made
// here, as a secret and an id at most [near] bytes apart; and tokens. URL encoding,
// escapes of JSON and the zero bytes of UTF-16 are seen through; line breaks within
// a credential, and Base64 of Base64, are not. The memory that it takes is small,
// and does not depend on the text.
func Scan(text io.Reader, found func(Finding) error) (alone int, err error) {
	s := scanner{found: found}
	raw := make([]byte, 0, chunk)
	for {
		n, err := text.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		var rest int
		s.window, rest = unescape(s.window, raw, err == io.EOF)
		raw = raw[:copy(raw, raw[len(raw)-rest:])]
		switch {
		case err == io.EOF:
			if err := s.pass(len(s.window)); err != nil {
				return 0, err
			}
			return s.alone + len(s.secrets), nil
		case err != nil:
			return 0, err
		}
		if err := s.pass(len(s.window) - ahead); err != nil {
			return 0, err
		}
	}
}

const (
	chunk = 64 << 10
	near  = 2 << 10 // bytes between a secret and its id
	ahead = 256     // more than the longest credential
	// maxIDs and maxSecrets bound what is compared: a text of nothing but ids.
	maxIDs, maxSecrets = 16, 16
)

// The forms that are sought. The ids of today are 20 characters, older ones 22.
const (
	idLen, olderID = 20, 22
	secretMark     = "lk_"
	secretLen      = 31
	olderSecret    = 22
	tokenLen       = 40
	// Base64 of an id and an older secret, without padding.
	olderEncoded, olderIDEncoded = 58, 60
	longestRun                   = 144
)

// marks are how secretMark looks in the Base64 of an id and a secret made here,
// without the bits that it shares with its neighbours: where it stands, and how many
// characters there are without padding.
var marks = []struct {
	text       string
	at, length int
}{
	{"bGtf", 28, 70}, // of an id of 20 characters
	{"psa1", 30, 72}, // of 22
}

type scanner struct {
	found   func(Finding) error
	window  []byte // of the text, unescaped
	offset  int    // of the window in the text
	done    int    // so far in the window
	ids     []placed
	secrets []placed // whose ids were not seen yet
	alone   int
}

// placed is a part of the text and where it stands.
type placed struct {
	at   int
	text string
}

// pass looks at all that begins before limit, and drops what is not needed any more.
func (s *scanner) pass(limit int) error {
	for at := s.done; at < limit; {
		if !word(s.window[at]) {
			at++
			continue
		}
		end := at + 1
		for end < len(s.window) && word(s.window[end]) {
			end++
		}
		if err := s.run(at, end, limit); err != nil {
			return err
		}
		at = min(end, limit)
		s.done = at
	}
	s.done = max(s.done, limit)
	if drop := s.done - ahead; drop > 0 {
		s.window = s.window[:copy(s.window, s.window[drop:])]
		s.offset += drop
		s.done -= drop
	}
	s.forget(s.offset + s.done)
	return nil
}

// word reports whether c can be part of an id or a secret.
func word(c byte) bool { return wordTable[c] }

var wordTable = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		t[c] = true
	}
	return t
}()

// run looks at a run of such characters, and what begins in it before limit. Of a
// run that the pass before has begun with, it is the rest.
func (s *scanner) run(begin, end, limit int) error {
	for at := begin; ; at++ {
		next := bytes.Index(s.window[at:end], []byte("lk"))
		if at += max(next, 0); next < 0 || at >= limit {
			break
		}
		if err := s.marked(at, begin, end); err != nil {
			return err
		}
	}
	if end-begin < idLen {
		return nil
	}
	some := false
	for _, mark := range marks {
		if end-begin < mark.length-mark.at {
			continue
		}
		for at := begin; ; at++ {
			next := bytes.Index(s.window[at:end], []byte(mark.text))
			if at += max(next, 0); next < 0 || at >= limit {
				break
			}
			mine, err := s.encoded(at-mark.at, at-mark.at+mark.length)
			if err != nil {
				return err
			}
			some = some || mine
		}
	}
	if some {
		return nil
	}
	whole := begin == 0 || !word(s.window[begin-1])
	if !whole || end-begin > longestRun {
		return nil
	}
	switch end - begin {
	case idLen, olderID:
		if err := s.id(begin, end); err != nil {
			return err
		}
		return s.olderPair(begin, end)
	}
	if end-begin >= olderEncoded {
		return s.olderEncoded(begin, end)
	}
	return nil
}

// marked looks at an "lk" in a run.
func (s *scanner) marked(at, begin, end int) error {
	rest := s.window[at:]
	switch {
	case len(rest) >= secretLen && bytes.HasPrefix(rest, []byte(secretMark)):
		text := string(rest[:secretLen])
		if at > 0 && s.window[at-1] == ':' {
			for _, n := range []int{idLen, olderID} {
				if from := at - 1 - n; from >= 0 && matches(string(s.window[from:at-1]), text) {
					return s.found(Finding{Key, string(s.window[from : at-1]), text})
				}
			}
		}
		if at == begin && end-begin == secretLen && (at == 0 || !word(s.window[at-1])) {
			return s.secret(placed{s.offset + at, text})
		}
	case len(rest) >= tokenLen && secret.IsAccessToken(string(rest[:tokenLen])):
		return s.found(Finding{Kind: AccessToken, Secret: string(rest[:tokenLen])})
	case len(rest) >= tokenLen && secret.IsRefreshToken(string(rest[:tokenLen])):
		return s.found(Finding{Kind: RefreshToken, Secret: string(rest[:tokenLen])})
	}
	return nil
}

// encoded looks at what may be the Base64 of an id and a secret made here. It is
// mine if it has that form, whatever its checksum.
func (s *scanner) encoded(from, to int) (mine bool, err error) {
	if from < 0 || to > len(s.window) {
		return false, nil
	}
	id, text, ok := pair(string(s.window[from:to]))
	if ok && matches(id, text) {
		err = s.found(Finding{Key, id, text})
	}
	return ok, err
}

// olderEncoded looks at a run that may be the Base64 of an id and an older secret,
// with something stuck to its begin or its end.
func (s *scanner) olderEncoded(begin, end int) error {
	for _, n := range []int{olderIDEncoded, olderEncoded} {
		for _, from := range []int{begin, end - n} {
			if from < begin || from+n > end {
				continue
			}
			if id, text, ok := pair(string(s.window[from : from+n])); ok && len(text) == olderSecret {
				return s.found(Finding{OlderKey, id, text})
			}
		}
	}
	return nil
}

// pair reads the Base64 of an id and a secret; ok is false for all else.
func pair(encoded string) (id, text string, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	before, after, _ := bytes.Cut(b, []byte(":"))
	if n := len(before); n != idLen && n != olderID || len(after) < olderSecret {
		return "", "", false
	}
	for _, part := range [][]byte{before, after} {
		for _, c := range part {
			if !word(c) {
				return "", "", false
			}
		}
	}
	return string(before), string(after), true
}

// matches reports whether a secret that begins with the mark was made for an id.
func matches(id, text string) bool {
	return len(text) == secretLen && text[:len(secretMark)] == secretMark && !secret.DamagedKey(id, text)
}

// olderPair looks at what may be the secret in id:secret.
func (s *scanner) olderPair(begin, end int) error {
	if end-begin != olderSecret || begin < 1+idLen || s.window[begin-1] != ':' {
		return nil
	}
	from := begin - 1
	for from > 0 && word(s.window[from-1]) && begin-1-from <= olderID {
		from--
	}
	if n := begin - 1 - from; n != idLen && n != olderID {
		return nil
	}
	return s.found(Finding{OlderKey, string(s.window[from : begin-1]), string(s.window[begin:end])})
}

// id compares what may be an id with the secrets before it.
func (s *scanner) id(begin, end int) error {
	id := placed{s.offset + begin, string(s.window[begin:end])}
	for i, p := range s.secrets {
		if id.at-p.at <= near && matches(id.text, p.text) {
			s.secrets = append(s.secrets[:i], s.secrets[i+1:]...)
			return s.found(Finding{Key, id.text, p.text})
		}
	}
	if len(s.ids) == maxIDs {
		s.ids = s.ids[:copy(s.ids, s.ids[1:])]
	}
	s.ids = append(s.ids, id)
	return nil
}

// secret compares a secret that stands by itself with the ids before it.
func (s *scanner) secret(p placed) error {
	for _, id := range s.ids {
		if p.at-id.at <= near && matches(id.text, p.text) {
			return s.found(Finding{Key, id.text, p.text})
		}
	}
	if len(s.secrets) == maxSecrets {
		s.secrets = s.secrets[:copy(s.secrets, s.secrets[1:])]
		s.alone++
	}
	s.secrets = append(s.secrets, p)
	return nil
}

// forget drops the secrets that are too far from here for an id to come.
func (s *scanner) forget(here int) {
	for len(s.secrets) > 0 && here-s.secrets[0].at > near+ahead {
		s.secrets = s.secrets[:copy(s.secrets, s.secrets[1:])]
		s.alone++
	}
}
