package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/fault"
	"latchkey/internal/user"
)

// control is the way in for the operator of a running node: a Unix socket in
// the data folder that its owner alone may open. Whoever can open it could read
// the store as well, so it asks for no credential.
type control struct {
	path     string
	listener net.Listener // nil if the socket could not be opened
	users    *user.Service
	reread   func() // reads the files of users and roles, if they have changed
	log      *slog.Logger
}

// openControl opens the socket. Failing that costs a warning: the node does its
// work without it. The caller calls serve, which closes it.
func openControl(dir string, users *user.Service, reread func(), log *slog.Logger) *control {
	c := &control{path: controlPath(dir), users: users, reread: reread, log: log}
	var err error
	if c.listener, err = c.listen(); err != nil {
		log.Warn("latchkey reset-password will need the node to be stopped: its socket cannot be opened", "err", err)
	}
	return c
}

func controlPath(dir string) string { return filepath.Join(dir, "control.sock") }

// passwordRequest asks for a new password of a user.
type passwordRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// serve answers on the socket until ctx ends.
func (c *control) serve(ctx context.Context) error {
	if c.listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /password", c.setPassword)
	mux.HandleFunc("POST /files", func(http.ResponseWriter, *http.Request) { c.reread() })
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // ends Serve, whose error is looked at below
	defer stop()
	if err := server.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the control socket: %w", err)
	}
	return nil
}

func (c *control) listen() (net.Listener, error) {
	// Only a holder of the folder comes here, so what is left of a socket belongs to a process that died.
	if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", c.path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(c.path, 0o600); err != nil { // the folder is closed to others all along
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (c *control) setPassword(w http.ResponseWriter, r *http.Request) {
	var req passwordRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&req); err != nil {
		http.Error(w, "the request is not understood", http.StatusBadRequest)
		return
	}
	password, err := user.NewPassword(&req.Password, nil)
	if err == nil {
		err = c.users.SetPassword(r.Context(), req.Username, password)
	}
	if err != nil {
		reason := "internal error; the cause is in the log of the node"
		if f, ok := errors.AsType[*fault.Error](err); ok {
			reason = f.Reason
		} else {
			c.log.Error("reset of a password failed", "username", req.Username, "err", err)
		}
		http.Error(w, reason, http.StatusUnprocessableEntity)
		return
	}
	c.log.Info("the password was reset by the operator", "username", req.Username)
}

// errNotRunning says that no node answers on the socket of a data folder.
var errNotRunning = errors.New("no node runs on this data folder")

// setPasswordOfRunning sets the password of a user on the node that runs on the
// given data folder; [errNotRunning] if none does.
func setPasswordOfRunning(ctx context.Context, dir, username, password string) error {
	body, err := json.Marshal(passwordRequest{username, password})
	if err != nil {
		return err
	}
	return askRunning(ctx, dir, "password", body)
}

// RereadFiles has the node that runs on the data folder, if one does, read the
// files of users and roles. Without it the node does so within seconds.
func RereadFiles(ctx context.Context, cfg *config.Config) error {
	err := askRunning(ctx, cfg.DataDir, "files", nil)
	if errors.Is(err, errNotRunning) {
		return nil
	}
	return err
}

// askRunning sends a request to the node that runs on the given data folder.
func askRunning(ctx context.Context, dir, what string, body []byte) error {
	path := controlPath(dir)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED),
		errors.Is(err, syscall.EINVAL): // the path is too long for a socket, so there is none
		return errNotRunning
	case err != nil:
		return fmt.Errorf("speak to the running node: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	reason, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	return errors.Join(errors.New(string(bytes.TrimSpace(reason))), err)
}
