// Command postgres runs a private PostgreSQL for tests of another module. For each
// line of its input it writes a line with the URL of an empty schema; it ends the
// server when its input ends.
package main

import (
	"bufio"
	"fmt"
	"os"

	"latchkey/internal/sqlstore/pgtest"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "PostgreSQL for tests:", err)
		os.Exit(1)
	}
}

func serve() error {
	s, err := pgtest.Start()
	if err != nil {
		return err
	}
	defer s.Stop()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		url, err := s.Empty()
		if err != nil {
			return err
		}
		fmt.Println(url)
	}
	return lines.Err()
}
