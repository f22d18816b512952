package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"latchkey/internal/config"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/user"
)

// settleElastic decides which password of elastic counts from this start on,
// before anybody can ask for it: the one that was set; else the one of the
// configuration; else the one that an earlier start made, or this one makes and
// shows on out.
//
// A configuration that gives a password ends one that was made for good.
// Otherwise it would come back, unasked and perhaps long known to others, with
// the first start that lacks the variable.
func settleElastic(ctx context.Context, cfg config.Reserved, r *rooms, out io.Writer, log *slog.Logger) error {
	if !cfg.Enabled {
		return nil
	}
	if cfg.BootstrapPassword.IsZero() && cfg.PasswordHash.IsZero() {
		made, err := r.users.Bootstrap(ctx)
		if err == nil && !made.IsZero() {
			fmt.Fprintf(out, "The password of elastic was made and is shown this once:\n\n  export ELASTIC_PASSWORD=%s\n\n", made.Reveal())
		}
		return err
	}
	state, err := r.db.ReservedUser(ctx, user.Elastic)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil
	case err != nil:
		return err
	case state.Generated:
		log.Info("the password of elastic that an earlier start made is gone for good: the one of the configuration counts")
		return r.db.SetReservedUserPassword(ctx, user.Elastic, "") // no password: nobody logs in by it
	case state.Hash != "" && !cfg.BootstrapPassword.IsZero():
		same, err := secret.Verify(ctx, state.Hash, cfg.BootstrapPassword.Reveal())
		if err == nil && !same {
			log.Warn("ELASTIC_PASSWORD (bootstrap.password) has no effect, and the password of elastic is another: one was set through the API or by reset-password, and that one counts")
		}
		return err
	}
	return nil
}
