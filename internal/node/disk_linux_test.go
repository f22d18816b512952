package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mount makes dir a small file system of its own.
func mount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		if os.Getenv("CI") == "true" || !errors.Is(err, syscall.EPERM) {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skip("only root may mount a small disk")
	}
	if flags&syscall.MS_REMOUNT == 0 {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Errorf("unmount the small disk: %v", err)
			}
		})
	}
}

// ballast takes all the room that is left; the caller removes the file to make room.
func ballast(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	if err := os.WriteFile(path, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk took 8 MiB: %v", err)
	}
	return path
}

func TestADiskThatFillsUpUnderANode(t *testing.T) {
	disk := dataFolder(t)
	mount(t, disk, 0, "size=2m,mode=0700")
	dir := filepath.Join(disk, "data")
	p := node(t, dir)
	k, other := p.key(t, elastic, "made while there was room"), p.key(t, elastic, "another")
	p.wantLogin(t, http.StatusOK, k.Encoded)
	full := ballast(t, disk)

	big := fmt.Sprintf(`{"name":"big","metadata":{"x":%q}}`, strings.Repeat("x", 20_000))
	p.want(t, http.StatusServiceUnavailable, "POST", "/_security/api_key", elastic, big, nil)
	p.want(t, http.StatusServiceUnavailable, "DELETE", "/_security/api_key", elastic, `{"owner":true}`, nil)
	p.want(t, http.StatusServiceUnavailable, "PUT", "/_security/user/x", elastic, `{"password":"`+password+`","roles":[]}`, nil)
	for _, k := range []createdKey{k, other} { // one of them from memory, one from the disk
		p.wantLogin(t, http.StatusOK, k.Encoded)
	}
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("on a full disk the node ended with %d, want 0:\n%s", code, p.err)
	}

	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	p = node(t, dir)
	for _, k := range []createdKey{k, other} {
		p.wantLogin(t, http.StatusOK, k.Encoded)
	}
	var list struct {
		Keys []storedKey `json:"api_keys"`
	}
	p.want(t, http.StatusOK, "GET", "/_security/api_key", elastic, "", &list)
	if len(list.Keys) != 2 {
		t.Errorf("there are %d keys, want the 2 that were acknowledged", len(list.Keys))
	}
	full = ballast(t, disk)
	p.want(t, http.StatusServiceUnavailable, "POST", "/_security/api_key", elastic, big, nil)
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	p.want(t, http.StatusOK, "POST", "/_security/api_key", elastic, big, nil) // the same node goes on when there is room
	p.want(t, http.StatusOK, "DELETE", "/_security/api_key", elastic, `{"owner":true}`, nil)
	p.wantLogin(t, http.StatusUnauthorized, k.Encoded)
	p.stops(t)
}

func TestDisksThatStopTheStart(t *testing.T) {
	t.Run("a full one", func(t *testing.T) {
		disk := dataFolder(t)
		mount(t, disk, 0, "size=1m,mode=0700")
		full := ballast(t, disk)
		dir := filepath.Join(disk, "data")
		refuses(t, command(t, nil, serveArgs(dir)...), "["+dir, "the disk is full")
		if err := os.Remove(full); err != nil {
			t.Fatal(err)
		}
		p := node(t, dir) // what was begun is no hindrance
		p.wantLogin(t, http.StatusOK, elastic)
		p.stops(t)
	})
	t.Run("one that may only be read, with a store", func(t *testing.T) {
		disk := dataFolder(t)
		mount(t, disk, 0, "size=2m,mode=0700")
		p := node(t, disk)
		k := p.key(t, elastic, "mine")
		p.kill()
		before := contents(t, disk)
		mount(t, disk, syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=2m")
		refuses(t, command(t, nil, serveArgs(disk)...), "["+disk, "may only be read")
		wantSame(t, disk, before)
		mount(t, disk, syscall.MS_REMOUNT, "size=2m")
		p = node(t, disk)
		p.wantLogin(t, http.StatusOK, k.Encoded)
		p.stops(t)
	})
	t.Run("one that may only be read, and is empty", func(t *testing.T) {
		disk := dataFolder(t)
		mount(t, disk, syscall.MS_RDONLY, "size=2m,mode=0700")
		refuses(t, command(t, nil, serveArgs(filepath.Join(disk, "data"))...), "["+disk, "may only be read")
	})
}

// nobody is a user without rights on this machine.
const nobody = 65534

func TestADataFolderOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI runs as root")
		}
		t.Skip("only root may start a process as somebody else")
	}
	for _, tt := range []struct {
		name  string
		mode  os.FileMode
		owner int
		want  string
	}{
		{"a folder that others may not enter", 0o700, 0, "check the path, its owner and its mode"},
		{"a folder that others may only read", 0o755, 0, "check the path, its owner and its mode"},
		{"an own folder that may only be read", 0o500, nobody, "check the path, its owner and its mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := dataFolder(t)
			if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Mkdir(dir, 0o700), os.Chmod(dir, tt.mode), os.Chown(dir, tt.owner, tt.owner)); err != nil {
				t.Fatal(err)
			}
			cmd := command(t, []string{"LATCHKEY_PATH_CONF=" + filepath.Dir(dir)}, serveArgs(dir)...)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			refuses(t, cmd, "["+dir+"]", tt.want)
			wantSame(t, dir, map[string]string{})
		})
	}
}

func TestResetPasswordAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI runs as root")
		}
		t.Skip("only root may start a process as somebody else")
	}
	dir := dataFolder(t)
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	asNobody := func(t *testing.T) {
		t.Helper()
		cmd := command(t, []string{"LATCHKEY_PATH_CONF=" + filepath.Dir(dir)}, resetArgs(dir)...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		r := run(t, cmd)
		want := "latchkey: the data folder [" + dir + "] belongs to another user, root: run this as the user who runs latchkey ("
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, want) {
			t.Errorf("got %d, %q, %q, want %q", r.code, r.out, r.err, want)
		}
	}
	p := node(t, dir)
	t.Run("while the node runs", asNobody)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Run("while the node runs in a folder that others may enter", asNobody)
	p.stops(t)
	t.Run("while the node does not run", asNobody)
	p = node(t, dir)
	p.wantLogin(t, http.StatusOK, elastic)
	p.stops(t)
}

func TestADatabaseThatCannotBeUsedStopsTheStart(t *testing.T) {
	dir := dataFolder(t)
	p := node(t, dir)
	k := p.key(t, elastic, "mine")
	p.stops(t)
	path := filepath.Join(dir, "latchkey.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		content []byte
	}{
		{"a text", bytes.Repeat([]byte("no database\n"), 1000)},
		{"a damaged one", append(bytes.Repeat([]byte{0x5A}, 4096), good[4096:]...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			before := contents(t, dir)
			refuses(t, command(t, nil, serveArgs(dir)...), "["+path+"]", "damaged or no database", "restore it from a backup")
			wantSame(t, dir, before)
			r := run(t, command(t, nil, resetArgs(dir)...))
			if r.code != 1 || !strings.Contains(r.err, "damaged or no database") {
				t.Errorf("reset-password: got %d, %q, %q", r.code, r.out, r.err)
			}
			wantSame(t, dir, before)
		})
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	p = node(t, dir)
	p.wantLogin(t, http.StatusOK, k.Encoded)
	p.stops(t)
}
