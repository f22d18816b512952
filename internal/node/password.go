package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	owners "os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"latchkey/internal/config"
	"latchkey/internal/user"
)

// ResetPassword sets the password of a user in the name of the operator. A node
// that runs on the data folder is asked to do it; else it is done here, and the
// folder must hold a store already.
func ResetPassword(ctx context.Context, cfg *config.Config, username, text string, log *slog.Logger) error {
	password, err := user.NewPassword(&text, nil)
	if err != nil {
		return err
	}
	// Only a stopped node leaves its folder to others, so the running one is asked first.
	err = setPasswordOfRunning(ctx, cfg.DataDir, username, text)
	if errors.Is(err, errNotRunning) {
		err = setPasswordOfStopped(ctx, cfg, username, password, log)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return notOurs(cfg.DataDir, err)
	case errors.Is(err, ErrInUse):
		return fmt.Errorf("the node that runs on the data folder [%s] cannot be asked: %w, and its socket [%s] is not available; its log says why. Stop the node and try again",
			absolute(cfg.DataDir), ErrInUse, absolute(controlPath(cfg.DataDir)))
	}
	return err
}

func setPasswordOfStopped(ctx context.Context, cfg *config.Config, username string, password user.Password, log *slog.Logger) (err error) {
	_, err = os.Stat(filepath.Join(cfg.DataDir, storeFile))
	switch {
	case !cfg.StoreURL.IsZero():
	case errors.Is(err, fs.ErrPermission):
		return err
	case err != nil:
		return fmt.Errorf("there is no store in [%s] yet: start latchkey once, or name the folder as for serve, with --config or -E path.data=FOLDER", absolute(cfg.DataDir))
	}
	folder, err := hold(cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.release()) }()
	if err := folder.guard(log); err != nil {
		return err
	}
	bare := *cfg
	bare.Kerberos, bare.Realms = config.Kerberos{}, nil // a keytab that is missing keeps nobody from setting a password
	r, err := open(ctx, &bare, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	leave, err := r.fleet.start(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return r.users.SetPassword(ctx, username, password)
}

// notOurs says whose data folder it is that this process may not enter.
func notOurs(dir string, err error) error {
	dir = absolute(dir)
	info, statErr := os.Stat(dir)
	if statErr != nil {
		return fmt.Errorf("the data folder [%s] cannot be reached: run this as the user who runs latchkey (%w)", dir, err)
	}
	owner := "another user"
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		owner = "#" + strconv.FormatUint(uint64(stat.Uid), 10)
		if u, err := owners.LookupId(owner[1:]); err == nil {
			owner = u.Username
		}
		owner = "another user, " + owner
	}
	return fmt.Errorf("the data folder [%s] belongs to %s: run this as the user who runs latchkey (%w)", dir, owner, err)
}
