package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is what a run of a load generator saw.
type load struct {
	perSecond float64
	p50, p99  time.Duration
	took      []time.Duration // of each request, in order of length
}

func newLoad(took []time.Duration, elapsed time.Duration) load {
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))] }
	return load{float64(len(took)) / elapsed.Seconds(), at(.5), at(.99), took}
}

// together returns several runs, one after the other, as one.
func together(runs []load) load {
	var took []time.Duration
	var elapsed float64
	for _, l := range runs {
		took = append(took, l.took...)
		elapsed += float64(len(l.took)) / l.perSecond
	}
	return newLoad(took, time.Duration(elapsed*float64(time.Second)))
}

func (l load) String() string {
	return fmt.Sprintf("%9.0f/s  p50 %8s  p99 %8s", l.perSecond, round(l.p50), round(l.p99))
}

func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(time.Microsecond)
	}
}

// drive sends requests over conns connections, each waiting for its answer
// before it sends the next, until the time is over, or, if n is not 0, n
// requests were sent. request returns the bytes of the i-th request, or nil to end. Every
// status but want is an error. The generator costs little: it writes bytes that
// are ready and reads no more of an answer than its length.
func drive(addr string, conns int, d time.Duration, n int64, want int, request func(i int64) []byte) (load, error) {
	return driveAll([]string{addr}, conns, d, n, want, request)
}

// driveAll is drive with the connections spread over several servers.
func driveAll(addrs []string, conns int, d time.Duration, n int64, want int, request func(i int64) []byte) (load, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	for i := range conns {
		wg.Go(func() {
			took, err := oneConnection(addrs[i%len(addrs)], start.Add(d), n, want, &next, request)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if failed != nil || len(all) == 0 {
		return load{}, fmt.Errorf("%d answers: %w", len(all), failed)
	}
	return newLoad(all, elapsed), nil
}

func oneConnection(addr string, end time.Time, n int64, want int, next *atomic.Int64, request func(int64) []byte) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	var took []time.Duration
	for {
		i := next.Add(1) - 1
		t := time.Now()
		if n > 0 && i >= n || n == 0 && t.After(end) {
			return took, nil
		}
		bytes := request(i)
		if bytes == nil {
			return took, nil
		}
		if _, err := conn.Write(bytes); err != nil {
			return took, err
		}
		status, body, err := answer(in, false)
		if err != nil {
			return took, err
		}
		if status != want {
			return took, fmt.Errorf("status %d, want %d: %s", status, want, body)
		}
		took = append(took, time.Since(t))
	}
}

// answer reads one answer; its body is returned if keep is set or the status is no success.
func answer(in *bufio.Reader, keep bool) (status int, body []byte, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("no status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, err
			}
		}
	}
	if length < 0 {
		return 0, nil, errors.New("an answer without its length")
	}
	if keep || status >= 300 {
		body = make([]byte, length)
		_, err = io.ReadFull(in, body)
		return status, body, err
	}
	_, err = in.Discard(length)
	return status, nil, err
}

// get is the bytes of a request without a body.
func get(path, authorization string) []byte { return call("GET", path, authorization, "") }

func call(method, path, authorization, body string) []byte {
	head := method + " " + path + " HTTP/1.1\r\nHost: bench\r\nAuthorization: " + authorization + "\r\n"
	if body != "" {
		head += "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return []byte(head + "\r\n" + body)
}

// client is one kept connection for single requests.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// do sends one request and returns the body of a success.
func (c *client) do(request []byte) ([]byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	status, body, err := answer(c.in, true)
	if err == nil && status >= 300 {
		err = fmt.Errorf("status %d: %s", status, body)
	}
	return body, err
}

// once is do on a connection of its own.
func once(addr string, request []byte) ([]byte, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	return c.do(request)
}
