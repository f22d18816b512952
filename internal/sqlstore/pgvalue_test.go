package sqlstore

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextsOfPostgres(t *testing.T) {
	odd := rapid.StringOfN(rapid.RuneFrom([]rune{0, 1, 2, 3, 'a', 'é', utf8.RuneError, utf8.MaxRune}), 0, 6, -1)
	broken := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 3, 'a', 0x80, 0xC3, 0xBF, 0xEF, 0xBD, 0xFF}), 0, 8), func(b []byte) string { return string(b) })
	rapid.Check(t, func(t *rapid.T) {
		for _, s := range []string{odd.Draw(t, "odd"), broken.Draw(t, "broken")} {
			kept := pgText(s)
			if strings.Contains(kept, "\x00") || !utf8.ValidString(kept) {
				t.Fatalf("%q is kept as %q, which PostgreSQL refuses", s, kept)
			}
			if own := string(ownText([]byte(kept))); own != s {
				t.Fatalf("%q is kept as %q and reads back as %q", s, kept, own)
			}
		}
		a, b := odd.Draw(t, "a"), odd.Draw(t, "b")
		if strings.Compare(a, b) != strings.Compare(pgText(a), pgText(b)) {
			t.Fatalf("%q and %q change their order as %q and %q", a, b, pgText(a), pgText(b))
		}
	})
}
