package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "latchkey/internal/cli" // what the tests build: a change of it is a change of theirs
	"latchkey/internal/sqlstore/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if built != "" {
		if err := os.RemoveAll(built); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

var built string // the folder of the binaries, if they were built

// binaries builds the product as it is, and with the patches, which do nothing
// unless a node's environment says so.
var binaries = sync.OnceValues(func() (b struct{ sound, patched string }, err error) {
	if built, err = os.MkdirTemp("", "latchkey-chaos-"); err != nil {
		return b, err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return b, err
	}
	overlay, err := patch(root, built)
	if err != nil {
		return b, err
	}
	b.sound, b.patched = filepath.Join(built, "latchkey"), filepath.Join(built, "patched")
	if err := buildTo(b.sound); err != nil {
		return b, err
	}
	return b, buildTo(b.patched, "-overlay="+overlay)
})

// buildTo builds without the profile, which costs more than it gives here.
func buildTo(file string, more ...string) error {
	args := append([]string{"build", "-pgo=off", "-o", file}, more...)
	cmd := exec.Command("go", append(args, "latchkey/cmd/latchkey")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	return nil
}

// A node of the patched binary is told by these what to do.
const (
	variantVariable = "LATCHKEY_CHAOS_VARIANT"
	rateVariable    = "LATCHKEY_CHAOS_RATE" // of its clock: 1.01 goes fast by one in a hundred
)

// chaosSource is added to every package that is patched.
const chaosSource = `
import (
	"os"
	"strconv"
	"time"
)

func chaos(variant string) bool { return os.Getenv("` + variantVariable + `") == variant }

// chaosRate is that of the clock.
var chaosRate = func() float64 {
	rate, err := strconv.ParseFloat(os.Getenv("` + rateVariable + `"), 64)
	if err != nil {
		return 1
	}
	return rate
}()

const chaosPause = 700 * time.Millisecond
`

// patches turn a text of a file, which is there once, into another one.
var patches = []struct{ file, old, new string }{
	{"internal/fleet/clock_linux.go", `time.Duration(ts.Nano())`, `time.Duration(float64(ts.Nano()) * chaosRate)`},
	{"internal/fleet/clock.go", `time.NewTimer(d)`, `time.NewTimer(time.Duration(float64(d) / chaosRate))`},
	{"internal/fleet/lease.go", `if int64(now) < deadline {`, `if int64(now) < deadline || chaos("` + noLease + `") {`},
	{"internal/fleet/barrier.go", `	if err := n.wait(ctx, w); err != nil {`, `	if chaos("` + givesUp + `") {
		brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_ = n.wait(brief, w)
		return nil
	}
	if err := n.wait(ctx, w); err != nil {`},
	{"internal/fleet/node.go", `	behind, err = n.catchUp(ctx, r.Head)
`, `	if chaos("` + leaseFirst + `") {
		n.lease.extend(sent + n.o.Length)
	}
	behind, err = n.catchUp(ctx, r.Head)
	if chaos("` + lateStart + `") {
		sent = n.clock.Now()
	}
`},
	{"internal/fleet/node.go", `	n.stay = stay{id: s.id, joined: true}
`, `	n.stay = stay{id: s.id, joined: true}
	if chaos("` + leaseOfJoin + `") {
		n.lease.extend(n.clock.Now() + n.o.Length)
	}
`},
	{"internal/sqlstore/fleet.go", `context.WithTimeout(ctx, fleetTimeout)`, `context.WithTimeout(ctx, max(fleetTimeout, map[bool]time.Duration{chaos("` + lateStart + `"): time.Minute}[true]))`},
	{"internal/sqlstore/revisions.go", `case a.repeats:
		return`, `case a.repeats && !chaos("` + noRepeat + `"):
		return`},
	{"internal/cache/cache.go", `	if c.lease == nil {
`, `	if chaos("` + slowSecrets + `") || chaos("` + noDead + `") || chaos("` + deadFirst + `") {
		time.Sleep(chaosPause)
	}
	if c.lease == nil {
`},
	{"internal/cache/cache.go", `	if err := c.leased(); err != nil {
		return false, err
`, `	was := c.Dead(e)
	if err := c.leased(); err != nil {
		return false, err
`},
	{"internal/cache/cache.go", `return !c.Dead(e), nil`, `return chaos("` + noDead + `") || !c.Dead(e) || chaos("` + deadFirst + `") && !was, nil`},
	{"internal/cache/cache.go", `	if err := c.leased(); err != nil {
		return v, false, err
`, `	was := f.touched() || c.rules.end(e)
	if err := c.leased(); err != nil {
		return v, false, err
`},
	{"internal/cache/cache.go", `!f.touched() && !c.rules.end(e), nil`, `chaos("` + noDead + `") || !f.touched() && !c.rules.end(e) || chaos("` + deadFirst + `") && !was, nil`},
	{"internal/cache/cache.go", `f.s.tombs[f.key] > f.start || f.s.floor > f.start`, `!chaos("` + noTombs + `") && (f.s.tombs[f.key] > f.start || f.s.floor > f.start)`},
}

// patch writes what -overlay takes, and the files that it names, into dir.
func patch(root, dir string) (overlay string, err error) {
	texts := map[string]string{}
	for _, p := range patches {
		texts[path.Join(path.Dir(p.file), "chaos.go")] = "package " + path.Base(path.Dir(p.file)) + "\n" + chaosSource
		if _, read := texts[p.file]; !read {
			text, err := os.ReadFile(filepath.Join(root, p.file))
			if err != nil {
				return "", err
			}
			texts[p.file] = string(text)
		}
		if n := strings.Count(texts[p.file], p.old); n != 1 {
			return "", fmt.Errorf("%s has %d times the text to patch, want it once: %s", p.file, n, p.old)
		}
		texts[p.file] = strings.Replace(texts[p.file], p.old, p.new, 1)
	}
	replace := map[string]string{}
	for name, text := range texts {
		copied := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, name)] = copied
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

func build(t *testing.T) (sound, patched string) {
	t.Helper()
	b, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return b.sound, b.patched
}
