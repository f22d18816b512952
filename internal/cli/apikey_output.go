package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/rivo/uniseg"

	"latchkey"
	"latchkey/internal/xcontent"
)

var outputs = []string{"table", "json", "yaml"}

// print writes an answer in the form that was asked for. The first of the rows is
// the head of the table.
func (k *calls) print(answer any, rows func() [][]string) error {
	var text []byte
	var err error
	switch k.c.String("output") {
	case "json":
		text, err = jsonText(answer)
	case "yaml":
		text, err = yamlText(answer)
	default:
		text = tableText(rows())
	}
	if err != nil {
		return err
	}
	if _, err := k.out.Write(text); err != nil {
		return fmt.Errorf("print what the server answered: %w", err)
	}
	return nil
}

// jsonText is v in lines. What is not safe to show is written as its code, which in JSON is the same.
func jsonText(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(escaped(b.String(), "\n", func(r rune) string {
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	})), nil
}

func yamlText(v any) ([]byte, error) {
	compact, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	tree, err := xcontent.ParseOwn(compact)
	if err != nil {
		return nil, err
	}
	text, err := tree.YAML() // it quotes all texts
	return []byte(escaped(string(text), "\n", longCode)), err
}

// harmless is a text that moves no cursor, hides nothing and stays on its line.
// Names are by strangers, and a terminal obeys what is printed on it.
func harmless(s string) string { return escaped(s, "", longCode) }

// escaped writes the runes that are not to be shown as codes, except for those kept.
// A rune beyond \uffff becomes what long says.
func escaped(s, kept string, long func(rune) string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsGraphic(r) || strings.ContainsRune(kept, r):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(long(r))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func longCode(r rune) string { return fmt.Sprintf(`\U%08x`, r) }

// maxName bounds what a name takes in a table; the other forms show all of it.
const maxName = 60

// tableText aligns rows by what their cells take on a screen, where some characters are wide and some none.
func tableText(rows [][]string) []byte {
	widths := map[int]int{}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = harmless(cell)
			widths[i] = max(widths[i], uniseg.StringWidth(row[i]))
		}
	}
	var b bytes.Buffer
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)+2))
		}
		fmt.Fprintln(&b, strings.TrimRight(line.String(), " "))
	}
	return b.Bytes()
}

// short is a name that leaves room for what stands beside it.
func short(name string) string {
	name = harmless(name)
	if uniseg.StringWidth(name) <= maxName {
		return name
	}
	var b strings.Builder
	width := 0
	for g := uniseg.NewGraphemes(name); g.Next() && width+g.Width() < maxName; width += g.Width() {
		b.WriteString(g.Str())
	}
	return b.String() + "…"
}

// keyTable is a line for each key.
func keyTable(keys []latchkey.APIKey, withUse bool) [][]string {
	head := []string{"ID", "NAME", "TYPE", "OWNER", "REALM", "CREATED", "EXPIRES", "STATE"}
	if withUse {
		head = append(head, "LAST USED")
	}
	rows, now := [][]string{head}, time.Now()
	for _, key := range keys {
		expires, state := "never", "active"
		if key.Expiration != 0 {
			expires = away(now, key.Expiration)
		}
		switch {
		case key.Invalidated:
			state = "invalidated"
		case key.Expiration != 0 && key.Expiration <= now.UnixMilli():
			state = "expired"
		}
		row := []string{key.ID, short(key.Name), key.Type, short(key.Username), short(key.Realm), moment(key.Creation), expires, state}
		if withUse && key.LastUsed != 0 {
			row = append(row, away(now, key.LastUsed))
		} else if withUse {
			row = append(row, "never")
		}
		rows = append(rows, row)
	}
	return rows
}

// moment is a time in epoch milliseconds, in the zone of whoever reads it.
func moment(ms int64) string { return time.UnixMilli(ms).Format(time.RFC3339) }

// away tells how far a time in epoch milliseconds is from now.
func away(now time.Time, ms int64) string {
	d := time.UnixMilli(ms).Sub(now)
	past := d < 0
	d = d.Abs()
	unit, letter := time.Second, "s"
	switch {
	case d >= 48*time.Hour:
		unit, letter = 24*time.Hour, "d"
	case d >= 2*time.Hour:
		unit, letter = time.Hour, "h"
	case d >= 2*time.Minute:
		unit, letter = time.Minute, "m"
	}
	text := fmt.Sprintf("%d%s", (d+unit/2)/unit, letter)
	if past {
		return text + " ago"
	}
	return "in " + text
}

// note tells something that is no part of the answer.
func note(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
