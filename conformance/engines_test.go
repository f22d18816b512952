package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// engine is what servers keep their data in.
type engine struct {
	name   string
	store  func() (settings []string, err error) // of an empty store
	shared *server
}

var engines []*engine

// onEach runs a test on each engine, at the same time. The engine is the second
// part of the name of every test within.
func onEach(t *testing.T, test func(t *testing.T)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// engineOf returns the engine that a test is to be run on.
func engineOf(t *testing.T) *engine {
	t.Helper()
	for _, e := range engines {
		if names := strings.Split(t.Name(), "/"); len(names) > 1 && names[1] == e.name {
			return e
		}
	}
	t.Fatalf("%s is not run by onEach", t.Name())
	return nil
}

// shared returns the server that all tests of an engine use but those that need
// settings of their own. They keep out of each other's way by the names they choose.
func shared(t *testing.T) *server {
	t.Helper()
	return engineOf(t).shared
}

// postgres is a running LATCHKEY_POSTGRES, which says where an empty store is for
// each line that it reads, and ends with its input.
type postgres struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startPostgres() (*postgres, error) {
	p := &postgres{cmd: exec.Command(os.Getenv("LATCHKEY_POSTGRES"))}
	p.cmd.Stderr = os.Stderr
	in, errIn := p.cmd.StdinPipe()
	out, errOut := p.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	p.in, p.lines = in, bufio.NewScanner(out)
	return p, p.cmd.Start()
}

func (p *postgres) store() (settings []string, err error) {
	if _, err := fmt.Fprintln(p.in); err != nil {
		return nil, err
	}
	if !p.lines.Scan() {
		return nil, errors.New("PostgreSQL was not started")
	}
	return []string{"latchkey.store.url=" + p.lines.Text()}, nil
}

func (p *postgres) stop() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}
