package chaos

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// link carries the connections that one side makes to another. Whatever is done
// to it can be done several times, and is over once all of it was undone.
type link struct {
	there, back way // to whom it leads, and from there

	mu   sync.Mutex // guards what follows
	cuts int
	ends map[*pair]bool
}

// pair is one connection, on both sides of the link.
type pair struct {
	from, to net.Conn
	gone     chan struct{}
	once     sync.Once
}

func (p *pair) close() {
	p.once.Do(func() {
		close(p.gone)
		_ = p.from.Close() // either side may have ended it
		_ = p.to.Close()
	})
}

// cut ends all connections, and makes none until it is mended.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts++
	l.endAll()
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts--
}

// reset ends all connections.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endAll()
}

func (l *link) endAll() {
	for p := range l.ends {
		p.close()
	}
}

// carry serves one connection until both of its sides have ended it.
func (l *link) carry(from net.Conn, target string) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return
	}
	p := &pair{from: from, to: to, gone: make(chan struct{})}
	defer p.close()
	l.mu.Lock()
	whole := l.cuts == 0
	if whole {
		if l.ends == nil {
			l.ends = map[*pair]bool{}
		}
		l.ends[p] = true
	}
	l.mu.Unlock()
	if !whole {
		return
	}
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.ends, p)
	}()
	var both sync.WaitGroup
	both.Go(func() { l.back.copy(p, p.from, p.to) })
	l.there.copy(p, p.to, p.from)
	both.Wait()
}

// way is one direction of a link.
type way struct {
	mu    sync.Mutex    // guards what follows
	holds int           // nothing passes while there are any
	open  chan struct{} // closed when the last of them is over; nil without any
	late  time.Duration // whatever passes
}

// hold keeps what is sent, and that a side has ended, until it is released. Then it arrives.
func (w *way) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holds++; w.holds == 1 {
		w.open = make(chan struct{})
	}
}

func (w *way) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holds--; w.holds == 0 {
		close(w.open)
		w.open = nil
	}
}

// slow has everything that is sent arrive later than it does already.
func (w *way) slow(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late += by
}

// pass waits until what was sent may arrive, and reports whether it may.
func (w *way) pass(p *pair) bool {
	w.mu.Lock()
	late := w.late
	w.mu.Unlock()
	if late > 0 {
		select {
		case <-time.After(late):
		case <-p.gone:
			return false
		}
	}
	for {
		w.mu.Lock()
		open := w.open
		w.mu.Unlock()
		if open == nil {
			return true
		}
		select {
		case <-open:
		case <-p.gone:
			return false
		}
	}
}

func (w *way) copy(p *pair, to, from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if !w.pass(p) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				p.close()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite() // the other side may have gone
				return
			}
		}
		if err != nil {
			p.close()
			return
		}
	}
}

// entrance is where links begin.
type entrance struct {
	listener net.Listener
	all      sync.WaitGroup
}

// enter has connections carried to where route says, by the link that it says; a
// nil link refuses.
func enter(t *testing.T, route func(net.Conn) (l *link, target string)) *entrance {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &entrance{listener: listener}
	var mu sync.Mutex // guards used
	used := map[*link]bool{}
	e.all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			e.all.Go(func() {
				l, target := route(c)
				if l == nil || target == "" {
					_ = c.Close() // it is not served
					return
				}
				mu.Lock()
				used[l] = true
				mu.Unlock()
				l.carry(c, target)
			})
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		mu.Lock()
		for l := range used {
			l.cut()
		}
		mu.Unlock()
		e.all.Wait()
	})
	return e
}

func (e *entrance) address() string { return e.listener.Addr().String() }

func TestLink(t *testing.T) {
	echo, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() { // ends with the listener
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until either side ends it
			}()
		}
	}()
	for _, tt := range []struct {
		name     string
		do, undo func(l *link)
		survives bool // the connection
	}{
		{"nothing", func(*link) {}, func(*link) {}, true},
		{"held on its way there", func(l *link) { l.there.hold() }, func(l *link) { l.there.release() }, true},
		{"held on its way back, twice", func(l *link) { l.back.hold(); l.back.hold() }, func(l *link) { l.back.release(); l.back.release() }, true},
		{"slow", func(l *link) { l.there.slow(50 * time.Millisecond) }, func(l *link) { l.there.slow(-50 * time.Millisecond) }, true},
		{"cut", (*link).cut, (*link).mend, false},
		{"reset", (*link).reset, func(*link) {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &link{}
			e := enter(t, func(net.Conn) (*link, string) { return l, echo.Addr().String() })
			c, err := net.Dial("tcp", e.address())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			says := func(c net.Conn, text string) error {
				got := make([]byte, len(text))
				if _, err := io.ReadFull(c, got); err != nil {
					return err
				}
				if !bytes.Equal(got, []byte(text)) {
					t.Errorf("got %q, want %q", got, text)
				}
				return nil
			}
			if _, err := c.Write([]byte("one")); err != nil || says(c, "one") != nil {
				t.Fatal("nothing passes", err)
			}
			tt.do(l)
			_, _ = c.Write([]byte("two")) // it may be cut
			answered := make(chan error, 1)
			go func() { answered <- says(c, "two") }()
			if l.there.open != nil || l.back.open != nil {
				select {
				case err := <-answered:
					t.Errorf("something passes that is held: %v", err)
				case <-time.After(20 * time.Millisecond):
				}
			}
			tt.undo(l)
			if err := <-answered; (err == nil) != tt.survives {
				t.Errorf("the connection ends with %v", err)
			}
			d, err := net.Dial("tcp", e.address())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if _, err := d.Write([]byte("three")); err != nil || says(d, "three") != nil {
				t.Error("a new connection does not pass", err)
			}
		})
	}
}
