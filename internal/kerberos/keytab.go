package kerberos

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/keytab"
)

// keys are those of a keytab file. They are read again when the file changes,
// so that a key that was renewed counts without a restart.
type keys struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex // guards what follows
	seen    stamp
	current *keytab.Keytab // what it holds does not change
}

// stamp tells two states of a file apart.
type stamp struct {
	at   time.Time
	size int64
}

func openKeys(path string, log *slog.Logger) (*keys, error) {
	seen := stampOf(path)
	kt, err := readKeytab(path)
	if err != nil {
		return nil, err
	}
	return &keys{path: path, log: log, seen: seen, current: kt}, nil
}

// get returns the keys that count now: those of the file, or, while it cannot
// be used, those that were read before.
func (k *keys) get() *keytab.Keytab {
	seen := stampOf(k.path)
	k.mu.Lock()
	current, same := k.current, seen == k.seen
	k.seen = seen
	k.mu.Unlock()
	if same {
		return current
	}
	kt, err := readKeytab(k.path)
	if err != nil {
		k.log.Warn("the keytab has changed and cannot be used; the keys that were read before still count", "err", err)
		return current
	}
	k.log.Info("the keytab was read again", "principals", principals(kt))
	k.mu.Lock()
	k.current = kt
	k.mu.Unlock()
	return kt
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// readKeytab reads a keytab and drops the keys of kinds that are not known. No
// error tells what stands in the file, which gokrb5's own errors do.
func readKeytab(path string) (*keytab.Keytab, error) {
	b, err := os.ReadFile(path)
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	}
	if err != nil {
		return nil, fmt.Errorf("the keytab %s cannot be read: %w", path, err)
	}
	kt, ok := parseKeytab(b)
	if !ok {
		return nil, fmt.Errorf("the file %s is no keytab, or is damaged", path)
	}
	all := len(kt.Entries)
	for i := all - 1; i >= 0; i-- {
		if e, err := crypto.GetEtype(kt.Entries[i].Key.KeyType); err != nil || e.GetKeyByteSize() != len(kt.Entries[i].Key.KeyValue) {
			kt.Entries = slices.Delete(kt.Entries, i, i+1)
		}
	}
	switch {
	case all == 0:
		return nil, fmt.Errorf("the keytab %s holds no keys", path)
	case len(kt.Entries) == 0:
		return nil, fmt.Errorf("the keytab %s holds no key of a kind that is known: make one of aes256-cts-hmac-sha1-96 or its like", path)
	}
	return kt, nil
}

func parseKeytab(b []byte) (kt *keytab.Keytab, ok bool) {
	defer func() {
		if recover() != nil { // gokrb5 does not expect every kind of damage
			ok = false
		}
	}()
	kt = keytab.New()
	return kt, kt.Unmarshal(b) == nil
}

func principals(kt *keytab.Keytab) []string {
	var names []string
	for _, e := range kt.Entries {
		names = append(names, e.Principal.String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
