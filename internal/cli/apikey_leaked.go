package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"

	"latchkey"
)

// invalidateLeaked sends a text to the server, which ends what it finds in it.
func invalidateLeaked(ctx context.Context, k *calls) error {
	path := k.c.Args().First()
	if path == "" {
		if _, ok := screen(k.in); ok {
			return misused(k.c, "which text? Write the name of a file behind the flags, or < FILE")
		}
		path = "-"
	}
	text, err := k.openFile(path, "the text to look into")
	if err != nil {
		return err
	}
	defer text.Close()
	size, source := int64(-1), any(text)
	if path == "-" {
		source = k.in
	}
	if f, ok := source.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	bar := k.progress(size, "reading", true, progressbar.OptionShowBytes(true))
	defer bar.Close()
	read := progressbar.NewReader(text, bar)
	done, err := k.client.InvalidateLeaked(ctx, &read, k.c.Bool("dry-run"))
	if err != nil {
		if open(err) && !k.c.Bool("dry-run") {
			err = fmt.Errorf("%s; some of what the text holds may be invalidated: repeat the command, which is harmless", said(err))
		}
		return err
	}
	_ = bar.Clear() // a text of no known length has no end of its own
	if err := k.print(done, func() [][]string { return leakedTable(done) }); err != nil {
		return err
	}
	if done.SecretsWithoutID > 0 {
		note(k.err, "Secrets without the id of their key: %d. Nobody can use them, or tell whose they are.", done.SecretsWithoutID)
	}
	if done.NotChecked > 0 {
		return fmt.Errorf("%d more places may hold keys of older releases and were not looked up; split the text", done.NotChecked)
	}
	if n := len(done.NotReached); n > 0 {
		return fmt.Errorf("%d of the credentials live on: you may not invalidate them", n)
	}
	return nil
}

func leakedTable(done latchkey.InvalidateLeakedResponse) [][]string {
	rows := [][]string{{"RESULT", "TYPE", "ID", "NAME", "OWNER", "REALM"}}
	add := func(result string, found []latchkey.LeakedCredential) {
		for _, c := range found {
			rows = append(rows, []string{result, c.Type, c.ID, short(c.Name), short(c.Username), short(c.Realm)})
		}
	}
	invalidated := "invalidated"
	if done.DryRun {
		invalidated = "would be invalidated"
	}
	add(invalidated, done.Invalidated)
	add("invalidated before", done.PreviouslyInvalidated)
	add("not reached", done.NotReached)
	return rows
}
