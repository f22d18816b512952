package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"latchkey/internal/node"
)

func (t *terminal) storeCommands(settings []cli.Flag) []*cli.Command {
	return []*cli.Command{
		{Name: "migrate", Usage: "bring the schema of the store up to date, and start nothing", Flags: settings, Action: t.migrate},
		{Name: "copy", Usage: "put a store into another, empty one, or go on with that; the nodes of both are stopped", Action: t.copyStore,
			Flags: append([]cli.Flag{
				&cli.StringFlag{Name: "from", Usage: "the `store`, as sqlite:PATH or postgres://...; else the file in the data folder"},
				&cli.StringFlag{Name: "to", Usage: "the empty `store`, likewise; else that of latchkey.store.url"},
			}, settings...)},
	}
}

func (t *terminal) migrate(ctx context.Context, c *cli.Command) error {
	cfg, err := t.load(c)
	if err != nil {
		return err
	}
	if err := node.Migrate(ctx, cfg, t.logger(cfg.Log)); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "The schema of the store is up to date.")
	return nil
}

func (t *terminal) copyStore(ctx context.Context, c *cli.Command) error {
	cfg, err := t.load(c)
	if err != nil {
		return err
	}
	var last time.Time
	ended := ""
	told := func(table string, done, all int64) {
		now := time.Now()
		if done == all && ended != table || done < all && now.Sub(last) > time.Second { // of the steps between, one a second
			last = now
			fmt.Fprintf(t.out, "%s: %d of %d rows\n", table, done, all)
		}
		if done == all {
			ended = table
		}
	}
	err = node.Copy(ctx, cfg, c.String("from"), c.String("to"), told, t.logger(cfg.Log))
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted; the same command goes on with the copy")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out, "The copy is whole: both stores were compared.")
	return nil
}
