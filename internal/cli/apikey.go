package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"latchkey"
)

// calls is one run of a command that speaks to a server.
type calls struct {
	*terminal
	c        *cli.Command
	client   *latchkey.Client
	inputFor string // what the input was read as; "" while it is free
}

// apiKeyCommand works with the API keys of a server, over HTTP.
func (t *terminal) apiKeyCommand() *cli.Command {
	sub := func(name, args, usage string, act func(context.Context, *calls) error, flags ...[]cli.Flag) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, ArgsUsage: args, Flags: slices.Concat(flags...), Action: func(ctx context.Context, c *cli.Command) error {
			return t.call(ctx, c, act)
		}}
	}
	return &cli.Command{
		Name: "api-key", Usage: "make, find, change and invalidate API keys of a server",
		HideHelpCommand: true,
		Flags:           connectionFlags(),
		Commands: []*cli.Command{
			sub("create", "", "make a key for the caller; its secret is printed once", createKey, naming(), rights(), describing()),
			sub("get", "[ID]", "print keys, by id or by who has them", getKeys, owners(), telling(), []cli.Flag{
				&cli.BoolFlag{Name: "owner", Usage: "only keys of the caller"}}),
			sub("query", "", "search keys, or count them", queryKeys, owners(), searching(), telling()),
			sub("expiring", "", "print the keys that expire soon, the next one first", expiringKeys, []cli.Flag{
				&cli.StringFlag{Name: "within", Usage: "a `duration`, as in 7d; else what the server is set to"}}),
			sub("update", "ID...", "change keys alike; what they keep of their owner's roles is renewed in every case", updateKeys, rights(), describing()),
			sub("rotate", "ID", "give a key a new secret, which is printed once", rotateKey, []cli.Flag{
				&cli.StringFlag{Name: "overlap", Value: "0", Usage: "how long the secret before stays good, as a `duration` such as 24h"}}),
			sub("end-overlap", "ID", "end the secret that the last rotation has replaced", endOverlap),
			sub("clone", "", "copy a key whose credential you hold", cloneKey, []cli.Flag{
				&cli.StringFlag{Name: "source-file", Required: true, Usage: "the `file` with the encoded credential to copy; - is the input"},
				&cli.BoolFlag{Name: "never", Usage: "the copy does not expire, whatever the source does"}}, naming(), describing()),
			sub("invalidate", "[ID...]", "end keys for good, after a look at them", invalidateKeys, owners(), choosing()),
			sub("invalidate-leaked", "[FILE]", "end every key and token whose secret stands in a text, such as a log", invalidateLeaked, []cli.Flag{
				&cli.BoolFlag{Name: "dry-run", Usage: "only tell what was found"}}),
			sub("create-cross-cluster", "", "make a key with which another cluster reaches this one", createCrossCluster, naming(), reach(), describing()),
			sub("update-cross-cluster", "ID", "change such a key", updateCrossCluster, reach(), describing()),
		},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return misused(c, fmt.Sprintf("there is no command [api-key %s]", c.Args().First()))
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// Flags that several commands have; each command needs its own.

func naming() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "name", Usage: "the `name` of the new key"}}
}

func rights() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "roles", Usage: "role descriptors by name that limit the key, as `JSON` or @FILE; {} is all that the owner may"}}
}

func reach() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "access", Usage: "what the other cluster may search and replicate, as `JSON` or @FILE"},
		&cli.StringFlag{Name: "certificate-identity", Usage: "a regular `expression` for the subject of its certificate; empty: any"},
	}
}

func describing() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "expiration", Usage: "a `duration` from now, as in 30d"},
		&cli.StringFlag{Name: "metadata", Usage: "an object, as `JSON` or @FILE"},
	}
}

func owners() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "keys of this `name`; a * at its end stands for any text"},
		&cli.StringFlag{Name: "username", Usage: "keys of the user `name`, in whatever realm"},
		&cli.StringFlag{Name: "realm", Usage: "keys of the users of the realm `name`, as default_native"},
	}
}

func telling() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "active", Usage: "only keys that are neither invalidated nor expired"},
		&cli.BoolFlag{Name: "last-used", Usage: "tell when each key was last used"},
		&cli.BoolFlag{Name: "limited-by", Usage: "tell what the owner's roles allow each key, in JSON and YAML"},
	}
}

// call runs one command. Its error is one line that fits into a terminal.
func (t *terminal) call(ctx context.Context, c *cli.Command, act func(context.Context, *calls) error) error {
	k := &calls{terminal: t, c: c}
	if err := k.checkArgs(); err != nil {
		return err
	}
	if o := c.String("output"); !slices.Contains(outputs, o) {
		return misused(c, fmt.Sprintf("[%s] is no form of output; there are %s", o, strings.Join(outputs, ", ")))
	}
	if err := k.connect(ctx); err != nil {
		return errors.New(said(err))
	}
	defer k.client.Close()
	if err := act(ctx, k); err != nil {
		return errors.New(said(err))
	}
	return nil
}

// checkArgs holds the arguments against what help says about them.
func (k *calls) checkArgs() error {
	args, form := k.c.Args(), k.c.ArgsUsage
	several := strings.Contains(form, "...")
	switch {
	case args.Len() > 0 && form == "":
		return misused(k.c, fmt.Sprintf("[%s] is not understood", args.First()))
	case args.Len() > 1 && !several:
		return misused(k.c, fmt.Sprintf("[%s] is not understood", args.Get(1)))
	case args.Len() == 0 && form != "" && form[0] != '[':
		return misused(k.c, "which key? Write its id")
	}
	return nil
}

// said is an error for people: the reason that the server gave, and where it helps
// what to do about it.
func said(err error) string {
	text := strings.TrimPrefix(err.Error(), "latchkey: ")
	if refused, ok := errors.AsType[*latchkey.Error](err); ok {
		if refused.Reason != "" {
			text = refused.Reason
		}
		switch refused.Status {
		case http.StatusUnauthorized:
			text += "; look at the credential, which is of --user, --api-key-file or --token-file, or of LATCHKEY_USERNAME, LATCHKEY_API_KEY or LATCHKEY_TOKEN"
		case http.StatusForbidden:
			text += "; for keys of your own manage_own_api_key is enough, and get and invalidate say --owner then"
		}
	}
	return harmless(strings.ReplaceAll(text, "\n", " "))
}

// open reports whether a call that failed may have been carried out.
func open(err error) bool {
	if lost, ok := errors.AsType[*latchkey.TransportError](err); ok {
		return lost.Sent
	}
	if left, ok := errors.AsType[*latchkey.InterruptedError](err); ok {
		return left.Sent
	}
	_, unread := errors.AsType[*latchkey.UnreadableError](err)
	return unread
}

// keys is a number of API keys.
func keys(n int) string {
	if n == 1 {
		return "1 API key"
	}
	return fmt.Sprintf("%d API keys", n)
}
