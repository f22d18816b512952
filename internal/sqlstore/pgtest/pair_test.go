package pgtest

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestPair(t *testing.T) {
	for _, tt := range []struct {
		name        string
		synchronous bool
		does        func(*testing.T, *Pair)
	}{
		{"the standby has what was committed, also after a crash of either", true, func(t *testing.T, p *Pair) {
			for i, s := range []*Server{p.Primary, p.Standby} {
				s.Kill()
				try(t, s.Run())
				p.insert(t, "after a crash "+string('1'+rune(i)))
			}
			try(t, p.Promote())
			p.want(t, p.Standby, "after a crash 1", "after a crash 2", "start")
		}},
		{"commits wait for a standby that is cut off, until it is back", true, func(t *testing.T, p *Pair) {
			try(t, p.Cut())
			done := p.begin(t, "a")
			p.want(t, p.Primary, "start")
			try(t, p.Connect())
			try(t, <-done)
			p.want(t, p.Primary, "a", "start")
		}},
		{"commits whose wait is cancelled count on the primary alone", true, func(t *testing.T, p *Pair) {
			try(t, p.Cut())
			done := p.begin(t, "a")
			p.end(t, p.Primary.CancelCommits)
			try(t, <-done) // with a warning
			done = p.begin(t, "b")
			p.end(t, p.Primary.TerminateCommits)
			if err := <-done; err == nil {
				t.Error("a session that was ended was told of success")
			}
			p.want(t, p.Primary, "a", "b", "start")
			try(t, p.Promote())
			p.want(t, p.Standby, "start")
		}},
		{"both take writes after a failover, and the old primary ends no commit", true, func(t *testing.T, p *Pair) {
			try(t, p.Promote())
			done := p.begin(t, "old")
			p.Standby.Exec(t, `INSERT INTO notes VALUES ('new')`)
			p.want(t, p.Standby, "new", "start")
			p.Primary.Kill()
			if err := <-done; err == nil {
				t.Error("the old primary has committed")
			}
		}},
		{"an asynchronous standby misses what was committed while it was cut off", false, func(t *testing.T, p *Pair) {
			try(t, p.Cut())
			p.insert(t, "lost")
			try(t, p.Promote())
			p.want(t, p.Primary, "lost", "start")
			p.want(t, p.Standby, "start")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := StartPair(t, tt.synchronous)
			p.Primary.Exec(t, `CREATE TABLE notes (note text)`)
			p.insert(t, "start")
			try(t, p.Standby.until(`SELECT to_regclass('notes') IS NOT NULL`))
			try(t, p.Standby.until(`SELECT count(*) = 1 FROM notes`))
			tt.does(t, p)
		})
	}
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *Pair) insert(t *testing.T, note string) {
	t.Helper()
	p.Primary.Exec(t, `INSERT INTO notes VALUES ('`+note+`')`)
}

// begin inserts a note whose commit waits, and returns where its outcome will be.
func (p *Pair) begin(t *testing.T, note string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := p.Primary.Query(`INSERT INTO notes VALUES ('` + note + `')`)
		done <- err
	}()
	try(t, p.Primary.until(`SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`))
	return done
}

// end has the one commit that waits end.
func (p *Pair) end(t *testing.T, how func() (int, error)) {
	t.Helper()
	if n, err := how(); n != 1 || err != nil {
		t.Errorf("the waits of %d commits were ended (%v), want 1", n, err)
	}
}

func (p *Pair) want(t *testing.T, s *Server, notes ...string) {
	t.Helper()
	got, err := s.Query(`SELECT string_agg(note, ',' ORDER BY note COLLATE "C") FROM notes`)
	if want := strings.Join(notes, ","); err != nil || got != want {
		t.Errorf("there is %q, want %q: %v", got, want, err)
	}
}
