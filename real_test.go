package latchkey_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"testing"

	"latchkey"
	"latchkey/internal/config"
	"latchkey/internal/node"
)

const elasticPassword = "elastic-password"

// realNode is a whole latchkey in this process, on a port and a folder of its own.
type realNode struct {
	address string
	stop    func() error
}

var toldAddress = regexp.MustCompile(`Listening on (\S+)\. `)

// startNode runs a node with the given settings ("name=value"). It knows elastic.
func startNode(settings ...string) (*realNode, error) {
	dir, err := os.MkdirTemp("", "latchkey-client-")
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(config.Sources{Dir: dir, Environ: []string{"ELASTIC_PASSWORD=" + elasticPassword}, Overrides: append([]string{
		"path.data=" + dir + "/data", "http.port=0", "xpack.security.authc.password_hashing.algorithm=bcrypt4"}, settings...)})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, told := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := node.Run(ctx, cfg, told, slog.New(slog.DiscardHandler))
		_ = told.CloseWithError(io.EOF)
		ended <- err
	}()
	stop := func() error {
		cancel()
		return errors.Join(<-ended, os.RemoveAll(dir))
	}
	var text []byte
	for buf := make([]byte, 1024); ; {
		n, err := out.Read(buf)
		text = append(text, buf[:n]...)
		if m := toldAddress.FindSubmatch(text); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the node
			return &realNode{string(m[1]), stop}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the node told no address, only %q: %w", text, errors.Join(err, stop()))
		}
	}
}

// shared is the node of the examples and of the tests that do not mind each other.
var shared struct {
	once sync.Once
	node *realNode
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.node != nil {
		if err := shared.node.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// newClient returns a client of the shared node that is elastic, the superuser.
func newClient(options ...latchkey.Option) *latchkey.Client {
	shared.once.Do(func() { shared.node, shared.err = startNode() })
	if shared.err != nil {
		panic(shared.err)
	}
	c, err := latchkey.New(shared.node.address,
		append([]latchkey.Option{latchkey.WithCredential(latchkey.Basic("elastic", elasticPassword))}, options...)...)
	if err != nil {
		panic(err)
	}
	return c
}
