package apikey

import (
	"cmp"
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"latchkey/internal/access"
)

// Use is a use of a key: a request that was authenticated with its secret.
type Use struct {
	KeyID   string
	At      time.Time
	Address string // the IP address that the request came from; "" if there was none
	Agent   string // its User-Agent header, 256 characters at most; "" if there was none
}

const (
	useInterval  = 10 * time.Second // between two writes of what was noted: what a crash loses
	lastUseWrite = 10 * time.Second // how long the last of them may take
	manyUses     = 2000             // keys whose use is written before it is time, so that few are held
	maxUses      = 50_000           // keys whose use waits to be written
	maxAgent     = 256              // characters
	usesAtOnce   = 1000             // bounds how long one write holds up others
)

// uses are those that are not written yet.
type uses struct {
	many chan struct{} // gets a value when they should be written before it is time

	mu     sync.Mutex
	noted  map[string]Use // by id
	recent recentKeys
}

func newUses() uses {
	return uses{many: make(chan struct{}, 1), noted: make(map[string]Use), recent: recentKeys{seed: maphash.MakeSeed()}}
}

// recentKeys are those of which a use was noted within a minute, by hashes of their
// ids: a key that is not in memory is not written with each of its uses. Of more
// keys than there is room for, some are forgotten and noted again.
type recentKeys struct {
	seed   maphash.Seed
	minute int32
	sets   [][4]uint64 // nil before the first use; 0 is free
}

const recentSets = 1 << 15 // 1 MiB

// add reports whether an id was not there in this minute.
func (r *recentKeys) add(id string, minute int32) bool {
	if r.sets == nil {
		r.sets = make([][4]uint64, recentSets)
	}
	if r.minute != minute {
		clear(r.sets)
		r.minute = minute
	}
	hash := maphash.String(r.seed, id) | 1
	set := &r.sets[hash>>1%recentSets]
	if slices.Contains(set[:], hash) {
		return false
	}
	copy(set[1:], set[:]) // the oldest gives way
	set[0] = hash
	return true
}

// Used notes a request of a caller who was authenticated just now, if that was by
// the secret of a key: a token that a key has made is another credential. remote
// is the address with the port that the request came from. It writes nothing, and
// of the uses of a key it notes the first of every minute.
func (s *Service) Used(by *access.Caller, remote, agent string) {
	if by.Type != access.ByAPIKey {
		return
	}
	now := s.o.Now()
	minute := int32(now.Unix() / 60)
	if by.NotedIn != nil && by.NotedIn.Load() == minute {
		return
	}
	key := by.APIKey
	if by.By != nil {
		key = by.By.APIKey
	}
	if s.uses.note(key.ID, minute, func() Use {
		return Use{KeyID: key.ID, At: now.Truncate(time.Millisecond), Address: shared(addressOf(remote)), Agent: shared(agentOf(agent))}
	}) && by.NotedIn != nil {
		by.NotedIn.Store(minute)
	}
}

// shared is a text that many have in memory.
func shared(s string) string { return unique.Make(s).Value() }

func addressOf(remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	return a.Addr().Unmap().WithZone("").String()
}

func agentOf(header string) string {
	text := strings.ToValidUTF8(header[:min(len(header), 4*maxAgent)], "\uFFFD")
	n := 0
	for i := range text {
		if n == maxAgent {
			return text[:i]
		}
		n++
	}
	return text
}

// note reports whether there was room for a use of a key. A store that takes no
// writes must not cost all our memory.
func (u *uses) note(id string, minute int32, use func() Use) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	was, there := u.noted[id]
	if !there && len(u.noted) >= maxUses {
		return false
	}
	if !u.recent.add(id, minute) {
		return true
	}
	if now := use(); !was.At.After(now.At) { // who waits for the lock may come with a use from before
		u.noted[id] = now
	}
	if len(u.noted) >= manyUses {
		select {
		case u.many <- struct{}{}:
		default:
		}
	}
	return true
}

// waiting returns the uses that are to be written, by id.
func (u *uses) waiting() []Use {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]Use, 0, len(u.noted))
	for _, use := range u.noted {
		all = append(all, use)
	}
	slices.SortFunc(all, func(a, b Use) int { return cmp.Compare(a.KeyID, b.KeyID) })
	return all
}

// written drops uses, unless a later one has taken the place.
func (u *uses) written(done []Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, use := range done {
		if u.noted[use.KeyID] == use {
			delete(u.noted, use.KeyID)
		}
	}
	if len(u.noted) == 0 {
		u.noted = make(map[string]Use) // the old one keeps the size that it once had
	}
}

// RecordUses writes what [Service.Used] has noted, at every interval until ctx
// ends and once more then. What cannot be written is told to report and kept for
// the next time.
func (s *Service) RecordUses(ctx context.Context, report func(error)) error {
	tick := time.NewTicker(useInterval)
	defer tick.Stop()
	many := s.uses.many
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastUseWrite)
			defer cancel()
			if err := s.writeUses(last); err != nil {
				report(err)
			}
			return nil
		case <-tick.C:
		case <-many:
		}
		many = s.uses.many
		if err := s.writeUses(ctx); err != nil && ctx.Err() == nil {
			many = nil // a store that refuses is asked again when it is time
			report(err)
		}
	}
}

// writeUses writes what was noted before. Who reads uses calls it first, and
// reads what is there should it fail.
func (s *Service) writeUses(ctx context.Context) error {
	for some := range slices.Chunk(s.uses.waiting(), usesAtOnce) {
		if err := s.store.NoteAPIKeyUses(ctx, some); err != nil {
			return err
		}
		s.uses.written(some)
	}
	return nil
}

// addUses fills in the last uses of keys.
func (s *Service) addUses(ctx context.Context, infos []Info) error {
	_ = s.writeUses(ctx) // RecordUses meets the same error, and tells
	ids := make([]string, len(infos))
	for i := range infos {
		ids[i] = infos[i].ID
	}
	last, err := s.store.APIKeyUses(ctx, ids)
	if err != nil {
		return err
	}
	for i := range infos {
		infos[i].LastUse = last[infos[i].ID]
	}
	return nil
}
