package node

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"latchkey/internal/config"
	"latchkey/internal/httpapi"
)

// Several listeners begin at once, so whatever they decide on the way they
// decide against each other.
func TestServeOnSeveralListeners(t *testing.T) {
	client := &http.Client{Timeout: 10 * time.Second} // a listener that nobody serves keeps its clients waiting
	defer client.CloseIdleConnections()
	for range 50 {
		listeners, err := listen(config.HTTP{Hosts: []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}})
		if err != nil {
			t.Fatal(err)
		}
		server := httpapi.New(httpapi.Options{}, httpapi.Services{}).HTTPServer()
		server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- serve(ctx, server, listeners, time.Minute, slog.New(slog.DiscardHandler))
		}()
		for _, l := range listeners {
			resp, err := client.Get("http://" + l.Addr().String())
			if err != nil {
				stop()
				t.Fatal(err, <-done)
			}
			if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: got %d, %v", l.Addr(), resp.StatusCode, err)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnAddressIsOfItsFamilyOnly(t *testing.T) {
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6")
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		hosts string
		v4    bool // whether 127.0.0.1 gets an answer
		v6    bool // whether ::1 does
	}{
		{"0.0.0.0", true, false},
		{"127.0.0.1", true, false},
		{"::ffff:127.0.0.1", true, false},
		{"::", false, true},
		{"::1", false, true},
		{"0.0.0.0 ::", true, true},
		{":: 0.0.0.0", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.hosts, func(t *testing.T) {
			listeners, err := listen(config.HTTP{Hosts: strings.Fields(tt.hosts)})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range listeners {
				defer l.Close()
			}
			_, port, err := net.SplitHostPort(listeners[0].Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			for host, want := range map[string]bool{"127.0.0.1": tt.v4, "::1": tt.v6} {
				c, err := net.Dial("tcp", net.JoinHostPort(host, port))
				if got := err == nil; got != want {
					t.Errorf("%s is answered: %v, want %v (%v)", host, got, want, err)
				}
				if err == nil {
					c.Close()
				}
			}
			published := publishAddress(config.HTTP{}, addresses(listeners))
			host, _, err := net.SplitHostPort(published)
			ip := net.ParseIP(host)
			if err != nil || ip.IsUnspecified() || (ip.To4() != nil) != !strings.HasPrefix(tt.hosts, "::") && tt.hosts != "::ffff:127.0.0.1" {
				t.Errorf("clients are sent to %s (%v)", published, err)
			}
		})
	}
}

func TestTheFirstRequestThatIsShown(t *testing.T) {
	tests := []struct {
		name string
		tls  config.TLS
		want string
	}{
		{"plain", config.TLS{CertificateAuthorities: []string{"/etc/ca.crt"}}, "  curl -u \"elastic:$ELASTIC_PASSWORD\" 'http://h:1/"},
		{"with an authority that is unknown", config.TLS{Enabled: true}, "  curl --cacert CA.pem -u "},
		{"with an authority", config.TLS{Enabled: true, CertificateAuthorities: []string{"/etc/latchkey/ca.crt", "/other"}}, "  curl --cacert /etc/latchkey/ca.crt -u \"elastic:$ELASTIC_PASSWORD\" 'https://h:1/"},
		{"with an authority whose path the shell would take apart", config.TLS{Enabled: true, CertificateAuthorities: []string{"/my ca's/$x"}}, `  curl --cacert '/my ca'\''s/$x' -u `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			tell(&out, tt.tls, "h:1")
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %q, want it to hold %q", &out, tt.want)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	build := func(version, revision, modified string) *debug.BuildInfo {
		b := &debug.BuildInfo{Main: debug.Module{Version: version}}
		if revision != "" {
			b.Settings = []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
		}
		return b
	}
	tests := []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"a release", build("v1.2.3", "0123456789abcdef", "false"), "1.2.3"},
		{"a revision without a release", build("(devel)", "0123456789abcdef", "false"), "0123456789ab"},
		{"a revision that was changed", build("(devel)", "0123456789abcdef", "true"), "0123456789ab+dirty"},
		{"a build without git", build("(devel)", "", ""), "unknown"},
		{"a test", build("", "", ""), "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := versionOf(tt.info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
