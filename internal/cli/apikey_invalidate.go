package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v3"

	"latchkey"
)

func choosing() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "id", Usage: "the key of an `id`, the same as an argument; may be repeated", Config: cli.StringConfig{TrimSpace: false}},
		&cli.BoolFlag{Name: "owner", Usage: "only keys of the caller"},
		&cli.BoolFlag{Name: "dry-run", Usage: "only tell which keys it would be"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
	}
}

const (
	keysAtOnce = 1000 // keys in one call
	fewKeys    = 20   // as many are invalidated for a y; for more, their number is to be typed
	shownKeys  = 10   // in the preview
)

// selection is what the flags choose. A flag that is there and blank chooses nothing,
// and the client refuses it: a script's variable may be empty by mistake.
func (k *calls) selection() (latchkey.KeySelection, error) {
	ids, name, user, realm := k.ids(), k.c.String("name"), k.c.String("username"), k.c.String("realm")
	kinds, owner := "", k.c.Bool("owner")
	for _, f := range []struct {
		letter string
		given  bool
	}{{"i", len(ids) > 0}, {"n", k.c.IsSet("name")}, {"u", k.c.IsSet("username")}, {"r", k.c.IsSet("realm")}, {"o", owner}} {
		if f.given {
			kinds += f.letter
		}
	}
	switch kinds {
	case "i":
		return latchkey.ByIDs(ids...), nil
	case "io":
		return latchkey.OwnedByIDs(ids...), nil
	case "n":
		return latchkey.ByName(name), nil
	case "no":
		return latchkey.OwnedByName(name), nil
	case "u":
		return latchkey.ByUser(user), nil
	case "r":
		return latchkey.ByRealm(realm), nil
	case "ur":
		return latchkey.ByRealmAndUser(realm, user), nil
	case "o":
		return latchkey.Owned(), nil
	}
	return latchkey.KeySelection{}, misused(k.c, "which keys? Choose by ids, by --name, or by --username, --realm or both; --owner stands alone or with ids or --name")
}

func (k *calls) ids() []string { return append(k.c.StringSlice("id"), k.c.Args().Slice()...) }

// invalidateKeys looks which keys are chosen, and ends exactly those that it has
// shown, in calls of a bounded size. It fails if one that is chosen is left alive.
func invalidateKeys(ctx context.Context, k *calls) error {
	chosen, err := k.selection()
	if err != nil {
		return err
	}
	sure, dry := k.c.Bool("yes"), k.c.Bool("dry-run")
	if _, ok := screen(k.in); !ok && !sure && !dry {
		return misused(k.c, "there is no terminal to ask at; write --yes, or --dry-run to look first")
	}
	done, err := k.client.PreviewInvalidation(ctx, chosen)
	if err != nil {
		return err
	}
	alive := done.Invalidated
	if len(alive)+len(done.PreviouslyInvalidated)+done.ErrorCount == 0 {
		note(k.err, "No key that is alive matches: look at the spelling.")
	}
	if dry {
		if k.c.String("output") == "table" {
			if err := k.preview(ctx, k.out, alive); err != nil {
				return err
			}
		}
		return k.print(done, func() [][]string { return resultTable(done, "would be invalidated") })
	}
	if len(alive) > 0 && !sure {
		if err := k.preview(ctx, k.err, alive); err != nil {
			return err
		}
		if err := k.confirm(ctx, len(alive)); err != nil {
			return err
		}
	}
	done.Invalidated = []string{}
	failed := k.inBatches(ctx, alive, &done)
	if err := k.print(done, func() [][]string { return resultTable(done, "invalidated") }); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return fmt.Errorf("%s; of %s, %d are surely invalidated: the same command goes on with the others", said(failed), keys(len(alive)), len(done.Invalidated))
	case done.ErrorCount > 0:
		var reasons []string
		for _, e := range done.ErrorDetails {
			reasons = append(reasons, e.Reason)
		}
		return fmt.Errorf("%s not invalidated: %s", keys(done.ErrorCount), strings.Join(reasons, "; "))
	case len(k.ids()) > 0:
		return nil
	}
	left, err := k.client.PreviewInvalidation(ctx, chosen)
	if err == nil && len(left.Invalidated) > 0 {
		err = fmt.Errorf("meanwhile %s came to match: run the command again", keys(len(left.Invalidated)))
	}
	return err
}

// inBatches invalidates keys and adds what becomes of them to done. When ctx ends,
// it waits for the call that is under way: what has become of its keys is to be told.
func (k *calls) inBatches(ctx context.Context, ids []string, done *latchkey.InvalidateAPIKeysResponse) error {
	bar := k.progress(int64(len(ids)), "invalidating", len(ids) > keysAtOnce)
	defer bar.Close()
	stop := context.AfterFunc(ctx, func() {
		note(k.err, "\nInterrupted: this stops after the call that is under way.")
	})
	defer stop()
	for batch := range slices.Chunk(ids, keysAtOnce) {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		chosen := latchkey.ByIDs(batch...)
		if k.c.Bool("owner") {
			chosen = latchkey.OwnedByIDs(batch...)
		}
		got, err := k.client.InvalidateAPIKeys(context.WithoutCancel(ctx), chosen)
		if err != nil {
			return err
		}
		done.Invalidated = append(done.Invalidated, got.Invalidated...)
		done.PreviouslyInvalidated = append(done.PreviouslyInvalidated, got.PreviouslyInvalidated...)
		done.ErrorCount += got.ErrorCount
		done.ErrorDetails = append(done.ErrorDetails, got.ErrorDetails...)
		_ = bar.Add(len(batch)) // of the bar only, as are its other errors
	}
	return nil
}

// preview shows the first of the keys that are to end.
func (k *calls) preview(ctx context.Context, w io.Writer, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	first := ids[:min(len(ids), shownKeys)]
	query, err := json.Marshal(object{"ids": object{"values": first}})
	if err != nil {
		return err
	}
	found, err := k.client.QueryAPIKeys(ctx, latchkey.QueryAPIKeysRequest{Query: latchkey.Query{Query: query, Size: new(shownKeys), Sort: []any{"creation"}}})
	if err != nil {
		return err
	}
	shown := make([]latchkey.APIKey, len(found.APIKeys))
	for i, key := range found.APIKeys {
		shown[i] = key.APIKey
	}
	text := string(tableText(keyTable(shown, false)))
	if more := len(ids) - len(first); more > 0 {
		text += fmt.Sprintf("... and %d more\n", more)
	}
	_, err = io.WriteString(w, text)
	return err
}

// confirm asks at the terminal.
func (k *calls) confirm(ctx context.Context, n int) error {
	question, answers := fmt.Sprintf("Invalidate %s for good? [y/N] ", keys(n)), []string{"y", "yes"}
	if n > fewKeys {
		question, answers = fmt.Sprintf("To invalidate these %s for good, type their number: ", keys(n)), []string{strconv.Itoa(n)}
	}
	fmt.Fprint(k.err, question)
	line, err := interruptible(ctx, func() (string, error) {
		line, err := bufio.NewReader(k.in).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return line, err
	})
	if err != nil {
		return err
	}
	if !slices.Contains(answers, strings.ToLower(strings.TrimSpace(line))) {
		return errors.New("not confirmed; nothing was changed")
	}
	return nil
}

// resultTable counts what became of keys.
func resultTable(done latchkey.InvalidateAPIKeysResponse, what string) [][]string {
	rows := [][]string{{"RESULT", "KEYS"}, {what, strconv.Itoa(len(done.Invalidated))}}
	if n := len(done.PreviouslyInvalidated); n > 0 {
		rows = append(rows, []string{"invalidated before", strconv.Itoa(n)})
	}
	if done.ErrorCount > 0 {
		rows = append(rows, []string{"not reached", strconv.Itoa(done.ErrorCount)})
	}
	return rows
}

// progress is a bar on the terminal, if there is one and it is wanted. A total of -1 is not known.
func (k *calls) progress(total int64, what string, wanted bool, more ...progressbar.Option) *progressbar.ProgressBar {
	_, ok := screen(k.err)
	return progressbar.NewOptions64(total, append(more, progressbar.OptionSetWriter(k.err), progressbar.OptionSetVisibility(ok && wanted),
		progressbar.OptionSetDescription(what), progressbar.OptionShowCount(), progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionClearOnFinish())...)
}
