package jwt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// maxAnswer bounds what is read of an issuer's answers and of files with keys, in bytes.
const maxAnswer = 1 << 20

// ClientOptions says how an issuer is spoken to.
type ClientOptions struct {
	ConnectTimeout time.Duration
	ReadTimeout    time.Duration // until the headers of the answer are there
	SocketTimeout  time.Duration // for the rest of it
	MaxIdle        int           // connections that are kept
	MaxPerHost     int
	Roots          *x509.CertPool // whom to trust; nil: whom the system trusts
}

// NewClient returns a client that follows no redirects: secrets go where the
// operator says.
func NewClient(o ClientOptions) *http.Client {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	return &http.Client{
		Timeout:       o.ConnectTimeout + o.ReadTimeout + o.SocketTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
			TLSHandshakeTimeout: o.ConnectTimeout, ResponseHeaderTimeout: o.ReadTimeout, IdleConnTimeout: time.Minute,
			MaxIdleConns: o.MaxIdle, MaxConnsPerHost: o.MaxPerHost, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		},
	}
}

// FromURL reads keys from an address.
func FromURL(client *http.Client, address string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		return Do(client, req)
	}
}

// Do returns the body of an answer of status 200.
func Do(client *http.Client, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", req.URL.Redacted(), resp.Status)
	}
	return readAll(resp.Body)
}

// FromFile reads keys from a file.
func FromFile(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f)
	}
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = errors.New("there is more than 1 MB of it")
	}
	return b, err
}
