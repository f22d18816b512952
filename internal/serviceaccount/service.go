package serviceaccount

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
)

// Options says how a [Service] works. Hasher and Now are required.
type Options struct {
	Hasher   *secret.Hasher // for new tokens
	File     string         // path of service_tokens; empty: there is none
	CacheTTL time.Duration  // of a token, after its last use; 0 keeps nothing
	CacheMax int            // tokens
	Now      func() time.Time
	Lease    func() error // as of cache.Options
}

// Service knows the service accounts and their tokens. It owns the cache of
// loaded tokens, because it is also what makes an entry in that cache wrong. It
// is safe for concurrent use.
type Service struct {
	store  Store
	o      Options
	tokens *cache.Cache[*loaded] // by account/name
	file   file
	checks singleflight.Group // of slow comparisons
}

// New returns the service over a store. The tokens of the file count from the
// first [Service.ReadFile].
func New(store Store, o Options) *Service {
	return &Service{
		store: store, o: o, file: file{path: o.File, seen: missing},
		tokens: cache.New[*loaded](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Now, Lease: o.Lease}),
	}
}

const actions = "cluster:admin/xpack/security/service_account/"

// Get returns the accounts of a namespace and a service by principal, each with
// what it may do; an empty text stands for any.
func (s *Service) Get(by *access.Caller, ns, service string) (access.Descriptors, error) {
	if err := by.Authorize(access.Request{Action: actions + "get"}); err != nil {
		return nil, err
	}
	found := make(access.Descriptors)
	for principal, a := range accounts() {
		if (ns == "" || ns == namespace) && (service == "" || namespace+"/"+service == principal) {
			found[principal] = a.descriptor
		}
	}
	return found, nil
}

// Created is a new token. It is the only time that the secret, in Value, is shown.
type Created struct{ Name, Value string }

// Create makes a token of an account, under a name of our own if name is empty.
// What is wrong with the name is reported before a missing privilege, an
// account that does not exist after it: fault.Argument. A name that is taken is
// fault.Conflict.
func (s *Service) Create(ctx context.Context, by *access.Caller, account, name string) (Created, error) {
	if name == "" {
		name = secret.NewServiceTokenName()
	}
	if err := nameProblem(name); err != nil {
		return Created{}, err
	}
	if err := by.Authorize(access.Request{Action: actions + "token/create"}); err != nil {
		return Created{}, err
	}
	if accounts()[account] == nil {
		return Created{}, fault.New(fault.Argument, "service account [%s] does not exist", account)
	}
	text := secret.NewServiceSecret()
	hash, err := s.o.Hasher.Hash(ctx, text)
	if err != nil {
		return Created{}, err
	}
	t := Token{Account: account, Name: name, Hash: hash, CreatedAt: s.o.Now()}
	if err := s.store.InsertServiceToken(ctx, t); err != nil {
		return Created{}, err
	}
	return Created{name, encode(account, name, text)}, nil
}

// Delete ends a token of an account, and reports whether there was one in the
// store. When it returns, this process refuses it.
func (s *Service) Delete(ctx context.Context, by *access.Caller, account, name string) (bool, error) {
	if err := nameProblem(name); err != nil {
		return false, err
	}
	if err := by.Authorize(access.Request{Action: actions + "token/delete"}); err != nil {
		return false, err
	}
	kill := func() { s.tokens.Kill(account + "/" + name) }
	found, err := s.store.DeleteServiceToken(ctx, account, name, kill)
	if err != nil {
		kill() // the commit may have reached the disk; assume that it did
	}
	return found, err
}

// Forget has the tokens of these names, account/name, or all if there are none, looked up anew: another node
// has changed them.
func (s *Service) Forget(names []string) {
	if len(names) == 0 {
		s.tokens.Flush()
		return
	}
	s.tokens.Kill(names...)
}

// Credentials are the names of an account's tokens, sorted.
type Credentials struct{ Index, File []string }

// Credentials returns what an account has; one that does not exist has none.
func (s *Service) Credentials(ctx context.Context, by *access.Caller, account string) (Credentials, error) {
	if err := by.Authorize(access.Request{Action: actions + "credential/get"}); err != nil {
		return Credentials{}, err
	}
	index, err := s.store.ServiceTokens(ctx, account)
	if err != nil {
		return Credentials{}, err
	}
	return Credentials{index, s.file.names(account)}, nil
}

// ClearCache forgets what is held in memory of the named tokens of an account,
// or of all tokens if names holds "*", on all nodes. Unknown names are no error.
func (s *Service) ClearCache(ctx context.Context, by *access.Caller, account string, names []string) error {
	if err := by.Authorize(access.Request{Action: "cluster:admin/xpack/security/cache/clear"}); err != nil {
		return err
	}
	if slices.Contains(names, "*") {
		s.tokens.Flush()
		return s.store.ForgetServiceTokens(ctx, nil)
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = account + "/" + name
	}
	s.tokens.Kill(keys...)
	return s.store.ForgetServiceTokens(ctx, keys)
}
