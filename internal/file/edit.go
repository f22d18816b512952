package file

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"latchkey/internal/access"
	"latchkey/internal/fault"
)

// Files is the two files for somebody who edits them. Lines of others, comments
// included, stay as they are. Each change is on the disk whole or not at all.
type Files struct {
	Dir      string
	Reserved func(username string) bool // names that no line may claim
}

// Entry is a user of the files.
type Entry struct {
	Username string
	Roles    []string
}

// List returns the users in order of their names, those of users_roles who are
// not in users left out.
func (f Files) List() ([]Entry, error) {
	users, err := f.read(usersFile)
	if err != nil {
		return nil, err
	}
	lines, err := f.read(rolesFile)
	if err != nil {
		return nil, err
	}
	hashes, _ := parseUsers(users, f.Reserved)
	roles, _ := parseRoles(lines)
	all := []Entry{}
	for name := range hashes {
		all = append(all, Entry{name, roles[name]})
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Username, b.Username) })
	return all, nil
}

// Add adds a user. One who is there already is fault.Conflict.
func (f Files) Add(username, hash string, roles []string) error {
	if f.Reserved(username) {
		return fault.New(fault.Argument, "[%s] is the name of a built-in user", username)
	}
	if why := nameProblem(username); why != "" {
		return fault.New(fault.Argument, "%s", why)
	}
	if err := rolesOK(roles); err != nil {
		return err
	}
	known, err := f.knows(username)
	if err != nil {
		return err
	}
	if known {
		return fault.New(fault.Conflict, "user [%s] is in the file already; latchkey users passwd changes the password", username)
	}
	if err := f.setRoles(username, roles, nil); err != nil { // roles of nobody harm nobody; a user must not go without
		return err
	}
	return f.setHash(username, hash)
}

// SetHash changes the password of a user; fault.NotFound if there is none.
func (f Files) SetHash(username, hash string) error {
	if err := f.must(username); err != nil {
		return err
	}
	return f.setHash(username, hash)
}

// Remove removes a user and all of the roles; fault.NotFound if there is none.
func (f Files) Remove(username string) error {
	if err := f.must(username); err != nil {
		return err
	}
	if err := f.setHash(username, ""); err != nil {
		return err
	}
	return f.dropRoles(username, func(string) bool { return true })
}

// ChangeRoles gives a user roles and takes others away; fault.NotFound if there
// is no such user.
func (f Files) ChangeRoles(username string, add, remove []string) error {
	if err := rolesOK(append(slices.Clone(add), remove...)); err != nil {
		return err
	}
	if err := f.must(username); err != nil {
		return err
	}
	return f.setRoles(username, add, remove)
}

func rolesOK(roles []string) error {
	for _, r := range roles {
		if why := access.NameProblem("role name", r); why != "" || strings.ContainsAny(r, ":") || strings.HasPrefix(r, "#") {
			return fault.New(fault.Argument, "%s", cmp.Or(why, "the role name ["+r+"] does not fit into the file: it holds a colon or begins with #"))
		}
	}
	return nil
}

func nameProblem(username string) string {
	if why := access.NameProblemWithin("username", username, maxUsername); why != "" {
		return why
	}
	if strings.ContainsAny(username, ":,") || strings.HasPrefix(username, "#") {
		return "the username [" + username + "] does not fit into the files: it holds a colon or a comma, or begins with #"
	}
	return ""
}

func (f Files) knows(username string) (bool, error) {
	content, err := f.read(usersFile)
	if err != nil {
		return false, err
	}
	hashes, _ := parseUsers(content, f.Reserved)
	_, ok := hashes[username]
	return ok, nil
}

func (f Files) must(username string) error {
	known, err := f.knows(username)
	if err == nil && !known {
		err = fault.New(fault.NotFound, "there is no user [%s] in %s", username, filepath.Join(f.Dir, usersFile))
	}
	return err
}

// setHash replaces all lines of a user by one, or by none if hash is empty.
func (f Files) setHash(username, hash string) error {
	return f.change(usersFile, func(text string, out *bytes.Buffer) {
		done := hash == ""
		for line := range strings.Lines(text) {
			left, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch {
			case strings.TrimSpace(left) != username:
				out.WriteString(line)
			case !done:
				fmt.Fprintf(out, "%s:%s\n", username, hash)
				done = true
			}
		}
		if !done {
			fmt.Fprintf(out, "%s:%s\n", username, hash)
		}
	})
}

func (f Files) setRoles(username string, add, remove []string) error {
	if len(remove) > 0 {
		if err := f.dropRoles(username, func(role string) bool { return slices.Contains(remove, role) }); err != nil {
			return err
		}
	}
	if len(add) == 0 {
		return nil
	}
	return f.change(rolesFile, func(text string, out *bytes.Buffer) {
		roles, _ := parseRoles([]byte(text))
		var missing []string
		for _, r := range add {
			if !slices.Contains(roles[username], r) && !slices.Contains(missing, r) {
				missing = append(missing, r)
			}
		}
		for line := range strings.Lines(text) {
			role, users, ok := roleLine(line)
			if at := slices.Index(missing, role); ok && at >= 0 {
				missing = slices.Delete(missing, at, at+1)
				line = role + ":" + strings.Join(append(users, username), ",") + "\n"
			}
			out.WriteString(line)
		}
		for _, role := range missing {
			fmt.Fprintf(out, "%s:%s\n", role, username)
		}
	})
}

// dropRoles takes a user out of the lines of the roles that are meant.
func (f Files) dropRoles(username string, meant func(role string) bool) error {
	return f.change(rolesFile, func(text string, out *bytes.Buffer) {
		for line := range strings.Lines(text) {
			role, users, ok := roleLine(line)
			if !ok || !meant(role) || !slices.Contains(users, username) {
				out.WriteString(line)
				continue
			}
			users = slices.DeleteFunc(users, func(u string) bool { return u == username })
			if len(users) > 0 {
				fmt.Fprintf(out, "%s:%s\n", role, strings.Join(users, ","))
			}
		}
	})
}

// roleLine reads a line of users_roles; ok is false for one that says nothing.
func roleLine(line string) (role string, users []string, ok bool) {
	text := strings.TrimSpace(line)
	left, right, ok := strings.Cut(text, ":")
	if !ok || strings.HasPrefix(text, "#") {
		return "", nil, false
	}
	for u := range strings.SplitSeq(right, ",") {
		if u = strings.TrimSpace(u); u != "" {
			users = append(users, u)
		}
	}
	return strings.TrimSpace(left), users, true
}

// read returns a file; one that is not there is empty.
func (f Files) read(name string) ([]byte, error) {
	path := filepath.Join(f.Dir, name)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !utf8.Valid(content) {
		err = fmt.Errorf("read %s: it is not UTF-8", path)
	}
	return content, err
}

// change writes a file anew, beside the old one, which it then replaces: nobody
// ever reads half of it. Its mode stays; a new one is for its owner and group.
func (f Files) change(name string, edit func(text string, out *bytes.Buffer)) (err error) {
	content, err := f.read(name)
	if err != nil {
		return err
	}
	text := string(content)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var out bytes.Buffer
	edit(text, &out)
	path := filepath.Join(f.Dir, name)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // the link stays
	}
	mode := fs.FileMode(0o640)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+name+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(out.Bytes())
	err = errors.Join(err, temp.Chmod(mode), keepOwner(temp, path), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// keepOwner gives a file the owner of the one that it will replace: who edits as
// root must not take it from the user as whom the node runs.
func keepOwner(temp *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		if info, err = os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
	}
	was, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return temp.Chown(int(was.Uid), int(was.Gid))
}
