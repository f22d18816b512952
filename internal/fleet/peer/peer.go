// Package peer carries the fleet's records from node to node over HTTP. Both sides
// prove that they know the secret that the nodes of a fleet share: the request
// with a MAC over itself, the answer with one over itself and the request, so that
// no old answer can be given to a new request. A request that is sent again does no
// harm, since a record is applied once. What records say is not hidden: that is for
// TLS, which the client and the listener bring along.
package peer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"latchkey/internal/fleet"
	"latchkey/internal/secret"
)

// Path is where nodes take records.
const Path = "/_latchkey/records"

const (
	nonceHeader = "X-Latchkey-Nonce"
	macHeader   = "X-Latchkey-Mac"

	maxMessage = 8 << 20 // bytes; what does not fit is read from the log
	maxAnswer  = 4 << 10
	timeout    = 2 * time.Second // of a push; by then the row may say as much
)

// Client pushes records. It is a [fleet.Peers].
type Client struct {
	secret secret.Secret
	client *http.Client
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	pushes sync.WaitGroup
}

// NewClient returns a client that proves itself with the shared secret, and speaks
// through client, which brings the TLS that the fleet uses.
func NewClient(shared secret.Secret, client *http.Client) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	return &Client{secret: shared, client: client, ctx: ctx, cancel: cancel}
}

// Push sends records to the node whose base URL addr is.
func (c *Client) Push(addr string, p fleet.Push, done func(fleet.Ack, error)) {
	c.pushes.Go(func() { done(c.push(addr, p)) })
}

// Close breaks off what is under way, and returns when it has ended. Nothing may
// be pushed any more.
func (c *Client) Close() {
	c.cancel()
	c.pushes.Wait()
}

func (c *Client) push(addr string, p fleet.Push) (a fleet.Ack, err error) {
	body, err := json.Marshal(p)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addr+Path, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	nonce := rand.Text()
	mac := c.mac("request", nonce, body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(nonceHeader, nonce)
	req.Header.Set(macHeader, base64.StdEncoding.EncodeToString(mac))
	resp, err := c.client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return a, fmt.Errorf("the peer at %s has another latchkey.fleet.secret, or none", addr)
	}
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("the peer at %s answers %d", addr, resp.StatusCode)
	}
	if !matches(resp.Header.Get(macHeader), c.mac("answer", string(mac), answer)) {
		return a, fmt.Errorf("the peer at %s does not know the secret of the fleet", addr)
	}
	err = json.Unmarshal(answer, &a)
	return a, err
}

func (c *Client) mac(what, nonce string, body []byte) []byte { return mac(c.secret, what, nonce, body) }

// mac binds a body to what it is and to what it belongs to.
func mac(shared secret.Secret, what, nonce string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(shared.Reveal()))
	fmt.Fprintf(h, "%s %s %s %d:%s %d:", what, http.MethodPost, Path, len(nonce), nonce, len(body)) // a hash takes everything
	h.Write(body)
	return h.Sum(nil)
}

// matches compares in constant time.
func matches(text string, want []byte) bool {
	got, err := base64.StdEncoding.DecodeString(text)
	return err == nil && hmac.Equal(got, want)
}

// Receiver is who takes records: a [fleet.Node].
type Receiver interface {
	Receive(p fleet.Push) fleet.Ack
}

// Handler returns what serves [Path]. It refuses, before it looks at a body, who
// names no MAC, and before it understands one, who does not know the secret.
func Handler(shared secret.Secret, node Receiver) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nonce, proof := r.Header.Get(nonceHeader), r.Header.Get(macHeader)
		switch {
		case r.URL.Path != Path:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "records are sent with POST", http.StatusMethodNotAllowed)
			return
		case nonce == "" || proof == "":
			refuse(w)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil {
			status := http.StatusBadRequest
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the body cannot be read", status)
			return
		}
		asked := mac(shared, "request", nonce, body)
		if !matches(proof, asked) {
			refuse(w)
			return
		}
		var p fleet.Push
		if err := json.Unmarshal(body, &p); err != nil {
			http.Error(w, "the body is not understood", http.StatusBadRequest)
			return
		}
		answer, err := json.Marshal(node.Receive(p))
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(macHeader, base64.StdEncoding.EncodeToString(mac(shared, "answer", string(asked), answer)))
		_, _ = w.Write(answer) // who does not get it asks again
	})
}

func refuse(w http.ResponseWriter) {
	http.Error(w, "only nodes of this fleet may send records", http.StatusUnauthorized)
}
