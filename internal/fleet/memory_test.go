package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// memoryStore is a store whose transactions are one after the other.
type memoryStore struct {
	mu   sync.Mutex
	db   *database
	down error
	uids int
	old  *database // of a deposed primary that answers who asks for the members
}

func newMemoryStore() *memoryStore { return &memoryStore{db: newDatabase()} }

func (m *memoryStore) do(act func(*database)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		act(m.db)
	}
	return m.down
}

func (m *memoryStore) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

func (m *memoryStore) Head(context.Context) (head Mark, err error) {
	err = m.do(func(d *database) { head = d.head() })
	return head, err
}

func (m *memoryStore) Log(_ context.Context, after int64, limit int) (records []Record, err error) {
	err = m.do(func(d *database) { records = d.after(after, limit) })
	return records, err
}

func (m *memoryStore) Join(_ context.Context, row Member, replaces string) error {
	return m.do(func(d *database) { d.join(row, replaces) })
}

func (m *memoryStore) Leave(_ context.Context, id string) error {
	return m.do(func(d *database) { d.leave(id) })
}

func (m *memoryStore) Renew(_ context.Context, id string, applied Mark) (r Renewal, err error) {
	err = m.do(func(d *database) {
		if r = d.renewal(id, applied); !r.Gone && !r.Forked {
			d.renew(id, applied)
		}
	})
	return r, err
}

func (m *memoryStore) Members(_ context.Context, applied Mark) (found Membership, err error) {
	err = m.do(func(d *database) {
		if m.old != nil {
			d = m.old
		}
		found = d.membership(applied)
	})
	return found, err
}

func (m *memoryStore) Fence(_ context.Context, id string, seq int64) (gone bool, err error) {
	err = m.do(func(d *database) { gone = d.fence(id, seq) })
	return gone, err
}

func (m *memoryStore) Trim(context.Context, time.Duration) (int, error) { return 0, nil }

// revoke ends keys with one record. The name of the record tells who asks for it.
func (m *memoryStore) revoke(keys ...string) (r Record, done bool, err error) {
	err = m.do(func(d *database) {
		m.uids++
		if r, done = d.revoke(fmt.Sprintf("uid-%d", m.uids), keys); !done {
			r.Mark = d.head()
		}
	})
	return r, done, err
}

// wires connects nodes of one process.
type wires struct {
	mu     sync.Mutex
	nodes  map[string]*Node
	pushes sync.WaitGroup
}

var errNobody = errors.New("nobody answers there")

func (w *wires) Push(addr string, p Push, done func(Ack, error)) {
	w.mu.Lock()
	to := w.nodes[addr]
	w.mu.Unlock()
	w.pushes.Go(func() {
		if to == nil {
			done(Ack{}, errNobody)
			return
		}
		done(to.Receive(p), nil)
	})
}

func (w *wires) connect(addr string, n *Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[addr] = n
}

// bubbleClock is a clock of package synctest.
type bubbleClock struct{ began time.Time }

func (c bubbleClock) Now() time.Duration { return time.Since(c.began) }

func (bubbleClock) Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	return bootClock{}.Wait(ctx, d, wake)
}
