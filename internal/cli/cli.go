// Package cli holds the subcommands. They read the settings, speak to the
// operator and leave the work to the node.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"latchkey/internal/config"
	"latchkey/internal/node"
	"latchkey/internal/secret"
	"latchkey/internal/user"
)

// terminal is what a command reads and writes.
type terminal struct {
	environ  []string
	in       io.Reader
	out, err io.Writer
}

// Run runs one command and returns the exit status: 0, or 1 with the reason on err.
func Run(args, environ []string, in io.Reader, out, err io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	t := &terminal{environ, in, out, err}
	if e := t.root().Run(ctx, args); e != nil {
		fmt.Fprintln(err, "latchkey:", e)
		return 1
	}
	return 0
}

func (t *terminal) root() *cli.Command {
	settings := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "the `folder` of latchkey.yml"},
		&cli.StringSliceFlag{Name: "E", Usage: "a setting as `name=value`; may be repeated", Config: cli.StringConfig{TrimSpace: false}},
	}
	return &cli.Command{
		Name:                      "latchkey",
		Usage:                     "issues, checks and invalidates API keys behind Elasticsearch's security API",
		Reader:                    t.in,
		Writer:                    t.out,
		ErrWriter:                 t.err,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(context.Context, *cli.Command, error) {}, // Run prints, and decides the status
		Commands: []*cli.Command{
			{Name: "serve", Usage: "run a node until it is interrupted", Flags: settings, Action: t.serve},
			{Name: "config", Usage: "print every setting with default, unit and effect", Action: func(context.Context, *cli.Command) error {
				return config.Describe(t.out)
			}},
			{Name: "reset-password", Usage: "set the password of a user, on a stopped or a running node", Action: t.resetPassword,
				Flags: append([]cli.Flag{
					&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Usage: "whose `name`", Required: true},
					&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "read the password from the input; else one is made and printed"},
					&cli.BoolFlag{Name: "silent", Aliases: []string{"s"}, Usage: "print nothing but the password that was made"},
				}, settings...)},
		},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return fmt.Errorf("there is no command [%s]; latchkey help lists them", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
}

func (t *terminal) load(c *cli.Command) (*config.Config, error) {
	if c.Args().Present() {
		return nil, fmt.Errorf("[%s] is not understood; a setting is written -E name=value", c.Args().First())
	}
	return config.Load(config.Sources{Dir: c.String("config"), Environ: t.environ, Overrides: c.StringSlice("E")})
}

func (t *terminal) serve(ctx context.Context, c *cli.Command) error {
	cfg, err := t.load(c)
	if err != nil {
		return err
	}
	return node.Run(ctx, cfg, t.out, t.logger(cfg.Log))
}

func (t *terminal) logger(l config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.JSON {
		return slog.New(slog.NewJSONHandler(t.err, o))
	}
	return slog.New(slog.NewTextHandler(t.err, o))
}

// resetPassword asks the running node first, since only a stopped one leaves its
// data folder to others.
func (t *terminal) resetPassword(ctx context.Context, c *cli.Command) error {
	cfg, err := t.load(c)
	if err != nil {
		return err
	}
	username, text := c.String("username"), secret.GeneratePassword()
	made := !c.Bool("interactive")
	if !made {
		if !c.Bool("silent") {
			fmt.Fprintf(t.err, "New password of %s: ", username)
		}
		if text, err = bufio.NewReader(t.in).ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the password: %w", err)
		}
		text = strings.TrimRight(text, "\r\n")
	}
	password, err := user.NewPassword(&text, nil)
	if err != nil {
		return err
	}
	err = node.SetPasswordOfRunning(ctx, cfg.DataDir, username, text)
	if errors.Is(err, node.ErrNotRunning) {
		err = node.SetPassword(ctx, cfg, username, password)
	}
	switch {
	case err != nil:
		return err
	case c.Bool("silent") && made:
		fmt.Fprintln(t.out, text)
	case made:
		fmt.Fprintf(t.out, "The password of %s is now: %s\n", username, text)
	case !c.Bool("silent"):
		fmt.Fprintf(t.out, "The password of %s is set.\n", username)
	}
	return nil
}
