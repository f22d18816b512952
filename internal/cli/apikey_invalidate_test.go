package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// keyServer stands for a server with more keys than a test could make. It tells of
// previews in turn, and invalidates what it is asked to.
type keyServer struct {
	*httptest.Server
	before func(call int) (status int) // before the answer to each invalidation

	mu       sync.Mutex
	previews [][]string
	batches  [][]string
}

func newKeyServer(t *testing.T, before func(call int) int, previews ...int) *keyServer {
	s := &keyServer{before: before}
	for i, n := range previews {
		ids := []string{}
		for j := range n {
			ids = append(ids, fmt.Sprintf("key-%d-%d", i, j))
		}
		s.previews = append(s.previews, ids)
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *keyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-elastic-product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	var body struct {
		IDs []string `json:"ids"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodPost {
		fmt.Fprint(w, `{"total":1,"count":1,"api_keys":[{"id":"key-0-0","name":"first","metadata":{}}]}`)
		return
	}
	s.mu.Lock()
	var ids []string
	if r.URL.Query().Has("dry_run") {
		ids, s.previews = s.previews[0], s.previews[1:]
		s.mu.Unlock()
	} else {
		ids = body.IDs
		s.batches = append(s.batches, ids)
		call := len(s.batches)
		s.mu.Unlock()
		if status := s.before(call); status != http.StatusOK {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"type":"x","reason":"not now\u001b"},"status":%d}`, status)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"invalidated_api_keys": ids, "previously_invalidated_api_keys": []string{}, "error_count": 0})
}

func TestInvalidationInBatches(t *testing.T) {
	good := func(int) int { return http.StatusOK }
	tests := []struct {
		name     string
		previews []int // how many keys match, call by call
		before   func(int) int
		args     string
		batches  []int
		code     int
		out      string // part of it
		wrong    string // the whole of it
	}{
		{"all of them", []int{2500, 0}, good, "--name x", []int{1000, 1000, 500}, 0, "invalidated  2500", ""},
		{"as many as fit into one call", []int{1000, 0}, good, "--name x", []int{1000}, 0, "invalidated  1000", ""},
		{"by ids, which does not look again", []int{2}, good, "a b", []int{2}, 0, "invalidated  2", ""},
		{"a key that was made meanwhile", []int{3, 1}, good, "--username x", []int{3}, 1, "invalidated  3", "latchkey: meanwhile 1 API key came to match: run the command again\n"},
		{"a failure on the way", []int{2500}, func(call int) int {
			if call == 2 {
				return http.StatusBadRequest
			}
			return http.StatusOK
		}, "--realm x", []int{1000, 1000}, 1, "invalidated  1000",
			"latchkey: not now\\u001b; of 2500 API keys, 1000 are surely invalidated: the same command goes on with the others\n"},
		{"a look", []int{2500}, good, "--name x --dry-run", nil, 0, "... and 2490 more\nRESULT                KEYS\nwould be invalidated  2500", ""},
	}
	for _, tt := range tests {
		s := newKeyServer(t, tt.before, tt.previews...)
		code, out, complaints := runKeys(asElastic(s.URL), "", append([]string{"invalidate", "--yes"}, strings.Fields(tt.args)...)...)
		var batches []int
		for _, b := range s.batches {
			batches = append(batches, len(b))
		}
		if code != tt.code || !strings.Contains(out, tt.out) || complaints != tt.wrong || fmt.Sprint(batches) != fmt.Sprint(tt.batches) || len(s.previews) != 0 {
			t.Errorf("%s: got %d, %q, %q and calls with %v keys; want %d, %q, %q and %v", tt.name, code, out, complaints, batches, tt.code, tt.out, tt.wrong, tt.batches)
		}
	}
}

func TestInvalidationThatIsInterrupted(t *testing.T) {
	started := make(chan struct{})
	cmd := process(t, "api-key", "invalidate", "--yes", "--name", "x")
	complaints := &output{want: "Interrupted: this stops after the call that is under way.", found: make(chan struct{})}
	s := newKeyServer(t, func(call int) int {
		if call == 2 {
			<-started
			_ = cmd.Process.Signal(syscall.SIGINT) // that it came is seen by what it says
			<-complaints.found
		}
		return http.StatusOK
	}, 2500)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, complaints
	cmd.Env = append(cmd.Env, asElastic(s.URL)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	const want = "latchkey: interrupted; of 2500 API keys, 2000 are surely invalidated: the same command goes on with the others\n"
	if err == nil || !strings.Contains(out.String(), "invalidated  2000") || !strings.HasSuffix(complaints.text.String(), want) || len(s.batches) != 2 {
		t.Errorf("got %v, %q, %q and %d calls; want a failure, 2000 keys, %q and 2 calls", err, &out, &complaints.text, len(s.batches), want)
	}
}
