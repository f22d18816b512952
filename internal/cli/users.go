package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"latchkey/internal/config"
	"latchkey/internal/file"
	"latchkey/internal/node"
	"latchkey/internal/secret"
	"latchkey/internal/user"
)

// usersCommand edits the users of the file realm.
func (t *terminal) usersCommand(settings []cli.Flag) *cli.Command {
	password := &cli.StringFlag{Name: "password", Aliases: []string{"p"}, Usage: "the `password`; without it, it is read from the terminal or the input"}
	edit := func(name, args, usage string, act func(ctx context.Context, e edit) error, flags ...cli.Flag) *cli.Command {
		return &cli.Command{Name: name, Usage: usage, ArgsUsage: args, Flags: append(flags, settings...), Action: func(ctx context.Context, c *cli.Command) error {
			return t.editUsers(ctx, c, act)
		}}
	}
	return &cli.Command{
		Name: "users", Usage: "edit the users in the files users and users_roles",
		HideHelpCommand: true,
		Commands: []*cli.Command{
			edit("useradd", "NAME", "add a user", t.addUser, password,
				&cli.StringFlag{Name: "roles", Aliases: []string{"r"}, Usage: "`roles` of the user, with commas between them"}),
			edit("passwd", "NAME", "change the password of a user", t.changePassword, password),
			edit("roles", "NAME", "show or change the roles of a user", t.changeRoles,
				&cli.StringFlag{Name: "add", Aliases: []string{"a"}, Usage: "`roles` that the user gets, with commas between them"},
				&cli.StringFlag{Name: "remove", Aliases: []string{"r"}, Usage: "`roles` that the user loses"}),
			edit("userdel", "NAME", "delete a user", t.deleteUser),
			edit("list", "[NAME]", "print the users and their roles", t.listUsers),
		},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return misused(c, fmt.Sprintf("there is no command [users %s]", c.Args().First()))
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// edit is one run of such a command.
type edit struct {
	c     *cli.Command
	cfg   *config.Config
	files file.Files
	name  string // of the user; "" if list has none
}

// editUsers runs a command, and has a running node take the change over.
func (t *terminal) editUsers(ctx context.Context, c *cli.Command, act func(context.Context, edit) error) error {
	e := edit{c: c, name: c.Args().First()}
	switch {
	case c.Args().Len() > 1:
		return misused(c, fmt.Sprintf("[%s] is not understood; write flags before the name", c.Args().Get(1)))
	case e.name == "" && c.Name != "list":
		return misused(c, "which user? Write the name behind the flags")
	}
	var err error
	if e.cfg, err = t.settings(c); err != nil {
		return err
	}
	e.files = file.Files{Dir: e.cfg.Dir, Reserved: func(name string) bool { return e.cfg.Reserved.Enabled && user.IsBuiltIn(name) }}
	if err := act(ctx, e); err != nil || c.Name == "list" {
		return err
	}
	if err := node.RereadFiles(ctx, e.cfg); err != nil {
		fmt.Fprintf(t.err, "The running node could not be told; it reads the files within seconds: %v\n", err)
	}
	return nil
}

// hash asks for the password where the command line has none.
func (t *terminal) hash(ctx context.Context, e edit) (string, error) {
	text := e.c.String("password")
	if !e.c.IsSet("password") {
		var err error
		if text, err = t.askPassword(ctx, e.name); err != nil {
			return "", err
		}
	}
	if _, err := user.NewPassword(&text, nil); err != nil {
		return "", err
	}
	hasher, err := secret.NewHasher(e.cfg.PasswordHashing)
	if err != nil {
		return "", err
	}
	return hasher.Hash(ctx, text)
}

func (t *terminal) addUser(ctx context.Context, e edit) error {
	hash, err := t.hash(ctx, e)
	if err != nil {
		return err
	}
	return e.files.Add(e.name, hash, rolesOf(e.c.String("roles")))
}

func (t *terminal) changePassword(ctx context.Context, e edit) error {
	hash, err := t.hash(ctx, e)
	if err != nil {
		return err
	}
	return e.files.SetHash(e.name, hash)
}

func (t *terminal) deleteUser(_ context.Context, e edit) error { return e.files.Remove(e.name) }

func (t *terminal) changeRoles(ctx context.Context, e edit) error {
	add, remove := rolesOf(e.c.String("add")), rolesOf(e.c.String("remove"))
	if len(add) == 0 && len(remove) == 0 {
		return t.listUsers(ctx, e)
	}
	for _, r := range add {
		if slices.Contains(remove, r) {
			return misused(e.c, fmt.Sprintf("the role [%s] cannot be added and removed at once", r))
		}
	}
	return e.files.ChangeRoles(e.name, add, remove)
}

func (t *terminal) listUsers(_ context.Context, e edit) error {
	all, err := e.files.List()
	if err != nil {
		return err
	}
	if e.name != "" {
		all = slices.DeleteFunc(all, func(u file.Entry) bool { return u.Username != e.name })
		if len(all) == 0 {
			return fmt.Errorf("there is no user [%s] in the file", e.name)
		}
	}
	for _, u := range all {
		roles := strings.Join(u.Roles, ",")
		if roles == "" {
			roles = "-"
		}
		fmt.Fprintf(t.out, "%-15s: %s\n", u.Username, roles)
	}
	return nil
}

func rolesOf(list string) []string {
	var roles []string
	for r := range strings.SplitSeq(list, ",") {
		if r = strings.TrimSpace(r); r != "" && !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	return roles
}
