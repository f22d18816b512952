package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"latchkey/internal/node"
	"latchkey/internal/secret"
	"latchkey/internal/user"
)

func (t *terminal) resetPassword(ctx context.Context, c *cli.Command) error {
	cfg, err := t.load(c)
	if err != nil {
		return err
	}
	username, password := c.String("username"), secret.GeneratePassword()
	if username == "" {
		return misused(c, "whose password? Write -u NAME")
	}
	made, silent := !c.Bool("interactive"), c.Bool("silent")
	if !made {
		if password, err = t.askPassword(ctx, username); err != nil {
			return err
		}
	}
	if err := node.ResetPassword(ctx, cfg, username, password, t.logger(cfg.Log)); err != nil {
		return err
	}
	switch {
	case silent && made:
		fmt.Fprintln(t.out, password)
	case made && username == user.Elastic:
		fmt.Fprintf(t.out, "The password of elastic is now:\n\n  export ELASTIC_PASSWORD=%s\n\n", password)
	case made:
		fmt.Fprintf(t.out, "The password of %s is now: %s\n", username, password)
	case !silent:
		fmt.Fprintf(t.out, "The password of %s is set.\n", username)
	}
	return nil
}

var errInterrupted = errors.New("interrupted; nothing was changed")

// askPassword reads a password: twice from a terminal, which does not show it,
// and else the first line of the input.
func (t *terminal) askPassword(ctx context.Context, username string) (string, error) {
	keyboard, ok := screen(t.in)
	if !ok {
		return interruptible(ctx, func() (string, error) {
			line, err := bufio.NewReader(t.in).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return "", fmt.Errorf("read the password: %w", err)
			}
			return strings.TrimRight(line, "\r\n"), nil
		})
	}
	first, err := t.askHidden(ctx, keyboard, "New password of "+username+": ")
	if err != nil {
		return "", err
	}
	if _, err := user.NewPassword(&first, nil); err != nil { // before anybody types it twice
		return "", err
	}
	second, err := t.askHidden(ctx, keyboard, "Once more: ")
	if err == nil && first != second {
		err = errors.New("these are two different passwords; nothing was changed")
	}
	return first, err
}

// screen is what a command reads from or writes to, if it is a terminal.
func screen(stream any) (*os.File, bool) {
	f, ok := stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// askHidden asks for a line on a terminal that does not show what is typed.
func (t *terminal) askHidden(ctx context.Context, keyboard *os.File, prompt string) (string, error) {
	fd := int(keyboard.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("use the terminal: %w", err)
	}
	fmt.Fprint(t.err, prompt)
	line, err := interruptible(ctx, func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
	fmt.Fprintln(t.err) // the end of the line was not shown either
	switch {
	case errors.Is(err, errInterrupted):
		err = errors.Join(err, term.Restore(fd, before)) // the read that would do it goes on
	case err != nil:
		err = fmt.Errorf("read the password: %w", err)
	}
	return line, err
}

// interruptible returns what read returns, or errInterrupted as soon as ctx
// ends. Nothing can end the read itself: it goes with the process, which is
// about to end.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		if ctx.Err() == nil {
			return r.line, r.err
		}
	case <-ctx.Done():
	}
	return "", errInterrupted
}
