// Command latchkey is a credential service that speaks Elasticsearch's security API.
//
// default.pgo is a profile of it under load, by which the compiler decides what to
// inline; make profile takes a new one.
package main

import (
	"os"

	"latchkey/internal/cli"
)

func main() { os.Exit(run()) }

var run = func() int { return cli.Run(os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr) }
