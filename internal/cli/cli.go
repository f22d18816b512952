// Package cli holds the subcommands. They read the settings, speak to the
// operator and leave the work to the node.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"latchkey/internal/config"
	"latchkey/internal/node"
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
	if e := t.root().Run(ctx, apart(args)); e != nil {
		fmt.Fprintln(err, "latchkey:", e)
		return 1
	}
	return 0
}

// apart separates -E from a setting that is written right behind it, as people
// do for Elasticsearch: -Ehttp.port=9200.
func apart(args []string) []string {
	var all []string
	for i, arg := range args {
		if arg == "--" {
			return append(all, args[i:]...)
		}
		setting, ok := strings.CutPrefix(arg, "-E")
		if ok && setting != "" && setting[0] != '=' {
			all = append(all, "-E", setting)
		} else {
			all = append(all, arg)
		}
	}
	return all
}

func (t *terminal) root() *cli.Command {
	settings := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "the `folder` of latchkey.yml"},
		&cli.StringSliceFlag{Name: "E", Usage: "a setting as `name=value`; may be repeated", Config: cli.StringConfig{TrimSpace: false}},
	}
	root := &cli.Command{
		Name:            "latchkey",
		Usage:           "issues, checks and invalidates API keys behind Elasticsearch's security API",
		Version:         node.Version(),
		Reader:          t.in,
		Writer:          t.out,
		ErrWriter:       t.err,
		HideHelpCommand: true,                                          // ours complains in our words
		ExitErrHandler:  func(context.Context, *cli.Command, error) {}, // Run prints, and decides the status
		Commands: []*cli.Command{
			{Name: "serve", Usage: "run a node until it is interrupted", Flags: settings, Action: t.serve},
			{Name: "config", Usage: "print every setting with default, unit and effect", Action: func(_ context.Context, c *cli.Command) error {
				if c.Args().Present() {
					return fmt.Errorf("[%s] is not understood; config takes no arguments", c.Args().First())
				}
				return config.Describe(t.out)
			}},
			{Name: "reset-password", Usage: "set the password of a user, on a stopped or a running node", Action: t.resetPassword,
				Flags: append([]cli.Flag{
					&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Usage: "whose `name`; elastic is the first user"},
					&cli.BoolFlag{Name: "interactive", Aliases: []string{"i"}, Usage: "read the password from the terminal or the input; else one is made and printed"},
					&cli.BoolFlag{Name: "silent", Aliases: []string{"s"}, Usage: "print nothing but the password that was made"},
				}, settings...)},
			t.usersCommand(settings),
			t.apiKeyCommand(),
			{Name: "version", Usage: "print what this binary was built from", Action: func(_ context.Context, c *cli.Command) error {
				if c.Args().Present() {
					return fmt.Errorf("[%s] is not understood; version takes no arguments", c.Args().First())
				}
				cli.ShowVersion(c.Root())
				return nil
			}},
			{Name: "help", Usage: "print the commands, or the flags of one", ArgsUsage: "[command]", Action: help},
		},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return noCommand(c.Args().First())
			}
			return cli.ShowRootCommandHelp(c)
		},
	}
	root.Commands = slices.Insert(root.Commands, len(root.Commands)-1, t.storeCommands(settings)...) // help is the last one
	all := append(root.Commands, root)
	for _, c := range root.Commands {
		all = append(all, c.Commands...)
	}
	for _, c := range all { // no command has these from its parent
		c.DisableSliceFlagSeparator = true // a comma belongs to the value
		c.OnUsageError = func(_ context.Context, c *cli.Command, err error, _ bool) error { return misused(c, err.Error()) }
	}
	return root
}

// help prints what there is to know of the command that its arguments name.
func help(ctx context.Context, c *cli.Command) error {
	if !c.Args().Present() {
		return cli.ShowRootCommandHelp(c)
	}
	above, at := c.Root(), c.Root()
	for _, name := range c.Args().Slice() {
		above, at = at, at.Command(name)
		if at == nil {
			return noCommand(strings.Join(c.Args().Slice(), " "))
		}
	}
	return cli.ShowCommandHelp(ctx, above, at.Name)
}

// misused is the complaint about a command line, on one line.
func misused(c *cli.Command, what string) error {
	if c == c.Root() {
		return fmt.Errorf("%s; latchkey help lists the commands", what)
	}
	return fmt.Errorf("%s; latchkey help %s lists the flags", what, strings.TrimPrefix(c.FullName(), "latchkey "))
}

func noCommand(name string) error {
	return fmt.Errorf("there is no command [%s]; latchkey help lists them", name)
}

func (t *terminal) load(c *cli.Command) (*config.Config, error) {
	if c.Args().Present() {
		return nil, misused(c, fmt.Sprintf("[%s] is not understood; a setting is written -E name=value", c.Args().First()))
	}
	return t.settings(c)
}

func (t *terminal) settings(c *cli.Command) (*config.Config, error) {
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
