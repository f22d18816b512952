// Command latchkey is a credential service that speaks Elasticsearch's security API.
package main

import (
	"os"

	"latchkey/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr)) }
