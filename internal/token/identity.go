package token

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

// identity is what a [Snapshot] says.
type identity struct {
	Subject person   `json:"subject"`
	By      *person  `json:"by,omitempty"`      // who runs as Subject
	Creator *creator `json:"creator,omitempty"` // none: it cannot be refreshed
	Session *session `json:"session,omitempty"` // of a [Login]
}

type person struct {
	Username  string          `json:"username"`
	FullName  *string         `json:"full_name,omitempty"`
	Email     *string         `json:"email,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Roles     []string        `json:"roles,omitempty"`
	Realm     string          `json:"realm"`
	RealmType string          `json:"realm_type"`
	KeyID     string          `json:"api_key,omitempty"` // of an API key
	KeyName   string          `json:"api_key_name,omitempty"`
}

// creator is the client that a refresh token is for (spec/tokens.md 6).
type creator struct {
	Username  string `json:"username,omitempty"`
	Realm     string `json:"realm,omitempty"`
	RealmType string `json:"realm_type,omitempty"`
	KeyID     string `json:"api_key,omitempty"` // then nothing else counts
}

func personOf(s *access.Subject) person {
	p := person{
		Username: s.Username, FullName: s.FullName, Email: s.Email, Metadata: s.Metadata, Roles: s.Roles,
		Realm: s.Realm.Name, RealmType: s.Realm.Type,
	}
	if s.APIKey != nil {
		p.KeyID, p.KeyName = s.APIKey.ID, s.APIKey.Name
	}
	return p
}

func (p person) subject() access.Subject {
	s := access.Subject{
		Username: p.Username, FullName: p.FullName, Email: p.Email, Metadata: p.Metadata, Roles: p.Roles,
		Realm: access.Realm{Name: p.Realm, Type: p.RealmType},
	}
	if p.KeyID != "" {
		s.APIKey = &access.APIKey{ID: p.KeyID, Name: p.KeyName}
	}
	return s
}

// creatorOf is by as a client: under run-as the one who is run as.
func creatorOf(by *access.Caller) *creator {
	if by.APIKey != nil {
		return &creator{KeyID: by.APIKey.ID}
	}
	return &creator{Username: by.Username, Realm: by.Realm.Name, RealmType: by.Realm.Type}
}

// is reports whether c and d are the same client. There is one file and one
// native realm, whatever they are called.
func (c *creator) is(d *creator) bool {
	if c.KeyID != "" || d.KeyID != "" {
		return c.KeyID == d.KeyID
	}
	return c.Username == d.Username && c.RealmType == d.RealmType &&
		(c.Realm == d.Realm || c.RealmType == "file" || c.RealmType == "native")
}

// snapshot returns i as it is stored: the same bytes for the same identity.
func (i identity) snapshot() (Snapshot, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // metadata stays as it was written
	if err := enc.Encode(i); err != nil {
		return Snapshot{}, fmt.Errorf("keep the identity of a token: %w", err)
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return Snapshot{sha256.Sum256(body), body}, nil
}

func (s Snapshot) identity() (i identity, err error) {
	if err := json.Unmarshal(s.Body, &i); err != nil {
		return identity{}, fmt.Errorf("read the identity %x of a token: %w", s.Digest, err)
	}
	return i, nil
}

// next is the snapshot of the token that follows by a refresh.
func (i identity) next(old string, g Granted, was Snapshot) (Snapshot, error) {
	if i.Session == nil {
		return was, nil
	}
	text, err := secret.Open(old, i.Session.Refresh)
	if err != nil {
		return Snapshot{}, err
	}
	if i.Session, err = seal(text, g.Access, g.Refresh); err != nil {
		return Snapshot{}, err
	}
	return i.snapshot()
}

// caller returns whom a token acts as, without permissions.
func (i identity) caller(typ access.AuthenticationType) *access.Caller {
	c := &access.Caller{Subject: i.Subject.subject(), Type: typ}
	if i.By != nil {
		by := i.By.subject()
		c.By = &by
	}
	return c
}

// holder is an identity in memory, shared by all cached tokens that carry it.
type holder struct {
	subject access.Subject // without permissions, as by is
	by      *access.Subject
	// acting is the caller with the permissions that were found last.
	acting atomic.Pointer[access.Caller]
}

// key returns the id of the API key that the token was made with, or "".
func (h *holder) key() string {
	switch {
	case h.subject.APIKey != nil:
		return h.subject.APIKey.ID
	case h.by != nil && h.by.APIKey != nil:
		return h.by.APIKey.ID
	}
	return ""
}
