package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// clients present credentials on all nodes, and end them, and note what they see.
type clients struct {
	cluster *cluster
	seen    *history

	mu      sync.Mutex // guards what follows
	live    []credential
	ending  []credential // somebody has begun to end them
	figures figures
	odd     []string // answers that nothing explains
}

func newClients(c *cluster, seen *history) *clients {
	return &clients{cluster: c, seen: seen, figures: figures{answers: map[string]int{}}}
}

// draw says which credentials the load presents.
func (c *clients) draw(live, ending []credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.ending = live, ending
}

// figures tell what a run was worth.
type figures struct {
	answers      map[string]int // to whom presents a credential
	acknowledged int            // ends
	uncertain    int            // ends without an answer that says
	longest      time.Duration  // until an end was acknowledged
}

func (f figures) String() string {
	return fmt.Sprintf("%4d ends acknowledged, the slowest after %.2fs, %4d uncertain; credentials presented %v", f.acknowledged, f.longest.Seconds(), f.uncertain, f.answers)
}

// takeFigures returns those since the last call.
func (c *clients) takeFigures() figures {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.figures
	c.figures = figures{answers: map[string]int{}}
	return f
}

func (c *clients) noteOdd(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.odd = append(c.odd, fmt.Sprintf(format, args...))
}

// present shows a credential to a node.
func (c *clients) present(ctx context.Context, n *node, k credential, strict bool, timeout time.Duration) outcome {
	e := event{credential: k.name, act: presented, node: n.number, strict: strict, began: c.seen.now()}
	status, body, err := n.call(ctx, request{method: "GET", path: "/_security/_authenticate", by: k.header, strict: strict, timeout: timeout})
	e.over = c.seen.now()
	switch {
	case err != nil:
		e.note = err.Error()
	case status == http.StatusOK:
		e.outcome, e.note = accepted, "200"
	case status == http.StatusUnauthorized:
		e.outcome, e.note = denied, "401"
	case status == http.StatusServiceUnavailable:
		e.note = "503"
	default:
		e.note = fmt.Sprint(status)
		c.noteOdd("node %d answers %d to who presents %s: %s", n.number, status, k.name, body)
	}
	c.seen.add(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.figures.answers["none"]++
	} else {
		c.figures.answers[e.note]++
	}
	return e.outcome
}

// end has a node end credentials.
func (c *clients) end(ctx context.Context, n *node, e ending, timeout time.Duration) outcome {
	e.timeout = timeout
	began := c.seen.now()
	status, body, err := n.call(ctx, e.request)
	over := c.seen.now()
	result, note := unknown, fmt.Sprint(status)
	switch {
	case err != nil:
		note = err.Error()
	case status == http.StatusOK:
		result = accepted
	case status >= 500:
	case status == http.StatusNotFound: // it was removed, and whoever did that may not be done yet
		result = denied
	default:
		c.noteOdd("node %d answers %d to %s %s: %s", n.number, status, e.method, e.path, body)
	}
	for _, k := range e.of {
		c.seen.add(event{credential: k.name, act: ended, node: n.number, began: began, over: over, outcome: result, note: note + " " + e.method + " " + e.path + " " + e.body})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch result {
	case accepted:
		c.figures.acknowledged++
		c.figures.longest = max(c.figures.longest, over-began)
	case unknown:
		c.figures.uncertain++
	}
	return result
}

// What requests wait for an answer.
const (
	short   = 300 * time.Millisecond
	usual   = 1500 * time.Millisecond
	patient = 4 * patience
)

func oneOf(d ...time.Duration) time.Duration { return d[rand.IntN(len(d))] }

// rush ends credentials some time within a span, on one node after another until
// one says that it is done. Then they are shown to all nodes. It reports false if
// over was closed before.
func (c *clients) rush(ctx context.Context, e ending, within time.Duration, over <-chan struct{}) bool {
	pause(ctx, rand.N(within))
	c.mu.Lock()
	c.ending = append(c.ending[:len(c.ending):len(c.ending)], e.of...)
	c.mu.Unlock()
	for c.end(ctx, c.cluster.nodes[rand.IntN(fleetSize)], e, oneOf(short, patient, patient)) == unknown {
		select {
		case <-over:
			return false
		default:
			pause(ctx, rand.N(200*time.Millisecond))
		}
	}
	var probes sync.WaitGroup
	for _, n := range c.cluster.nodes {
		for _, k := range e.of {
			probes.Go(func() {
				for range 4 {
					c.present(ctx, n, k, rand.IntN(8) == 0, usual)
					pause(ctx, rand.N(lease/4))
				}
			})
		}
	}
	probes.Wait()
	return true
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// load presents credentials to a node, good ones and such as are being ended,
// until ctx ends.
func (c *clients) load(ctx context.Context, n *node) {
	for ctx.Err() == nil {
		c.mu.Lock()
		from := c.live
		if len(from) == 0 || len(c.ending) > 0 && rand.IntN(2) == 0 {
			from = c.ending
		}
		var k credential
		if len(from) > 0 {
			k = from[rand.IntN(len(from))]
		}
		c.mu.Unlock()
		if k.name != "" {
			c.present(ctx, n, k, rand.IntN(5) == 0, usual)
		}
		pause(ctx, rand.N(10*time.Millisecond))
	}
}

// warm presents credentials to all nodes until each has accepted each of them,
// and so may have it in memory.
func (c *clients) warm(ctx context.Context, all []credential) error {
	var nodes sync.WaitGroup
	for _, n := range c.cluster.nodes {
		nodes.Go(func() {
			for _, k := range all {
				for ctx.Err() == nil && c.present(ctx, n, k, false, patient) == unknown { // who is denied finds no better answer
					pause(ctx, lease/50)
				}
			}
		})
	}
	nodes.Wait()
	return ctx.Err()
}
