package pgtest

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Pair is a primary and a standby that follows it. Either can crash and come back
// by [Server.Kill] and [Server.Run]; the names tell what they were at the start.
type Pair struct {
	Primary, Standby *Server
	synchronous      bool
}

// StartPair starts a primary and a standby for one test. If it is synchronous, a
// commit is answered once both have it. The test is skipped, or fails, as by [URL].
func StartPair(t testing.TB, synchronous bool) *Pair {
	t.Helper()
	p := &Pair{synchronous: synchronous}
	for _, s := range []**Server{&p.Primary, &p.Standby} {
		var err error
		*s, err = newServer()
		needed(t, err)
		t.Cleanup((*s).Stop)
	}
	needed(t, p.start())
	return p
}

func (p *Pair) start() error {
	err := p.Primary.initialize()
	if err == nil { // nothing runs yet, so a copy will do
		err = errors.Join(
			p.Standby.command("cp", "-Rp", p.Primary.data(), p.Standby.data()),
			p.Standby.command("touch", filepath.Join(p.Standby.data(), "standby.signal")))
	}
	if err == nil {
		err = p.Primary.Run()
	}
	if err == nil && p.synchronous {
		err = p.Primary.set("synchronous_standby_names", "standby")
	}
	if err == nil {
		err = p.Standby.Run()
	}
	if err != nil {
		return err
	}
	return p.Connect()
}

// URL returns where the pair is, with more parameters. Who may write finds the
// one that takes writes, and the primary if both do.
func (p *Pair) URL(more url.Values) string {
	one, two := fmt.Sprintf("127.0.0.1:%d", p.Primary.Port), fmt.Sprintf("127.0.0.1:%d", p.Standby.Port)
	return strings.Replace(p.Primary.URL(more), one, one+","+two, 1)
}

// Connect has the standby follow the primary, and waits until it has all of it.
func (p *Pair) Connect() error {
	if err := p.Standby.set("primary_conninfo", fmt.Sprintf("host=127.0.0.1 port=%d user=latchkey application_name=standby", p.Primary.Port)); err != nil {
		return err
	}
	state := "async"
	if p.synchronous {
		state = "sync"
	}
	return p.Primary.until(`SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '` + state + `'`)
}

// CatchUp waits until the standby has on its disk what is committed on the primary.
func (p *Pair) CatchUp() error {
	end, err := p.Primary.Query(`SELECT pg_current_wal_flush_lsn()`)
	if err != nil {
		return err
	}
	return p.Primary.until(`SELECT count(*) > 0 FROM pg_stat_replication WHERE flush_lsn >= '` + end + `'`)
}

// Cut keeps the standby from following. Where it is synchronous, no commit ends.
func (p *Pair) Cut() error {
	if err := p.Standby.set("primary_conninfo", ""); err != nil {
		return err
	}
	return p.Standby.until(`SELECT count(*) = 0 FROM pg_stat_wal_receiver`)
}

// Promote has the standby take writes. The primary does not notice: if it runs,
// it goes on, though no commit of its ends where the standby was synchronous.
func (p *Pair) Promote() error {
	if _, err := p.Standby.Query(`SELECT pg_promote(false)`); err != nil { // whoever waits within the query holds it up
		return err
	}
	return p.Standby.until(`SELECT NOT pg_is_in_recovery()`)
}

// CancelCommits tells commits that wait for a standby to wait no longer, and
// returns how many did. They count on this server alone, and their sessions are
// told of success, with a warning.
func (s *Server) CancelCommits() (int, error) { return s.endWaits("pg_cancel_backend") }

// TerminateCommits ends the sessions whose commits wait for a standby, and returns
// how many did. They count on this server alone, and nobody is told.
func (s *Server) TerminateCommits() (int, error) { return s.endWaits("pg_terminate_backend") }

func (s *Server) endWaits(how string) (int, error) {
	n, err := s.Query(`SELECT count(*) FROM (SELECT ` + how + `(pid) AS told FROM pg_stat_activity WHERE wait_event = 'SyncRep') AS waiting WHERE told`)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(n)
}

// set changes a setting, from now on and for later runs.
func (s *Server) set(name, value string) error {
	_, err := s.Query(`ALTER SYSTEM SET ` + name + ` = '` + value + `'`)
	if err == nil {
		_, err = s.Query(`SELECT pg_reload_conf()`)
	}
	return err
}

// until waits until a query says that something is true.
func (s *Server) until(query string) error {
	for range 1200 {
		is, err := s.Query(query)
		if err != nil || is == "t" {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("it does not become true: %s", query)
}
