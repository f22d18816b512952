// Package kdctest runs a KDC of MIT Kerberos for tests: as any user, with files
// of its own in one folder, on a port of its own.
package kdctest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Realm is the realm of the KDC.
const Realm = "LATCHKEY.TEST"

// Service is the principal of an HTTP service that clients reach as localhost.
const Service = "HTTP/localhost"

// Password is that of every principal with a password.
const Password = "kdc-password-1"

// ErrMissing says that the programs of MIT Kerberos are not installed.
var ErrMissing = errors.New("there is no krb5kdc; on Debian, scripts/prepare installs it")

// KDC is one that runs.
type KDC struct {
	Config string // krb5.conf for clients
	Keytab string // with the keys of [Service]
	dir    string
	server *exec.Cmd
	log    bytes.Buffer
}

// Start makes a realm with the users given, and its KDC. dir is empty.
func Start(dir string, users ...string) (_ *KDC, err error) {
	if _, err := program("krb5kdc"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	k := &KDC{dir: dir, Config: filepath.Join(dir, "krb5.conf"), Keytab: filepath.Join(dir, "service.keytab")}
	for name, content := range map[string]string{
		"krb5.conf": fmt.Sprintf(`[libdefaults]
 default_realm = %[1]s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 %[1]s = {
  kdc = 127.0.0.1:%[2]d
 }
[domain_realm]
 localhost = %[1]s
`, Realm, port),
		"kdc.conf": fmt.Sprintf(`[kdcdefaults]
 kdc_listen = 127.0.0.1:%[2]d
 kdc_tcp_listen = 127.0.0.1:%[2]d
[realms]
 %[1]s = {
  database_name = %[3]s/principal
  key_stash_file = %[3]s/stash
  acl_file = %[3]s/acl
  max_life = 10h
 }
[logging]
 kdc = STDERR
`, Realm, port, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if err := k.run("", "kdb5_util", "create", "-s", "-r", Realm, "-P", "master-password"); err != nil {
		return nil, err
	}
	if err := k.Admin("addprinc -randkey "+Service, "ktadd -k "+k.Keytab+" "+Service); err != nil {
		return nil, err
	}
	for _, u := range users {
		if err := k.Admin("addprinc -pw " + Password + " " + u); err != nil {
			return nil, err
		}
	}
	if k.server, err = k.command("krb5kdc", "-n"); err != nil {
		return nil, err
	}
	k.server.Stdout, k.server.Stderr = &k.log, &k.log
	if err := k.server.Start(); err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for range 500 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return k, conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("the KDC does not listen on %s", address), k.Stop(), errors.New(k.log.String()))
}

// Stop ends the KDC and waits for it.
func (k *KDC) Stop() error {
	if err := k.server.Process.Kill(); err != nil {
		return err
	}
	if _, ok := errors.AsType[*exec.ExitError](k.server.Wait()); !ok {
		return errors.New("the KDC ended by itself: " + k.log.String())
	}
	return nil
}

// Admin gives commands to kadmin.local.
func (k *KDC) Admin(commands ...string) error {
	return k.run(strings.Join(commands, "\n")+"\n", "kadmin.local", "-r", Realm)
}

// Login gets a ticket for a user by kinit, and returns the environment of
// programs that use it.
func (k *KDC) Login(user string) ([]string, error) {
	cache := "KRB5CCNAME=FILE:" + filepath.Join(k.dir, "cache-"+strings.ReplaceAll(user, "/", "-"))
	cmd, err := k.command("kinit", user)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, cache)
	return cmd.Env, finish(cmd, Password+"\n")
}

func (k *KDC) run(input, name string, args ...string) error {
	cmd, err := k.command(name, args...)
	if err != nil {
		return err
	}
	return finish(cmd, input)
}

func (k *KDC) command(name string, args ...string) (*exec.Cmd, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+k.Config, "KRB5_KDC_PROFILE="+filepath.Join(k.dir, "kdc.conf"), "KRB5RCACHENAME=none:", "LC_ALL=C")
	return cmd, nil
}

func finish(cmd *exec.Cmd, input string) error {
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	// kadmin.local ends well even when a command of its input failed.
	if err == nil && !strings.Contains(string(out), " while ") {
		return nil
	}
	return errors.Join(fmt.Errorf("%s failed: %s", filepath.Base(cmd.Path), out), err)
}

// program finds one where only root looks, too.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		return path, nil
	}
	return "", ErrMissing
}

// freePort is one that nobody listens on, for TCP and for UDP.
func freePort() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		udp, busy := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err := l.Close(); err != nil {
			return 0, err
		}
		if busy == nil {
			return port, udp.Close()
		}
	}
}
