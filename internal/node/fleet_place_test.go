package node

import (
	"os"
	"path/filepath"
	"testing"
)

// A copy of a data folder does not take the place of the node that has the original.
func TestThePlaceOfACopiedFolder(t *testing.T) {
	dir := t.TempDir()
	if got := lastPlace(dir); got != "" {
		t.Errorf("an empty folder has the place %q", got)
	}
	for _, id := range []string{"first", "second"} {
		if err := notePlace(dir, id); err != nil {
			t.Fatal(err)
		}
		if got := lastPlace(dir); got != id {
			t.Errorf("the place is %q, want %q", got, id)
		}
	}
	twin := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(twin, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if got := lastPlace(twin); got != "" {
		t.Errorf("a copy has the place %q", got)
	}
	for _, text := range []string{"", "second", "second \n", "second of another start 1 2"} {
		if err := os.WriteFile(filepath.Join(dir, placeFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastPlace(dir); got != "" {
			t.Errorf("%q is the place %q", text, got)
		}
	}
}
