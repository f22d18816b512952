package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// history is what the clients of a fleet have seen, on one clock.
type history struct {
	start time.Time

	mu     sync.Mutex // guards what follows
	events []event
	silent []span // in which nothing can come about that may be acknowledged
	lossy  []span // in which the store may show what it then loses
}

// event is what became of one credential in one request.
type event struct {
	credential string
	act        act
	node       int
	strict     bool // it has asked for the newest state first
	began      time.Duration
	over       time.Duration
	outcome    outcome
	note       string // for people
}

type act int

const (
	presented act = iota
	ended
)

func (a act) String() string { return [...]string{"presented", "ended"}[a] }

// outcome is the answer to a request. Of what is unknown anything may be true,
// now or later.
type outcome int

const (
	unknown  outcome = iota // no answer, or none that says; also that a request was sent
	accepted                // the credential is good; or its end is acknowledged
	denied
)

func (o outcome) String() string { return [...]string{"unknown", "accepted", "denied"}[o] }

// span is a time of the history.
type span struct{ from, to time.Duration }

func newHistory() *history { return &history{start: time.Now()} }

func (h *history) now() time.Duration { return time.Since(h.start) }

func (h *history) add(e ...event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e...)
}

// wasSilent and wasLossy note spans that end now.
func (h *history) wasSilent(from time.Duration) { h.note(&h.silent, from) }

func (h *history) wasLossy(from time.Duration) { h.note(&h.lossy, from) }

func (h *history) note(spans *[]span, from time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*spans = append(*spans, span{from, h.now()})
}

// violation is an event that must not be, and why.
type violation struct {
	event
	why string
}

// check looks for what a fleet must not do:
//
//   - accept a credential in a request that began after an end of it was acknowledged;
//   - deny one in a request that was over before any end of it began;
//   - accept one in a strict request that began after another strict request was
//     denied, unless the store has lost why: with the two rules above that makes
//     each credential, for strict requests, a register that is linearizable;
//   - acknowledge an end that began and was over while nothing could be committed.
func (h *history) check() (found []violation) {
	type life struct{ begun, acknowledged, denied time.Duration }
	const never = time.Duration(1<<63 - 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	lives := map[string]*life{}
	for _, e := range h.events {
		l := lives[e.credential]
		if l == nil {
			l = &life{never, never, never}
			lives[e.credential] = l
		}
		switch {
		case e.act == ended:
			l.begun = min(l.begun, e.began)
			if e.outcome == accepted {
				l.acknowledged = min(l.acknowledged, e.over)
			}
		case e.strict && e.outcome == denied && !slices.ContainsFunc(h.lossy, func(s span) bool { return e.began < s.to && e.over > s.from }):
			l.denied = min(l.denied, e.over)
		}
	}
	for _, e := range h.events {
		l := lives[e.credential]
		switch {
		case e.act == presented && e.outcome == accepted && e.began > l.acknowledged:
			found = append(found, violation{e, "its end was acknowledged before"})
		case e.act == presented && e.outcome == accepted && e.strict && e.began > l.denied:
			found = append(found, violation{e, "a strict request was denied before"})
		case e.act == presented && e.outcome == denied && e.over < l.begun:
			found = append(found, violation{e, "nobody had tried to end it"})
		case e.act == ended && e.outcome == accepted && slices.ContainsFunc(h.silent, func(s span) bool { return e.began > s.from && e.over < s.to }):
			found = append(found, violation{e, "nothing could be committed"})
		}
	}
	return found
}

// forget drops all but the ends of those credentials that are still presented. It
// comes after a check.
func (h *history) forget(kept func(credential string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent, h.lossy = nil, nil
	h.events = slices.DeleteFunc(h.events, func(e event) bool {
		return e.act == presented || !kept(e.credential)
	})
}

// excerpt tells what happened to the credential of a violation: every end, and
// what was presented shortly before and after.
func (h *history) excerpt(v violation) string {
	h.mu.Lock()
	var about []event
	for _, e := range h.events {
		if e.credential == v.credential && (e.act == ended || e == v.event || e.over > v.began-3*time.Second && e.began < v.over+time.Second) {
			about = append(about, e)
		}
	}
	h.mu.Unlock()
	slices.SortStableFunc(about, func(a, b event) int { return cmp.Compare(a.began, b.began) })
	const most = 60
	if i := slices.Index(about, v.event); i > most/2 { // what is not shown of the beginning may hold ends
		early := slices.DeleteFunc(slices.Clone(about[:i-most/2]), func(e event) bool { return e.act != ended })
		about = append(early, about[i-most/2:]...)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s is wrong, as marked: %s\n", v.credential, v.why)
	for i, e := range about {
		if i == most {
			fmt.Fprintf(&text, "   and %d more\n", len(about)-most)
			break
		}
		mark, how := "  ", ""
		if e == v.event {
			mark = "> "
		}
		if e.strict {
			how = ", strictly,"
		}
		fmt.Fprintf(&text, "%s%10.4fs to %10.4fs  %s%s to node %d: %s %s\n", mark, e.began.Seconds(), e.over.Seconds(), e.act, how, e.node, e.outcome, e.note)
	}
	return text.String()
}

// Each history is good, or broken in one way.
func TestCheck(t *testing.T) {
	present := func(began, over time.Duration, o outcome) event {
		return event{credential: "k", act: presented, began: began, over: over, outcome: o}
	}
	strictly := func(e event) event {
		e.strict = true
		return e
	}
	end := func(began, over time.Duration, o outcome) event {
		return event{credential: "k", act: ended, began: began, over: over, outcome: o}
	}
	another := func(e event) event {
		e.credential = "another"
		return e
	}
	for _, tt := range []struct {
		name   string
		events []event
		silent []span
		lossy  []span
		want   string // "": all is well
	}{
		{"nothing has happened", nil, nil, nil, ""},
		{"one life", []event{present(1, 2, accepted), end(3, 5, accepted), present(6, 7, denied)}, nil, nil, ""},
		{"accepted after the end was acknowledged", []event{end(3, 5, accepted), present(6, 7, accepted)}, nil, nil, "its end was acknowledged before"},
		{"the order of notes does not matter", []event{present(6, 7, accepted), end(3, 5, accepted)}, nil, nil, "its end was acknowledged before"},
		{"accepted, having begun just before the acknowledgement", []event{end(3, 5, accepted), present(5, 9, accepted)}, nil, nil, ""},
		{"accepted while the end was under way, and denied, as nodes differ", []event{end(3, 5, accepted), present(3, 4, denied), present(4, 5, accepted)}, nil, nil, ""},
		{"accepted after an end of unknown outcome", []event{end(3, 5, unknown), present(6, 7, accepted), present(8, 9, denied)}, nil, nil, ""},
		{"the first of two acknowledgements counts", []event{end(3, 9, accepted), end(4, 5, accepted), present(6, 7, accepted)}, nil, nil, "its end was acknowledged before"},
		{"another credential", []event{end(3, 5, accepted), another(present(6, 7, accepted))}, nil, nil, ""},
		{"no answer after the end", []event{end(3, 5, accepted), present(6, 7, unknown)}, nil, nil, ""},
		{"denied, and nobody ended it", []event{present(1, 2, denied)}, nil, nil, "nobody had tried to end it"},
		{"denied before anybody began to end it", []event{present(1, 2, denied), end(3, 5, accepted)}, nil, nil, "nobody had tried to end it"},
		{"denied when another was ended", []event{another(end(1, 2, accepted)), present(3, 4, denied)}, nil, nil, "nobody had tried to end it"},
		{"denied as an end began", []event{present(1, 3, denied), end(3, 5, unknown)}, nil, nil, ""},
		{"accepted again after a denial", []event{end(1, 20, unknown), strictly(present(3, 4, denied)), present(5, 6, accepted)}, nil, nil, ""},
		{"accepted strictly after a denial that was not strict", []event{end(1, 20, unknown), present(3, 4, denied), strictly(present(5, 6, accepted))}, nil, nil, ""},
		{"accepted strictly after a strict denial", []event{end(1, 20, unknown), strictly(present(3, 4, denied)), strictly(present(5, 6, accepted))}, nil, nil, "a strict request was denied before"},
		{"accepted strictly when the store had lost what led to a strict denial", []event{end(1, 20, unknown), strictly(present(3, 4, denied)), strictly(present(5, 6, accepted))}, nil, []span{{2, 5}}, ""},
		{"accepted strictly after a denial from before the store lost something", []event{end(1, 20, unknown), strictly(present(2, 3, denied)), strictly(present(5, 6, accepted))}, nil, []span{{4, 6}}, "a strict request was denied before"},
		{"accepted after an acknowledgement, whatever the store has lost", []event{end(1, 3, accepted), present(5, 6, accepted)}, nil, []span{{2, 5}}, "its end was acknowledged before"},
		{"accepted strictly beside a strict denial", []event{end(1, 20, unknown), strictly(present(3, 6, denied)), strictly(present(5, 7, accepted))}, nil, nil, ""},
		{"acknowledged while nothing could be committed", []event{end(3, 5, accepted)}, []span{{2, 6}}, nil, "nothing could be committed"},
		{"acknowledged for what may have been committed before", []event{end(1, 5, accepted), end(3, 7, accepted), end(3, 5, unknown)}, []span{{2, 6}}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &history{events: tt.events, silent: tt.silent, lossy: tt.lossy}
			got := ""
			for _, v := range h.check() {
				got = v.why
				if !strings.Contains(h.excerpt(v), "\n> ") {
					t.Errorf("the excerpt does not show the violation: %s", h.excerpt(v))
				}
			}
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
			h.forget(func(string) bool { return true })
			h.add(present(100, 101, accepted))
			acknowledged := slices.ContainsFunc(tt.events, func(e event) bool { return e.credential == "k" && e.act == ended && e.outcome == accepted })
			if found := len(h.check()) > 0; found != acknowledged {
				t.Errorf("after it has forgotten what it may, accepting is found wrong: %t, want %t", found, acknowledged)
			}
		})
	}
}
