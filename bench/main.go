// Command bench measures latchkey beside the limits of the machine that it runs
// on: one run prints all figures as ratios. README and RESULTS.md say what they
// mean.
//
//	cd bench && go run . [-quick] [-only cached,uncached,create,invalidate,mass,start,bearer,grant,refresh,masstokens,queries,fleet,pgqueries]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// setup is what every measurement gets.
type setup struct {
	binary string
	dir    string        // for data folders; gone afterwards
	d      time.Duration // of one round of load
	rounds int
	keys   int // in the large store
	mass   []int
}

var measurements = []struct {
	name string
	run  func(*setup) error
}{
	{"cached", cached}, {"uncached", uncached}, {"create", creates}, {"invalidate", invalidateOne}, {"mass", massInvalidation}, {"start", starts},
	{"bearer", bearer}, {"grant", grants}, {"refresh", refreshes}, {"masstokens", massTokens}, {"queries", queries},
	{"fleet", fleet}, {"pgqueries", pgQueries},
}

func main() {
	if len(os.Args) > 3 {
		if serve, ok := handlers[os.Args[1]]; ok {
			fmt.Fprintln(os.Stderr, serve(os.Args[2], os.Args[3:]))
			os.Exit(1)
		}
	}
	quick := flag.Bool("quick", false, "short rounds and a tenth of the keys: to see that it runs, not for figures")
	only := flag.String("only", "", "comma-separated measurements")
	binary := flag.String("binary", "", "a latchkey that is built already")
	flag.Parse()
	if err := run(*quick, *only, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(quick bool, only, binary string) error {
	dir, err := os.MkdirTemp("", "latchkey-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &setup{binary: binary, dir: dir, d: 4 * time.Second, rounds: 5, keys: 1_000_000, mass: []int{10_000, 100_000}}
	if quick {
		s.d, s.rounds, s.keys, s.mass = 500*time.Millisecond, 1, 100_000, []int{1000, 10_000}
	}
	if s.binary == "" {
		s.binary = filepath.Join(dir, "latchkey")
		build := exec.Command("go", "build", "-trimpath", "-o", s.binary, "./cmd/latchkey")
		build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build latchkey: %w: %s", err, out)
		}
	}
	fmt.Println(machine())
	for _, m := range measurements {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		fmt.Printf("\n%s\n", m.name)
		if err := m.run(s); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// machine says what the figures were taken on.
func machine() string {
	cpu := "an unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo") // without it the rest still holds
	if _, rest, ok := strings.Cut(string(text), "model name"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		cpu = strings.TrimLeft(line, "\t :")
	}
	cores := strings.Count(string(text), "processor\t:")
	version, _ := exec.Command("go", "env", "GOVERSION").Output()
	return fmt.Sprintf("%d cores of %s, %s, %s", cores, cpu, strings.TrimSpace(string(version)), time.Now().UTC().Format(time.DateOnly))
}

// median of a handful of figures.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
