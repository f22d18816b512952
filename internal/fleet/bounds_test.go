package fleet

import (
	"context"
	"fmt"
	"testing"
	"time"

	"latchkey/internal/fault"
)

// Who waits for a node goes by that node's lease, not by its own; and by time alone,
// by the longest of all.
func TestLeasesOfDifferentLengths(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		if err := b.store.Join(t.Context(), Member{ID: "long", Span: 3 * leaseLength}, ""); err != nil {
			t.Fatal(err)
		}
		if err := b.store.Join(t.Context(), Member{ID: "short", Span: leaseLength / 10}, ""); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := a.revoke(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if by, took := <-a.exits, time.Since(began); by != Expired || took != a.patience(3*leaseLength) {
			t.Errorf("%s after %v, want %s after %v", by, took, Expired, a.patience(3*leaseLength))
		}
		if _, there := b.store.db.members["short"]; there {
			t.Error("the node with the short lease was not fenced before")
		}
	})
}

// A node that cannot follow the log starts over from its end, but not if peers have
// brought it further meanwhile: it has acknowledged that.
func TestANodeDoesNotGoBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		for _, k := range []string{"i", "j", "k"} {
			if err := a.revoke(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct{ head, want, flushes int64 }{{2, 3, 1}, {3, 3, 1}, {5, 5, 2}} {
			a.skipTo(Mark{tt.head, fmt.Sprint("uid-", tt.head)})
			if got := a.Seen().Rev; got != tt.want || a.flushes.Load() != tt.flushes {
				t.Errorf("when it should skip to %d, the node is at %d and has forgotten everything %d times; want %d and %d", tt.head, got, a.flushes.Load(), tt.want, tt.flushes)
			}
		}
	})
}

// Who asks for the status takes one connection of the store, however many they are.
func TestManyAskForTheStatus(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		a := b.start("a")
		defer a.stop()
		a.asking <- struct{}{} // somebody's question is under way
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Status(ctx)
		wantKind(t, "who cannot wait", err, fault.Unavailable)
		<-a.asking
		for range 2 {
			if _, err := a.Status(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
