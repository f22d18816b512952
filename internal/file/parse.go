package file

import (
	"fmt"
	"slices"
	"strings"

	"latchkey/internal/access"
	"latchkey/internal/secret"
)

// maxUsername counts characters of a name in the file of users.
const maxUsername = 1024

// line is one that says something.
type line struct {
	number      int // 1-based
	left, right string
}

// lines returns what stands left and right of the first colon in each line, and
// why a line does not count. Comments begin with #.
func lines(content []byte, form string) (all []line, skipped []string) {
	number := 0
	for text := range strings.Lines(string(content)) {
		number++
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			continue
		}
		left, right, _ := strings.Cut(text, ":")
		l := line{number, strings.TrimSpace(left), strings.TrimSpace(right)}
		if l.left == "" || l.right == "" {
			skipped = append(skipped, fmt.Sprintf("line %d is not %s", number, form))
			continue
		}
		all = append(all, l)
	}
	return all, skipped
}

// parseUsers reads username:hash. Of two lines for one user the later counts.
// No sentence about a line shows any of its hash.
func parseUsers(content []byte, reserved func(string) bool) (hashes map[string]string, skipped []string) {
	all, skipped := lines(content, "username:hash")
	hashes = make(map[string]string)
	for _, l := range all {
		switch {
		case reserved(l.left):
			skipped = append(skipped, fmt.Sprintf("line %d: [%s] is the name of a built-in user", l.number, l.left))
		case access.NameProblemWithin("username", l.left, maxUsername) != "":
			skipped = append(skipped, fmt.Sprintf("line %d: %s", l.number, access.NameProblemWithin("username", l.left, maxUsername)))
		case ValidHash(l.right) != nil:
			skipped = append(skipped, fmt.Sprintf("line %d: %v", l.number, ValidHash(l.right)))
		default:
			hashes[l.left] = l.right
		}
	}
	return hashes, skipped
}

// ValidHash complains about what is no hash that the file of users may hold:
// bcrypt, PBKDF2, and salted SHA-256.
func ValidHash(hash string) error {
	if _, ok := secret.ParseDigest(hash); ok {
		return nil
	}
	return secret.ValidStored(hash)
}

// parseRoles reads role:user,user. Roles come in the order of the file, each once.
func parseRoles(content []byte) (roles map[string][]string, skipped []string) {
	all, skipped := lines(content, "role:user,user")
	roles = make(map[string][]string)
	for _, l := range all {
		if why := access.NameProblem("role name", l.left); why != "" {
			skipped = append(skipped, fmt.Sprintf("line %d: %s", l.number, why))
			continue
		}
		for name := range strings.SplitSeq(l.right, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(roles[name], l.left) {
				roles[name] = append(roles[name], l.left)
			}
		}
	}
	return roles, skipped
}
