package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/urfave/cli/v3"

	"latchkey"
)

func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "url", Usage: "the `address` of the server; else LATCHKEY_URL, else " + localURL},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "call as the user `name`, or LATCHKEY_USERNAME, with the password of LATCHKEY_PASSWORD or of the terminal"},
		&cli.StringFlag{Name: "password-file", Usage: "the `file` with the password"},
		&cli.BoolFlag{Name: "password-stdin", Usage: "the password is the first line of the input"},
		&cli.StringFlag{Name: "api-key-file", Usage: "call with the encoded API key in `file`; else that of LATCHKEY_API_KEY"},
		&cli.StringFlag{Name: "token-file", Usage: "call with the access token in `file`; else that of LATCHKEY_TOKEN"},
		&cli.StringFlag{Name: "run-as", Usage: "call in the `name` of another user"},
		&cli.StringFlag{Name: "ca-file", Usage: "trust the certificate authorities in `file` (PEM) instead of the system's"},
		&cli.StringFlag{Name: "ca-fingerprint", Usage: "trust the certificate, or authority, of this SHA-256 in `hex`"},
		&cli.BoolFlag{Name: "insecure", Usage: "do not check the server's certificate: whoever is in between reads along"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "the `form` of what is printed: table, json or yaml, these two as the API has it"},
	}
}

const localURL = "http://127.0.0.1:9200"

// connect makes the client. It asks for a password where nothing else gives one.
func (k *calls) connect(ctx context.Context) error {
	address := k.c.String("url")
	if address == "" {
		address = k.env("LATCHKEY_URL")
	}
	if address == "" {
		address = localURL
	}
	options := []latchkey.Option{latchkey.WithUserAgent("latchkey-cli"), latchkey.WithRunAs(k.c.String("run-as"))}
	ca, pin := k.c.String("ca-file"), k.c.String("ca-fingerprint")
	if ca != "" {
		options = append(options, latchkey.WithCAFile(ca))
	}
	if pin != "" {
		options = append(options, latchkey.WithCertificateFingerprint(pin))
	}
	if k.c.Bool("insecure") {
		if ca != "" || pin != "" {
			return misused(k.c, "--insecure checks no certificate; leave it out, or --ca-file and --ca-fingerprint")
		}
		fmt.Fprintln(k.err, "Warning: the server's certificate is not checked; whoever is in between reads the credential.")
		options = append(options, latchkey.WithTransport(&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}))
	}
	client, err := latchkey.New(address, options...) // before anybody types a password
	if err != nil {
		return err
	}
	credential, err := k.credential(ctx)
	if err != nil {
		return err
	}
	k.client = client.As(credential)
	return nil
}

// credential is that of the flags or, where these have none, of the environment.
func (k *calls) credential(ctx context.Context) (latchkey.Credential, error) {
	var given []string
	for _, flag := range []string{"user", "api-key-file", "token-file"} {
		if k.c.IsSet(flag) {
			given = append(given, "--"+flag)
		}
	}
	if given == nil {
		for _, variable := range []string{"LATCHKEY_USERNAME", "LATCHKEY_API_KEY", "LATCHKEY_TOKEN"} {
			if k.env(variable) != "" {
				given = append(given, variable)
			}
		}
	}
	switch len(given) {
	case 0:
		return latchkey.Credential{}, misused(k.c, "who makes the call? Write -u NAME, or set LATCHKEY_API_KEY")
	case 1:
	default:
		return latchkey.Credential{}, misused(k.c, "the call is made by one credential, and here are "+strings.Join(given, " and "))
	}
	var value string
	var err error
	switch given[0] {
	case "--user":
		return k.login(ctx, k.c.String("user"))
	case "LATCHKEY_USERNAME":
		return k.login(ctx, k.env("LATCHKEY_USERNAME"))
	case "--api-key-file":
		value, err = k.secretFile(k.c.String("api-key-file"), "the API key")
		return latchkey.EncodedKey(value), err
	case "LATCHKEY_API_KEY":
		return latchkey.EncodedKey(k.env("LATCHKEY_API_KEY")), nil
	case "--token-file":
		value, err = k.secretFile(k.c.String("token-file"), "the token")
		return latchkey.Bearer(value), err
	default:
		return latchkey.Bearer(k.env("LATCHKEY_TOKEN")), nil
	}
}

func (k *calls) login(ctx context.Context, username string) (latchkey.Credential, error) {
	var password string
	var err error
	file, input := k.c.IsSet("password-file"), k.c.Bool("password-stdin")
	switch {
	case username == "":
		return latchkey.Credential{}, misused(k.c, "the name of the user is empty")
	case file && input:
		return latchkey.Credential{}, misused(k.c, "give --password-file or --password-stdin, not both")
	case file:
		password, err = k.secretFile(k.c.String("password-file"), "the password")
	case input:
		password, err = k.secretFile("-", "the password")
	case k.env("LATCHKEY_PASSWORD") != "":
		password = k.env("LATCHKEY_PASSWORD")
	default:
		keyboard, ok := screen(k.in)
		if !ok {
			return latchkey.Credential{}, misused(k.c, "the password of "+username+" is missing, and there is no terminal to ask at: set LATCHKEY_PASSWORD, or write --password-file or --password-stdin")
		}
		password, err = k.askHidden(ctx, keyboard, "Password of "+harmless(username)+": ")
	}
	return latchkey.Basic(username, password), err
}

// env is a variable of the environment; "" if it is not set.
func (t *terminal) env(name string) string {
	for _, e := range t.environ {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// maxFile bounds what is read of a file, in bytes.
const maxFile = 64 << 20

// secretFile is the first line of a file; - is the input.
func (k *calls) secretFile(path, what string) (string, error) {
	all, err := k.readFile(path, what)
	line, _, _ := strings.Cut(string(all), "\n")
	line = strings.TrimSuffix(line, "\r")
	if err == nil && line == "" {
		err = fmt.Errorf("there is nothing in the first line of %s, which is to be %s", path, what)
	}
	return line, err
}

// readFile reads a file, or the input if its path is -.
func (k *calls) readFile(path, what string) ([]byte, error) {
	in, err := k.openFile(path, what)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	all, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case len(all) > maxFile:
		return nil, fmt.Errorf("%s is longer than %d bytes: %s", path, maxFile, what)
	}
	return all, nil
}

func (k *calls) openFile(path, what string) (io.ReadCloser, error) {
	if path == "" {
		return nil, errors.New("there is no name of a file for " + what)
	}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		return f, nil
	}
	if k.inputFor != "" {
		return nil, misused(k.c, fmt.Sprintf("the input is %s, and cannot be %s as well", k.inputFor, what))
	}
	k.inputFor = what
	return io.NopCloser(k.in), nil
}
