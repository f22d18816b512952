package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// screen is the far side of a terminal that a process sits at: what it shows,
// and the keyboard.
type screen struct {
	t      *testing.T
	master *os.File
	shown  strings.Builder
}

// terminals opens a pair of pseudo terminals.
func terminals(t *testing.T) (*screen, *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var number, unlock int32
	control(t, master, syscall.TIOCGPTN, &number)
	control(t, master, syscall.TIOCSPTLCK, &unlock)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return &screen{t: t, master: master}, slave
}

func control(t *testing.T, f *os.File, request uintptr, value *int32) {
	t.Helper()
	c, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	if err := c.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(value)))
	}); err != nil || errno != 0 {
		t.Fatal(err, errno)
	}
}

// echoes reports whether the terminal shows what is typed.
func echoes(t *testing.T, slave *os.File) bool {
	t.Helper()
	var settings syscall.Termios
	c, err := slave.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	if err := c.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&settings)))
	}); err != nil || errno != 0 {
		t.Fatal(err, errno)
	}
	return settings.Lflag&syscall.ECHO != 0
}

// wait reads until text was shown.
func (s *screen) wait(text string) {
	s.t.Helper()
	if err := s.master.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	for b := make([]byte, 256); !strings.Contains(s.shown.String(), text); {
		n, err := s.master.Read(b)
		s.shown.Write(b[:n])
		if err != nil {
			s.t.Fatalf("the screen shows %q and not %q: %v", &s.shown, text, err)
		}
	}
}

// enter types once the terminal hides it.
func (s *screen) enter(slave *os.File, keys string) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); echoes(s.t, slave); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("the terminal shows what is typed")
		}
	}
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func TestAPasswordThatIsTypedOnATerminal(t *testing.T) {
	dir := filepath.Join(shortFolder(t), "data")
	served(t, dir)
	const first, again = "New password of elastic: ", "Once more: "
	tests := []struct {
		name    string
		dialog  []string // prompts and keys in turn
		success bool
		last    string // what is shown at the end
	}{
		{"is asked for twice and not shown", []string{first, "typed by hand\r", again, "typed by hand\r"}, true, "The password of elastic is set."},
		{"and is another the second time", []string{first, "typed by hand\r", again, "typed by Hand\r"}, false, "latchkey: these are two different passwords; nothing was changed"},
		{"and is too short is not asked for again", []string{first, "abc\r"}, false, "latchkey: "},
		{"ends with Ctrl-C", []string{first, "typed by\x03"}, false, "latchkey: interrupted; nothing was changed"},
		{"ends with Ctrl-C the second time", []string{first, "typed by hand\r", again, "\x03"}, false, "latchkey: interrupted; nothing was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, slave := terminals(t)
			cmd := process(t, "reset-password", "-i", "-u", "elastic", "-E", "path.data="+dir)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(tt.dialog); i += 2 {
				s.wait(tt.dialog[i])
				s.enter(slave, tt.dialog[i+1])
			}
			s.wait(tt.last)
			err := cmd.Wait()
			if (err == nil) != tt.success {
				t.Errorf("it ended with %v; success wanted: %v", err, tt.success)
			}
			if strings.Contains(s.shown.String(), "typed") && !strings.Contains(tt.last, "typed") {
				t.Errorf("the screen shows the password: %q", &s.shown)
			}
			if !echoes(t, slave) {
				t.Error("the terminal is left in a state that hides what is typed")
			}
		})
	}
}
